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
 * twice. A restart block (nanosleep, futex and poll with a time limit) cannot be written from outside, so the call is
 * started with the remaining time and interrupted, which leaves the right block.
 *
 * Not here: how long it would have slept on (sleepers.c tells, or the caller knows how long it had slept), and timeouts in the program's memory, which may be
 * read-only: those calls start again with their full time.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/procfs.h"
#include "base/timer.h"
#include "checkpoint/tape/tracee-int.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define REBUILD_MS 5000
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

static uint64_t less(uint64_t ns, uint64_t slept)
{
        return ns > slept ? ns - slept : 0;
}

static uint64_t ms_up(uint64_t ns)
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
                ret->remaining_ns = less((uint64_t)(uint32_t)r->rdx * NS_PER_MS, slept);
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
                r->r10 = ms_up(less((uint64_t)(uint32_t)r->r10 * NS_PER_MS, slept_ns));
}

static int read_time(struct tracee *t, uint64_t at, uint64_t *ret, struct err *err)
{
        struct timespec ts;
        int r = tracee_mem_read(t, at, &ts, sizeof(ts), err);

        if (r < 0)
                return r;
        if (ts.tv_sec < 0 || ts.tv_sec > INT64_MAX / 2000000000 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NS_PER_S)
                return err_set(err, EX_IMAGE, "cannot restart a sleep", "its time is not a time", "thread %d, 0x%llx",
                               (int)t->tid, (unsigned long long)at);
        *ret = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
        return 0;
}

/* Which argument is the time, and where the kernel has left the rest of it (-1: nowhere). */
static bool time_args(long nr, int *ret_time, int *ret_rest)
{
        *ret_rest = -1;
        switch (nr) {
        case SYS_nanosleep:
                *ret_time = 0;
                *ret_rest = 1;
                return true;
        case SYS_clock_nanosleep:
                *ret_time = 2;
                *ret_rest = 3;
                return true;
        case SYS_futex:
                *ret_time = 3;
                return true;
        case SYS_poll:
                *ret_time = 2;
                return true;
        default:
                return false;
        }
}

static int prepare(struct tracee *t, const struct restart *p, uint64_t arg[6], struct err *err)
{
        int time, rest, r = 0;
        uint64_t ns = p->remaining_ns;

        memcpy(arg, p->arg, sizeof(p->arg));
        if (!time_args(p->nr, &time, &rest))
                return err_set(err, EX_IMAGE, "cannot restart a call", "it is not one that sleeps", "thread %d, call %ld",
                               (int)t->tid, p->nr);
        if (p->nr == SYS_poll) {
                uint64_t ms = ms_up(ns);
                arg[time] = ms > INT32_MAX ? INT32_MAX : ms;
                return 0;
        }
        if (ns == RESTART_IN_MEMORY && rest >= 0 && arg[rest]) {
                r = read_time(t, arg[rest], &ns, err);
        } else if (ns == RESTART_IN_MEMORY) {
                r = read_time(t, arg[time], &ns, err);
                ns = less(ns, p->slept_ns);
        }
        if (r < 0)
                return r;
        const struct timespec ts = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
        arg[time] = t->tape;
        return tracee_mem_write(t, t->tape, &ts, sizeof(ts), err);
}

static bool asleep(struct tracee *t)
{
        struct proc_stat st;
        _cleanup_close_ int procfd = proc_open(t->tid, NULL);

        return procfd >= 0 && proc_stat_read(procfd, &st, NULL) == 0 && st.state == 'S';
}

/* From the entry stop into the call, until it sleeps or has ended; then to its exit stop. */
static int sleep_and_stop(struct tracee *t, struct err *err)
{
        uint64_t end = now_ns() + REBUILD_MS * NS_PER_MS;
        bool asked = false;
        int sig = 0;

        tracee_resume(t, RESUME_SYSCALL, 0);
        while (now_ns() < end) {
                switch (tracee_next_stop(t, asked ? 100 : 0, &sig)) {
                case STOP_SYSCALL:
                        return 0;
                case STOP_NONE:
                        if (!asked && asleep(t)) {
                                tracee_interrupt(t);
                                asked = true;
                        }
                        break;
                case STOP_GONE:
                        return tracee_lost(t, "cannot restart a call", err);
                case STOP_SIGNAL:
                        tracee_resume(t, RESUME_SYSCALL, sig);
                        break;
                case STOP_EVENT:
                case STOP_OTHER:
                default:
                        tracee_resume(t, RESUME_SYSCALL, 0);
                        break;
                }
        }
        return tracee_lost(t, "cannot restart a call", err);
}

static int run_call(struct tracee *t, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        struct user_regs_struct regs = t->regs;

        regs.rip = agent_insn(t);
        regs.rax = (unsigned long long)nr;
        regs.rdi = arg[0];
        regs.rsi = arg[1];
        regs.rdx = arg[2];
        regs.r10 = arg[3];
        regs.r8 = arg[4];
        regs.r9 = arg[5];
        regs.orig_rax = UINT64_MAX;
        int r = tracee_foreign(t, &regs, MASK_ALL, err);
        if (r == 0)
                r = tracee_to_syscall_stop(t, err);
        if (r == 0)
                r = sleep_and_stop(t, err);
        if (r == 0)
                r = tracee_regs_read(t, &regs, err);
        if (r == 0)
                *ret = (int64_t)regs.rax;
        return r;
}

int tracee_rebuild(struct tracee *t, const struct restart *p, struct err *err)
{
        uint64_t arg[6];
        int64_t ret = 0;

        if (!p->rebuild)
                return 0;
        if (!t->stopped || !t->agent)
                return err_set(err, EX_FAIL, "cannot restart a call", "the thread is not stopped or has no agent", "thread %d",
                               (int)t->tid);
        int r = prepare(t, p, arg, err);
        if (r == 0)
                r = run_call(t, p->nr, arg, &ret, err);
        if (t->gone)
                return r;
        int s = tracee_settle(t, r < 0 ? NULL : err);
        if (r == 0 && s == 0 && ret != -516) {
                t->ended_set = true;
                t->ended_rax = ret;
        }
        if (s == 0)
                s = tracee_own(t, r < 0 ? NULL : err);
        return r < 0 ? r : s;
}
