/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that ends or stops as it is told. To end is nothing for a tape, whose agent comes back: the process is let go at the agent's `syscall`
 * instruction with the registers of exit_group(2), or of pause(2) with nothing blocked, and is sent its signal there.
 *
 * Let go before it ends, because a tracer would have to reap what is to be left to the parent: also no signal is sent earlier,
 * for SIGKILL does not wait for a tracer.
 *
 * To stop: SIGSTOP is sent, which nobody can block or ignore, and at its delivery the signal that is wanted is put in its
 * place. The kernel keeps the group stop in effect while we hold the process (SIGNAL_STOP_STOPPED) and enforces it at detach. An
 * INTERRUPT beside it sees to it that no user instruction runs where the kernel ignores the signal (an orphaned process group).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/pidfd.h"
#include "checkpoint/tape/tracee-int.h"

#define END_MS 5000

static int set_end(struct tracee *t, int status, struct err *err)
{
        _cleanup_free_ struct cpu_state *s = calloc(1, sizeof(*s));

        if (!s)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot end a process", "process %d", (int)t->tid);
        s->regs = t->regs;
        s->regs.rip = agent_insn(t);
        s->regs.rax = WIFSIGNALED(status) ? SYS_pause : SYS_exit_group;
        s->regs.rdi = (unsigned long long)WEXITSTATUS(status);
        s->regs.orig_rax = UINT64_MAX; /* in no system call: nothing is restarted */
        s->sigmask = WIFSIGNALED(status) ? 0 : MASK_ALL;
        return tracee_set(t, s, err);
}

static int await_end(int pidfd, pid_t pid, struct err *err)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        int r;

        do
                r = poll(&p, 1, END_MS);
        while (r < 0 && errno == EINTR);
        if (r > 0)
                return 0;
        return err_set(err, EX_FAIL, "cannot end a process", "it goes on", "process %d", (int)pid);
}

int tracee_group_stop(struct tracee *t, int sig, struct err *err)
{
        _cleanup_close_ int pidfd = pidfd_open_proc(t->tid, err);
        bool delivered = false;
        int got = 0;

        if (pidfd < 0)
                return pidfd;
        int r = tracee_foreign(t, &t->regs, MASK_AGENT & ~(UINT64_C(1) << (sig - 1)), err);
        if (r == 0)
                r = pidfd_signal(pidfd, SIGSTOP, err);
        if (r != 0)
                return r < 0 ? r : tracee_lost(t, "cannot stop a process", err);
        if (tracee_resume(t, RESUME_CONT, 0) < 0)
                return tracee_lost(t, "cannot stop a process", err);
        for (;;) {
                enum stop s = tracee_next_stop(t, END_MS, &got);
                if (s == STOP_EVENT && delivered)
                        break;
                bool its = s == STOP_SIGNAL && got == SIGSTOP;
                if (s == STOP_GONE || s == STOP_NONE || (its && tracee_interrupt(t) < 0) || tracee_resume(t, RESUME_CONT, its ? sig : 0) < 0)
                        return tracee_lost(t, "cannot stop a process", err);
                delivered = delivered || its;
        }
        r = tracee_own(t, err);
        if (r == 0 && t->group_stopped != sig)
                r = err_set(err, EX_FAIL, "cannot stop a process", "its signal is ignored", "process %d, signal %d", (int)t->tid, sig);
        return r;
}

int tracee_exit(struct tracee *t, int status, struct err *err)
{
        pid_t pid = t->tid;
        _cleanup_close_ int pidfd = pidfd_open_proc(pid, err);
        int r = pidfd < 0 ? pidfd : set_end(t, status, err);

        if (r < 0) {
                (void)tracee_detach(t, NULL); /* with what it had; its tree is undone by the caller */
                return r;
        }
        r = tracee_detach(t, err);
        if (r >= 0 && WIFSIGNALED(status))
                r = pidfd_signal(pidfd, WTERMSIG(status), err);
        return r < 0 ? r : await_end(pidfd, pid, err);
}
