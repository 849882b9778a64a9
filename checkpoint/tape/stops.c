/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for the stops of a traced thread, and from one stop to another.
 *
 *      running --INTERRUPT--> EVENT_STOP <--settle-- any stop --to_syscall_stop--> entry or exit of a call
 *
 * A thread rests in a stop from which raw registers with rax -512…-516 work: EVENT_STOP or a signal stop, never a
 * syscall-exit stop (CONT from there shows -516 to the program).
 *
 * Kernel facts (6.18, observed): INTERRUPT of a group-stopped task, and SIGCONT, leave one more EVENT_STOP that arrives in
 * the middle of the next run and is swallowed; a signal may be delivered before the EVENT_STOP and is passed on.
 *
 * What has ended is seen here as well, and reaped as far as a tracer must. Not here: who is stopped and why (seize.c).
 */
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/timer.h"
#include "checkpoint/tape/tracee-int.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

#define SPIN_NS 100000         /* a stop takes 8–50 us: yielding that long beats sleeping */
#define SLEEP_MAX_NS 1000000
#define CALL_MS 10000          /* an injected call that has not ended by then will not */

static void pace(uint64_t waited)
{
        struct timespec ts = { 0 };

        if (waited < SPIN_NS) {
                sched_yield();
                return;
        }
        uint64_t ns = waited / 8;
        ts.tv_nsec = (long)(ns > SLEEP_MAX_NS ? SLEEP_MAX_NS : ns);
        nanosleep(&ts, NULL);
}

static enum stop classify(struct tracee *t, int status, int *ret_sig)
{
        int sig = status & 0xff, event = status >> 8;

        t->stopped = true;
        *ret_sig = sig;
        if (event == PTRACE_EVENT_STOP) {
                t->group_stopped = sig == SIGTRAP ? 0 : sig;
                return STOP_EVENT;
        }
        if (event)
                return STOP_OTHER;
        return sig == (SIGTRAP | 0x80) ? STOP_SYSCALL : STOP_SIGNAL;
}

struct family { pid_t tgid, ppid; };

static bool family_of(pid_t tid, struct family *ret)
{
        struct proc_kv kv[128];
        size_t n = 0, len;
        uint64_t tgid = 0, ppid = 0;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int procfd = proc_open(tid, NULL);

        if (procfd < 0 || proc_read(procfd, "status", &text, &len, NULL) < 0 ||
            proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, NULL) < 0)
                return false;
        const char *a = proc_kv_get(kv, n, "Tgid"), *b = proc_kv_get(kv, n, "PPid");
        if (!a || !b || parse_u64(a, 0, INT32_MAX, &tgid, NULL) < 0 ||
            parse_u64(b, 0, INT32_MAX, &ppid, NULL) < 0)
                return false;
        *ret = (struct family){ (pid_t)tgid, (pid_t)ppid };
        return true;
}

/* What has ended has to be reaped by its tracer, or its parent cannot: threads, and processes of other parents. A child of ours is
 * left to whoever made it, who wants its status. A leader is not seen before its last thread is reaped, so that looks
 * after it. */
static enum stop ended(struct tracee *t, bool known)
{
        struct family f = { 0, 0 };
        siginfo_t si;

        t->gone = true;
        t->stopped = false;
        if (!known)
                return STOP_GONE;
        bool told = family_of(t->tid, &f), ours = told && f.ppid == getpid();
        if (!ours || f.tgid != t->tid)
                (void)waitid(P_PID, (id_t)t->tid, &si, WEXITED | WNOHANG | __WALL);
        if (told && !ours && f.tgid != t->tid)
                (void)waitid(P_PID, (id_t)f.tgid, &si, WEXITED | WNOHANG | __WALL);
        return STOP_GONE;
}

/* A zombie that is not seen: a leader before its last thread, which reaps it then. */
static bool left_to_parent(struct tracee *t)
{
        struct proc_stat st = { 0 };
        _cleanup_close_ int procfd = proc_open(t->tid, NULL);

        return procfd < 0 || proc_stat_read(procfd, &st, NULL) < 0 || st.state == 'Z';
}

enum stop tracee_next_stop(struct tracee *t, unsigned ms, int *ret_sig)
{
        uint64_t start = now_ns(), waited = 0;

