/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes by pidfd (base/pidfd.h): open, signal, wait, end.
 *
 * A pidfd becomes readable when its process has ended, zombie or reaped (5.3). waitid(P_PIDFD) reaps our own child
 * (5.4). A pidfd never means another process, so a signal by it cannot hit a number that was used again.
 */
#include "base/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/parse.h"
#include "base/sys.h"
#include "base/timer.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int pidfd_open_proc(pid_t pid, struct err *err)
{
        int fd = sys_pidfd_open(pid, 0);

        if (fd < 0)
                return err_sys(err, fd == -ESRCH ? EX_UNKNOWN : EX_FAIL, fd, "cannot open a process", "pid %d", pid);
        return fd;
}

int pidfd_signal(int pidfd, int sig, struct err *err)
{
        int r = sys_pidfd_send_signal(pidfd, sig, 0);

        if (r == -ESRCH)
                return 1;
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot signal a process", "signal %d", sig) : 0;
}

/* 0: ended, 1: not within ms (< 0: for ever). */
static int poll_end(int pidfd, int ms, struct err *err)
{
        uint64_t until = now_ns() + (uint64_t)(ms < 0 ? 0 : ms) * 1000000;

        for (;;) {
                struct pollfd p = {.fd = pidfd, .events = POLLIN};
                int r = poll(&p, 1, ms);
                if (r > 0)
                        return 0;
                if (r == 0)
                        return 1;
                if (errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot wait for a process", "descriptor %d", pidfd);
                if (ms >= 0) {
                        uint64_t now = now_ns();
                        ms = now >= until ? 0 : (int)((until - now + 999999) / 1000000);
                }
        }
}

int pidfd_wait(int pidfd, int ms, int *ret_status, struct err *err)
{
        siginfo_t si = {};
        int r = poll_end(pidfd, ms, err);

        if (r != 0)
                return r;
        do
                r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return err_sys(err, EX_FAIL, errno, "cannot wait for a process", "descriptor %d", pidfd);
        if (ret_status)
                *ret_status = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
        return 0;
}

int pidfd_alive(int pidfd)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        return pidfd >= 0 && poll(&p, 1, 0) == 0;
}

int pidfd_pid(int pidfd, pid_t *ret, struct err *err)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        uint64_t pid;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        int r = path_read(AT_FDCWD, path, &text, NULL, err);
        if (r < 0)
                return r;
        const char *p = strstr(text, "\nPid:\t");
        if (!p)
                return err_set(err, EX_FAIL, "cannot tell a process number", "not a pidfd", "descriptor %d", pidfd);
        p += 6;
        /* -1: gone; 0: it lives in a pid namespace that ours does not see. */
        if (!scan_u64(&p, &pid) || pid == 0 || pid > INT32_MAX)
                return err_set(err, EX_UNKNOWN, "cannot tell a process number", "it has ended or is out of sight",
                               "descriptor %d", pidfd);
        *ret = (pid_t)pid;
        return 0;
}

void pidfd_end(int pidfd)
{
        if (pidfd < 0)
                return;
        if (pidfd_signal(pidfd, SIGKILL, NULL) < 0)
                return; /* it may live on, so waiting could hang */
        siginfo_t si;
        int r;
        do
                r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED);
        while (r < 0 && errno == EINTR);
}
