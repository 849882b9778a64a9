/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker: the process that becomes a container's parent. It is forked from a command, does its work in a session of
 * its own, tells the command how it went through a pipe, and ends as the monitor by exec: children survive exec.
 *
 * It holds the container's lock together with the command (one open file description), so that the lock lasts until the
 * slower of the two has let go. A command that is interrupted or killed while the worker is at work is noticed by the pipe's
 * lost reader; the worker then undoes everything before its point of no return.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "engine/ct-int.h"

struct worker {
        int pipe;
};

bool worker_watched(const struct worker *w)
{
        struct pollfd p = {.fd = w->pipe};

        return poll(&p, 1, 0) >= 0 && !(p.revents & POLLERR);
}

int worker_done(struct worker *w, struct err *err)
{
        struct err fine = {};
        int r = fd_write_full(w->pipe, &fine, sizeof(fine), err);

        w->pipe = fd_close(w->pipe);
        return r;
}

static void worker_main(struct ct *ct, int pipefd, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err),
                        void *ctx) __attribute__((noreturn));

static void worker_main(struct ct *ct, int pipefd, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err),
                        void *ctx)
{
        struct worker w = {.pipe = pipefd};
        struct err err = {};

        (void)setsid();                /* cannot fail in a process that was just made */
        (void)signal(SIGPIPE, SIG_IGN); /* a lost command is an error of write(2) */
        int r = run(&w, ct, ctx, &err);
        if (r < 0 && w.pipe >= 0)
                (void)fd_write_full(w.pipe, &err, sizeof(err), NULL); /* nobody may be left to read it */
        _exit(r < 0 ? EX_FAIL : EX_OK);
}

static int result(struct ct *ct, int fd, struct err *err)
{
        struct err told = {};
        size_t got = 0;
        int r = fd_read_full(fd, &told, sizeof(told), &got, err);

        if (r < 0)
                return r;
        if (r == 0 && !told.code)
                return 0;
        if (r == 0) {
                *err = told;
                return -told.code;
        }
        /* Killed in its work: what it made goes now, while we have the lock. */
        (void)ct_tidy(ct, NULL);
        return err_set(err, EX_FAIL, "the worker process ended too early", "it was killed", "%s", ct->name);
}

int worker_run(struct ct *ct, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err), void *ctx, struct err *err)
{
        _cleanup_close_ int rd = -1, wr = -1, pidfd = -1;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        int fds[2], status;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a worker process", "%s", ct->name);
        rd = fds[0];
        wr = fds[1];
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0) {
                rd = fd_close(rd);
                worker_main(ct, wr, run, ctx);
        }
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make a worker process", "%s", ct->name);
        wr = fd_close(wr);
        int r = result(ct, rd, err);
        if (r < 0)
                (void)pidfd_wait(pidfd, 1000, &status, NULL); /* it ends by itself; init reaps it otherwise */
        return r;
}