        for (;;) {
                siginfo_t si = { 0 };
                int r = waitid(P_PID, (id_t)t->tid, &si, WSTOPPED | WNOHANG | __WALL);

                if (r == 0 && si.si_pid == t->tid)
                        return classify(t, si.si_status, ret_sig);
                /* Its end is only looked at. A stop that has come meanwhile shows too, whatever is asked for. */
                r = waitid(P_PID, (id_t)t->tid, &si, WEXITED | WNOWAIT | WNOHANG | __WALL);
                if (r < 0 && errno != EINTR)
                        return ended(t, false);
                if (r == 0 && si.si_pid == t->tid) {
                        if (si.si_code == CLD_EXITED || si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED)
                                return ended(t, true);
                        continue;
                }
                if (waited >= ms * UINT64_C(1000000))
                        return STOP_NONE;
                pace(waited);
                waited = now_ns() - start;
        }
}

int tracee_lost(struct tracee *t, const char *what, struct err *err)
{
        if (t->gone)
                return err_sys(err, EX_FAIL, ESRCH, what, "thread %d has ended", (int)t->tid);
        return err_set(err, EX_BUSY, what, "it makes no progress (frozen cgroup, or blocked)", "thread %d", (int)t->tid);
}

void tracee_settle_begin(struct tracee *t)
{
        if (!t->stopped)
                tracee_interrupt(t);
        else if (tracee_interrupt(t) < 0 || tracee_resume(t, RESUME_CONT, 0) < 0)
                t->stopped = false;
}

int tracee_settle_end(struct tracee *t, struct err *err)
{
        int sig = 0;

        for (;;) {
                switch (tracee_next_stop(t, CALL_MS, &sig)) {
                case STOP_EVENT:
                        return 0;
                case STOP_GONE:
                case STOP_NONE:
                        return tracee_lost(t, "cannot stop a thread", err);
                case STOP_SIGNAL:
                        tracee_resume(t, RESUME_CONT, sig == SIGTRAP ? 0 : sig);
                        break;
                case STOP_SYSCALL:
                case STOP_OTHER:
                default:
                        tracee_resume(t, RESUME_CONT, 0);
                        break;
                }
        }
}

int tracee_settle(struct tracee *t, struct err *err)
{
        tracee_settle_begin(t);
        return tracee_settle_end(t, err);
}

int tracee_syscall_stop(struct tracee *t, struct err *err)
{
        int sig = 0;

        for (;;) {
                switch (tracee_next_stop(t, CALL_MS, &sig)) {
                case STOP_SYSCALL:
                        return 0;
                case STOP_GONE:
                case STOP_NONE:
                        return tracee_lost(t, "cannot run a call in a thread", err);
                case STOP_SIGNAL: /* all are blocked but SIGSTOP: it takes effect, and the next EVENT_STOP is passed over */
                        if (sig == SIGSEGV || sig == SIGILL || sig == SIGBUS)
                                return err_set(err, EX_FAIL, "cannot run a call in a thread",
                                               "there is no system call instruction at that address", "thread %d",
                                               (int)t->tid);
                        break;
                case STOP_EVENT:
                case STOP_OTHER:
                default:
                        sig = 0;
                        break;
                }
                tracee_resume(t, RESUME_SYSCALL, sig);
        }
}

int tracee_to_syscall_stop(struct tracee *t, struct err *err)
{
        tracee_resume(t, RESUME_SYSCALL, 0);
        return tracee_syscall_stop(t, err);
}

void tracee_await_ends(struct tracee *t[], size_t n, unsigned ms)
{
        uint64_t start = now_ns(), waited = 0;
        bool left = true;
        int sig = 0;

        while (left && waited < ms * UINT64_C(1000000)) {
                left = false;
                for (size_t i = 0; i < n; i++) {
                        if (!t[i] || t[i]->gone)
                                continue;
                        enum stop s = tracee_next_stop(t[i], 0, &sig);
                        if (s != STOP_GONE && s != STOP_NONE)
                                tracee_resume(t[i], RESUME_CONT, 0);
                        bool zombie = s != STOP_GONE && left_to_parent(t[i]);
                        if (zombie) /* perhaps only since we looked: then it is ours to reap */
                                s = tracee_next_stop(t[i], 0, &sig);
                        left = left || (s != STOP_GONE && !zombie);
                }
                pace(waited);
                waited = now_ns() - start;
        }
}
