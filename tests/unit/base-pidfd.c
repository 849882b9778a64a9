/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/pidfd.c: signals, waiting, ending, numbers.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "base/timer.h"

/* A child that sleeps, or exits with `code` at once if it is ≥ 0. */
static int child(int code, pid_t *ret_pid)
{
        int pidfd = -1;
        struct clone_args a = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        pid_t pid = sys_clone3(&a, sizeof(a));

        cr_assert_geq(pid, 0);
        if (pid == 0) {
                while (code < 0)
                        pause();
                _exit(code);
        }
        if (ret_pid)
                *ret_pid = pid;
        return pidfd;
}

Test(pidfd, exit_status)
{
        struct err e = {};
        int status = -1;
        _cleanup_close_ int fd = child(7, NULL);

        cr_assert_eq(pidfd_wait(fd, -1, &status, &e), 0);
        cr_assert_eq(status, 7);
        cr_assert_lt(pidfd_wait(fd, 0, &status, &e), 0, "it has been reaped");
        cr_assert_eq(e.sys, ECHILD);
}

Test(pidfd, signals_and_limits)
{
        struct err e = {};
        int status = -1;
        pid_t pid, told = 0;
        _cleanup_close_ int fd = child(-1, &pid);

        cr_assert_eq(pidfd_alive(fd), 1);
        cr_assert_eq(pidfd_pid(fd, &told, &e), 0);
        cr_assert_eq(told, pid);
        uint64_t t = now_ns();
        cr_assert_eq(pidfd_wait(fd, 30, &status, &e), 1);
        cr_assert_geq(now_ns() - t, 30000000);
        cr_assert_eq(pidfd_signal(fd, SIGUSR1, &e), 0);
        cr_assert_eq(pidfd_wait(fd, -1, &status, &e), 0);
        cr_assert_eq(status, 128 + SIGUSR1);
        cr_assert_eq(pidfd_signal(fd, SIGTERM, &e), 1, "already gone");
        cr_assert_eq(pidfd_alive(fd), 0);
        cr_assert_eq(pidfd_pid(fd, &told, &e), -EX_UNKNOWN);
}

Test(pidfd, end_reaps_and_may_be_repeated)
{
        pid_t pid;
        _cleanup_close_ int fd = child(-1, &pid);

        pidfd_end(fd);
        cr_assert_eq(waitpid(pid, NULL, WNOHANG), -1);
        cr_assert_eq(errno, ECHILD);
        pidfd_end(fd);
        pidfd_end(-1);
        cr_assert_eq(pidfd_alive(-1), 0);
}

Test(pidfd, open)
{
        struct err e = {};
        _cleanup_close_ int self = pidfd_open_proc(getpid(), &e);

        cr_assert_geq(self, 0);
        pid_t pid;
        _cleanup_close_ int fd = child(0, &pid);
        cr_assert_eq(pidfd_wait(fd, -1, NULL, &e), 0);
        cr_assert_eq(pidfd_open_proc(pid, &e), -EX_UNKNOWN);
        cr_assert_lt(pidfd_open_proc(-1, &e), 0);
        _cleanup_close_ int not_one = open("/dev/null", O_RDONLY | O_CLOEXEC);
        cr_assert_lt(pidfd_pid(not_one, &pid, &e), 0);
}
