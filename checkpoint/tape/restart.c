/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Going on in the right way after a stop in the middle of a system call.
 *
 *      rax at the stop   what the kernel does when the task itself goes on       what a fresh task needs
 *      -512 -513         starts the call again                                   the same
 *      -514              starts it again, EINTR if a handler runs                the same
 *      -516              restart_syscall by the task's restart block             a rebuilt block, or -514
 *      -4                nothing: the program sees EINTR                          -514, for the calls listed here
 *
 * -4 is no answer to a signal when no handler ran: a mere stop has ended the call (observed on 6.18 for each call of the
 * list). Calls are listed, not guessed: connect would answer EALREADY, close might hit a reused number, send might send
 * twice. A restart block (nanosleep, futex and poll with a time limit) cannot be written from outside: rebuild.c makes one.
 *
 * Pure: no thread is touched. Not here: how long it would have slept on (sleepers.c tells, or the caller knows how long it had slept), and timeouts in the program's memory, which may be
 * read-only: those calls start again with their full time.
 */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "checkpoint/tape/tracee-int.h"

#define NS_PER_MS UINT64_C(1000000)
#define SMALLEST_POINTER 0x10000u

bool restart_hides_eintr(long nr, uint64_t arg1, bool so_rcvtimeo)
{
        switch (nr) {
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
        case 441: /* epoll_pwait2, 5.11 */
        case SYS_semop:
        case SYS_semtimedop:
        case SYS_rt_sigtimedwait:
        case SYS_io_getevents:
        case SYS_io_pgetevents:
                return true;
        case SYS_io_uring_enter:
                return arg1 == 0; /* nothing to submit: submitting twice would be wrong */
        case SYS_read:
        case SYS_readv:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_accept:
        case SYS_accept4:
                return so_rcvtimeo;
        default:
                return false;
        }
}

/* `mov $nr, %eax` in front of the `syscall` that ends `code`; the nearest one wins. */
static long nr_by_code(const uint8_t *code, size_t n)
{
        for (size_t i = n >= 7 ? n - 6 : 0; i-- > 0;) {
                uint32_t imm;

                if (code[i] != 0xb8)
                        continue;
                memcpy(&imm, code + i + 1, sizeof(imm));
                if (imm == SYS_nanosleep || imm == SYS_clock_nanosleep || imm == SYS_futex || imm == SYS_poll)
                        return (long)imm;
        }
        return -1;
}

long restart_true_nr(const struct user_regs_struct *r, const uint8_t *code, size_t n)
{
        long nr = nr_by_code(code, n);
        unsigned op = (unsigned)r->rsi & ~(unsigned)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

        if (nr >= 0)
                return nr;
        if (r->rsi >= SMALLEST_POINTER)
                return SYS_nanosleep;           /* (request, remainder) */
        if (r->rdi < SMALLEST_POINTER || (int64_t)r->rdi < 0)
                return r->rdx > UINT32_MAX ? SYS_clock_nanosleep : SYS_poll; /* (clock, flags, request) or (NULL, 0, ms) */
        if (r->rsi > 0 && op == FUTEX_WAIT && r->r10 >= SMALLEST_POINTER)
                return SYS_futex;
        return r->rsi == 0 ? SYS_nanosleep : SYS_poll;
}

uint64_t restart_less(uint64_t ns, uint64_t slept)
{
        return ns > slept ? ns - slept : 0;
}

uint64_t restart_ms(uint64_t ns)
{
        return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void plan_block(struct cpu_state *s, uint64_t slept, struct restart *ret)
{
        struct user_regs_struct *r = &s->regs;
        bool again = false;

        ret->remaining_ns = RESTART_IN_MEMORY;
        switch ((long)r->orig_rax) {
        case SYS_poll:
                again = (int)r->rdx < 0;
                ret->remaining_ns = restart_less((uint64_t)(uint32_t)r->rdx * NS_PER_MS, slept);
                break;
        case SYS_nanosleep:
                break;
        case SYS_clock_nanosleep:
                again = r->rsi & TIMER_ABSTIME;
                break;
        case SYS_futex:
                /* Only FUTEX_WAIT has a relative time; the others' is absolute. */
                again = ((int)r->rsi & FUTEX_CMD_MASK) != FUTEX_WAIT || !r->r10;
                break;
        default:
                return; /* unknown: the program sees EINTR, as it must expect */
        }
        if (again) {
                r->rax = (unsigned long long)-514;
                return;
        }
        if (s->left_known)
                ret->remaining_ns = s->left_ns;
        ret->rebuild = true;
        ret->nr = (long)r->orig_rax;
        ret->slept_ns = slept;
        const uint64_t arg[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };
        memcpy(ret->arg, arg, sizeof(arg));
}

void restart_plan(struct cpu_state *s, bool so_rcvtimeo, uint64_t slept_ns, struct restart *ret)
{
        struct user_regs_struct *r = &s->regs;
        int64_t rax = (int64_t)r->rax, nr = (int64_t)r->orig_rax;

        memset(ret, 0, sizeof(*ret));
        if (nr < 0)
                return;
        if (rax == -516) {
                plan_block(s, slept_ns, ret);
                return;
        }
        if (rax == -4 && restart_hides_eintr(nr, r->rsi, so_rcvtimeo))
                r->rax = (unsigned long long)-514;
        if ((int64_t)r->rax == -514 && (nr == SYS_epoll_wait || nr == SYS_epoll_pwait) && (int)r->r10 > 0)
                r->r10 = restart_ms(restart_less((uint64_t)(uint32_t)r->r10 * NS_PER_MS, slept_ns));
}
