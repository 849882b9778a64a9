/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker: the process that becomes a container's parent. It is forked from a command, does its work in a session of
 * its own, tells the command how it went through a pipe, and ends as the monitor by exec: children survive exec.
 *
 * It holds the container's lock together with the command (one open file description), so that the lock lasts until the
 * slower of the two has let go. A second pipe says that somebody still waits: its writing end is closed when the command
 * is killed, or by the command when SIGINT, SIGTERM or SIGHUP tell it to give up. The worker asks it before its point of no
 * return and undoes everything if nobody does; the command stays until it has heard the outcome, whichever it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "engine/ct-int.h"

struct worker {
        int pipe;    /* the outcome goes there */
        int watch;   /* ends when nobody waits for it */
};

bool worker_watched(const struct worker *w)
{
        struct pollfd p = {.fd = w->watch, .events = POLLIN};

        return poll(&p, 1, 0) == 0;
}

int worker_done(struct worker *w, struct err *err)
{
        struct err fine = {};
        int r = fd_write_full(w->pipe, &fine, sizeof(fine), err);

        w->pipe = fd_close(w->pipe);
        return r;
}

/* A signal from the terminal is the command's to answer, also one that has reached us before we had left its session. */
static void own_session(const sigset_t *before)
{
        static const int asked[] = {SIGINT, SIGTERM, SIGHUP};

        (void)setsid(); /* cannot fail in a process that was just made */
        for (int i = 0; i < 3; i++)
                (void)signal(asked[i], SIG_IGN); /* discards what is pending */
        (void)sigprocmask(SIG_SETMASK, before, NULL);
        for (int i = 0; i < 3; i++)
                (void)signal(asked[i], SIG_DFL);
}

static void worker_main(struct ct *ct, struct worker *w, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err),
                        void *ctx) __attribute__((noreturn));

static void worker_main(struct ct *ct, struct worker *w, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err),
                        void *ctx)
{
        struct err err = {};

        (void)signal(SIGPIPE, SIG_IGN); /* a lost command is an error of write(2) */
        int r = run(w, ct, ctx, &err);
        if (r < 0 && w->pipe >= 0)
                (void)fd_write_full(w->pipe, &err, sizeof(err), NULL); /* nobody may be left to read it */
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
        if (r == 0)
                return err_take(err, &told);
        /* Killed in its work: what it made goes now, while we have the lock. */
        (void)ct_tidy(ct, NULL);
        return err_set(err, EX_FAIL, "the worker process ended too early", "it was killed", "%s", ct->name);
}

/* The first signal lets the worker know; then there is only the outcome to wait for. */
static int wait_result(struct ct *ct, int fd, int *watch, int signals, struct err *err)
{
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

        while (poll(p, 2, -1) < 0 || !p[0].revents) {
                if (p[1].revents & POLLIN) {
                        *watch = fd_close(*watch);
                        p[1].fd = -1;
                }
                p[0].revents = p[1].revents = 0;
        }
        return result(ct, fd, err);
}

struct pipes { int outcome[2], watch[2]; };

static void close_pipes(struct pipes *p)
{
        for (int i = 0; i < 2; i++) {
                p->outcome[i] = fd_close(p->outcome[i]);
                p->watch[i] = fd_close(p->watch[i]);
        }
}

static int run_watched(struct ct *ct, struct pipes *p, int signals, const sigset_t *before,
                       int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err), void *ctx, struct err *err)
{
        _cleanup_close_ int pidfd = -1;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        pid_t pid = sys_clone3(&args, sizeof(args));
        int status;

        if (pid == 0) {
                struct worker w = {.pipe = p->outcome[1], .watch = p->watch[0]};
                fd_close(p->outcome[0]);
                fd_close(p->watch[1]);
                own_session(before);
                worker_main(ct, &w, run, ctx);
        }
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make a worker process", "%s", ct->name);
        p->outcome[1] = fd_close(p->outcome[1]);
        p->watch[0] = fd_close(p->watch[0]);
        int r = wait_result(ct, p->outcome[0], &p->watch[1], signals, err);
        if (r < 0)
                (void)pidfd_wait(pidfd, 1000, &status, NULL); /* it ends by itself; init reaps it otherwise */
        return r;
}

int worker_run(struct ct *ct, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err), void *ctx, struct err *err)
{
        struct pipes p = {{-1, -1}, {-1, -1}};
        sigset_t set, before;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        if (pipe2(p.outcome, O_CLOEXEC) < 0 || pipe2(p.watch, O_CLOEXEC) < 0 || sigprocmask(SIG_BLOCK, &set, &before) < 0) {
                int saved = errno;
                close_pipes(&p);
                return err_sys(err, EX_FAIL, saved, "cannot make a worker process", "%s", ct->name);
        }
        _cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        int r = run_watched(ct, &p, signals, &before, run, ctx, err);
        close_pipes(&p);
        /* What came is consumed: it has been answered. After a success they stay blocked: what is done is reported, and not
         * hidden behind a signal that came too late. */
        struct signalfd_siginfo si;
        while (signals >= 0 && read(signals, &si, sizeof(si)) > 0)
                ;
        if (r < 0)
                (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}
