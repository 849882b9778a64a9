/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The restart block of a sleep (nanosleep, futex and poll with a time limit) in a fresh task. It cannot be written from outside, so
 * the call is started with the remaining time and interrupted while it sleeps, which leaves the right block; the thread goes on in it
 * when its registers say -516.
 *
 * The time lies in the tape area, or in poll's register. Where the remaining time is not known it is read from where the kernel has
 * left it in the program's memory. A call that has ended at once gives its result instead. Which call needs this restart.c tells.
 */
#include <errno.h>
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
                uint64_t ms = restart_ms(ns);
                arg[time] = ms > INT32_MAX ? INT32_MAX : ms;
                return 0;
        }
        if (ns == RESTART_IN_MEMORY && rest >= 0 && arg[rest]) {
                r = read_time(t, arg[rest], &ns, err);
        } else if (ns == RESTART_IN_MEMORY) {
                r = read_time(t, arg[time], &ns, err);
                ns = restart_less(ns, p->slept_ns);
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
