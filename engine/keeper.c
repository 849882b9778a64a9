/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keeper: a child that holds what only a restore's process has, the master of the container's console and the
 * monitor's lock, until that process has become the monitor. A console whose last master closes hangs up for ever, so
 * that a worker killed after the claim would leave a container that runs on and can never be moved again.
 *
 * ground_monitor() sends it away with a byte. End of file means that the process died: then the keeper waits until the
 * container has its name (somebody has played GO and settled it) and becomes the monitor itself, or until its first
 * process ends (it was void, and removed). It keeps nothing else open: no lock of the container, no connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "engine/ground-int.h"

#define LOOK_MS 200
enum { KEEP_PIPE = 3, KEEP_PIDFD, KEEP_MONITOR, KEEP_CONSOLE, KEEP_N };

/* The four descriptors become 3 to 6 and the only ones. The console may be missing. */
static bool only_these(const int from[KEEP_N])
{
        int at[KEEP_N];

        for (int i = KEEP_PIPE; i < KEEP_N; i++) {
                at[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, KEEP_N);
                if (from[i] >= 0 && at[i] < 0)
                        return false;
        }
        for (int i = KEEP_PIPE; i < KEEP_N; i++)
                if (at[i] < 0)
                        (void)close(i);
                else if (dup3(at[i], i, O_CLOEXEC) < 0)
                        return false;
        return syscall(SYS_close_range, KEEP_N, ~0U, 0) == 0;
}

static void keeper(const struct ground *g, int pipefd) __attribute__((noreturn));

static void keeper(const struct ground *g, int pipefd)
{
        const int from[KEEP_N] = {[KEEP_PIPE] = pipefd, [KEEP_PIDFD] = g->pidfd, [KEEP_MONITOR] = g->monitor,
                                  [KEEP_CONSOLE] = g->console};
        char path[sizeof(LIB_DIR) + CT_NAME_MAX + 8], byte;
        bool console = g->console >= 0;
        ssize_t n;

        (void)setsid();
        if (!only_these(from))
                _exit(EX_FAIL);
        do
                n = read(KEEP_PIPE, &byte, 1);
        while (n < 0 && errno == EINTR);
        if (n > 0)
                _exit(EX_OK);
        snprintf(path, sizeof(path), LIB_DIR "/ct/%s", g->ct->name);
        while (!path_exists(AT_FDCWD, path)) {
                struct pollfd p = {.fd = KEEP_PIDFD, .events = POLLIN};
                if (poll(&p, 1, LOOK_MS) > 0)
                        _exit(EX_OK);
        }
        (void)monitor_exec(g->ct, KEEP_PIDFD, console ? KEEP_CONSOLE : -1, KEEP_MONITOR, NULL);
        _exit(EX_FAIL);
}

int ground_keeper(struct ground *g, struct err *err)
{
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&g->keeper, .exit_signal = SIGCHLD};
        int p[2];

        if (pipe2(p, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot keep the console", "%s", g->ct->name);
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                keeper(g, p[0]);
        fd_close(p[0]);
        if (pid < 0) {
                fd_close(p[1]);
                g->keeper = -1;
                return err_sys(err, EX_FAIL, pid, "cannot keep the console", "%s", g->ct->name);
        }
        g->keeper_pipe = p[1];
        return 0;
}

void keeper_end(struct ground *g, bool in_order)
{
        if (g->keeper < 0)
                return;
        if (in_order && fd_write_full(g->keeper_pipe, "m", 1, NULL) == 0)
                (void)pidfd_wait(g->keeper, 2000, NULL, NULL);
        pidfd_end(g->keeper);
        g->keeper = fd_close(g->keeper);
        g->keeper_pipe = fd_close(g->keeper_pipe);
}
