/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which interrupted call goes on how: restart_plan() and what it rests on, row by row. */
#include <criterion/criterion.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "checkpoint/tape/tracee-int.h"

#define MS UINT64_C(1000000)
#define PTR 0x7ffc00001000u

static struct cpu_state s;
static struct restart plan;

static void plan_of(long nr, int64_t rax, uint64_t a0, uint64_t a1, uint64_t a2)
{
        memset(&s, 0, sizeof(s));
        s.regs.orig_rax = (unsigned long long)nr;
        s.regs.rax = (unsigned long long)rax;
        s.regs.rdi = a0;
        s.regs.rsi = a1;
        s.regs.rdx = a2;
        s.regs.r10 = PTR;
}

static int64_t rax_after(bool rcvtimeo, uint64_t slept)
{
        restart_plan(&s, rcvtimeo, slept, &plan);
        return (int64_t)s.regs.rax;
}

Test(restart, eintr_is_hidden_by_list)
{
        const long listed[] = { SYS_epoll_wait, SYS_epoll_pwait, 441, SYS_semop, SYS_semtimedop, SYS_rt_sigtimedwait,
                                SYS_io_getevents, SYS_io_pgetevents, SYS_io_uring_enter };
        const long with_timeo[] = { SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_accept, SYS_accept4 };
        const long never[] = { SYS_connect, SYS_close, SYS_sendto, SYS_sendmsg, SYS_write, SYS_futex, SYS_wait4 };

        for (size_t i = 0; i < sizeof(listed) / sizeof(*listed); i++) {
                plan_of(listed[i], -4, 3, 0, 0);
                cr_assert_eq(rax_after(false, 0), -514);
                cr_assert(!plan.rebuild);
        }
        for (size_t i = 0; i < sizeof(with_timeo) / sizeof(*with_timeo); i++) {
                plan_of(with_timeo[i], -4, 3, PTR, 8);
                cr_assert_eq(rax_after(false, 0), -4);
                plan_of(with_timeo[i], -4, 3, PTR, 8);
                cr_assert_eq(rax_after(true, 0), -514);
        }
        for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++) {
                plan_of(never[i], -4, 3, 0, 0);
                cr_assert_eq(rax_after(true, 0), -4);
        }
        plan_of(SYS_io_uring_enter, -4, 3, 1, 0); /* something to submit */
        cr_assert_eq(rax_after(true, 0), -4);
        plan_of(-1, -4, 0, 0, 0); /* in no call: -4 is a number of the program's */
        cr_assert_eq(rax_after(true, 0), -4);
}

Test(restart, epoll_is_shortened)
{
        plan_of(SYS_epoll_wait, -4, 3, PTR, 1);
        s.regs.r10 = 500;
        cr_assert_eq(rax_after(false, 200 * MS + 1), -514);
        cr_assert_eq(s.regs.r10, 300);
        plan_of(SYS_epoll_wait, -4, 3, PTR, 1);
        s.regs.r10 = 500;
        rax_after(false, 700 * MS);
        cr_assert_eq(s.regs.r10, 0);
        plan_of(SYS_epoll_wait, -4, 3, PTR, 1);
        s.regs.r10 = (uint32_t)-1;
        rax_after(false, 700 * MS);
        cr_assert_eq((int)s.regs.r10, -1);
}

Test(restart, raw_ones_stay)
{
        for (int64_t rax = -514; rax <= -512; rax++) {
                plan_of(SYS_read, rax, 3, PTR, 8);
                cr_assert_eq(rax_after(false, 0), rax);
                cr_assert(!plan.rebuild);
        }
}

Test(restart, blocks)
{
        plan_of(SYS_poll, -516, PTR, 2, 700);
        cr_assert_eq(rax_after(false, 200 * MS), -516);
        cr_assert(plan.rebuild);
        cr_assert_eq(plan.remaining_ns, 500 * MS);
        cr_assert_eq(plan.arg[0], PTR);
        plan_of(SYS_poll, -516, PTR, 2, (uint32_t)-1); /* no time limit: nothing to rebuild */
        cr_assert_eq(rax_after(false, 0), -514);
        plan_of(SYS_nanosleep, -516, PTR, PTR + 16, 0);
        cr_assert_eq(rax_after(false, 5), -516);
        cr_assert(plan.rebuild && plan.remaining_ns == RESTART_IN_MEMORY && plan.slept_ns == 5);
        plan_of(SYS_clock_nanosleep, -516, CLOCK_MONOTONIC, 0, PTR);
        rax_after(false, 0);
        cr_assert(plan.rebuild);
        plan_of(SYS_clock_nanosleep, -516, CLOCK_MONOTONIC, TIMER_ABSTIME, PTR);
        cr_assert_eq(rax_after(false, 0), -514);
        plan_of(SYS_futex, -516, PTR, FUTEX_WAIT_PRIVATE, 0);
        rax_after(false, 0);
        cr_assert(plan.rebuild);
        plan_of(SYS_futex, -516, PTR, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0); /* absolute */
        cr_assert_eq(rax_after(false, 0), -514);
        cr_assert(!plan.rebuild);
        plan_of(SYS_restart_syscall, -516, 0, 0, 0); /* unknown: EINTR, as the program must expect */
        cr_assert_eq(rax_after(false, 0), -516);
        cr_assert(!plan.rebuild);
}

static long true_nr(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, const uint8_t *code, size_t n)
{
        struct user_regs_struct r = { .rdi = a0, .rsi = a1, .rdx = a2, .r10 = a3 };
        return restart_true_nr(&r, code, n);
}

Test(restart, true_number)
{
        const uint8_t futex[] = { 0x90, 0xb8, 0x07, 0, 0, 0, 0x90, 0xb8, 0xca, 0, 0, 0, 0x0f, 0x05 };
        const uint8_t far[] = { 0xb8, 0x07, 0, 0, 0, 0x89, 0xd2, 0x90, 0x0f, 0x05 };
        const uint8_t nothing[] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x0f, 0x05 };

        cr_assert_eq(true_nr(0, 0, 0, 0, futex, sizeof(futex)), SYS_futex, "the nearest one");
        cr_assert_eq(true_nr(0, 0, 0, 0, far, sizeof(far)), SYS_poll);
        /* By arguments alone. */
        cr_assert_eq(true_nr(PTR, PTR, 0, 0, nothing, 10), SYS_nanosleep);
        cr_assert_eq(true_nr(PTR, 0, 0, 0, nothing, 10), SYS_nanosleep);
        cr_assert_eq(true_nr(1, 0, PTR, 0, nothing, 10), SYS_clock_nanosleep);
        cr_assert_eq(true_nr((uint64_t)-6, 0, PTR, PTR, nothing, 10), SYS_clock_nanosleep, "a process' clock");
        cr_assert_eq(true_nr(0, 0, 700, 0, nothing, 10), SYS_poll);
        cr_assert_eq(true_nr(PTR, 3, 700, 0, nothing, 10), SYS_poll);
        cr_assert_eq(true_nr(PTR, FUTEX_WAIT_PRIVATE, 2, PTR, nothing, 10), SYS_futex);
        cr_assert_eq(true_nr(0, 0, 0, 0, nothing, 2), SYS_poll, "short code is no reason to read before it");
}

Test(agent, size)
{
        size_t bytes;
        unsigned n;

        agent_size(&bytes, &n);
        cr_assert(bytes > 100 && bytes < 256, "%zu", bytes);
        cr_assert(n > 30 && n < 60, "%u", n);
}
