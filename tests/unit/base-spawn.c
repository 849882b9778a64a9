/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/spawn.c: no shell, nothing inherited, statuses, output with limits, programs that leave daemons.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/pidfd.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/timer.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(text) ARGV("sh", "-c", text)

Test(spawn, status)
{
        struct err e = {};
        int status = -1;

        cr_assert_eq(spawn_run(ARGV("true"), &status, &e), 0);
        cr_assert_eq(status, 0);
        cr_assert_not(err_is_set(&e));
        cr_assert_eq(spawn_run(SH("echo first >&2; echo last words >&2; exit 3"), &status, &e), 0);
        cr_assert_eq(status, 3);
        cr_assert_str_eq(e.why, "last words");
        cr_assert_eq(spawn_run(SH("kill -TERM $$"), &status, &e), 0);
        cr_assert_eq(status, 128 + SIGTERM);
}

Test(spawn, check)
{
        struct err e = {};

        cr_assert_eq(spawn_check(EX_DISK, ARGV("true"), &e), 0);
        cr_assert_eq(spawn_check(EX_DISK, SH("echo bad disk >&2; exit 1"), &e), -EX_DISK);
        cr_assert_str_eq(e.why, "bad disk");
        cr_assert_eq(spawn_check(EX_DISK, ARGV("false"), &e), -EX_DISK);
        cr_assert_str_eq(e.why, "exit status 1");
}

Test(spawn, check_in)
{
        struct err e = {};
        int p[2];

        cr_assert_eq(pipe(p), 0);
        cr_assert_eq(write(p[1], "word\n", 5), 5);
        cr_assert_eq(spawn_check_in(EX_DISK, SH("read w; echo got $w >&2; exit 1"), p[0], &e), -EX_DISK);
        cr_assert_str_eq(e.why, "got word");
        close(p[0]);
        close(p[1]);
}

Test(spawn, missing_program)
{
        struct err e = {};
        int fd = -1;
        struct spawn s = {.argv = ARGV("/nonexistent/program"), .in = -1, .out = -1, .errfd = -1};

        cr_assert_lt(spawn_check(EX_FAIL, ARGV("gantry-no-such-program"), &e), 0);
        cr_assert(e.remedy[0]);
        cr_assert_lt(spawn_start(&s, &fd, &e), 0);
        cr_assert_eq(e.sys, ENOENT);
        cr_assert_eq(fd, -1);
}

Test(spawn, output)
{
        struct err e = {};
        _cleanup_free_ char *s = NULL;
        char *none = NULL;

        cr_assert_eq(spawn_output(ARGV("echo", "a  b", "$HOME"), &s, &e), 0, "%s", e.why);
        cr_assert_str_eq(s, "a  b $HOME\n", "no shell looks at the arguments");
        cr_assert_lt(spawn_output(SH("echo x; echo why >&2; exit 1"), &none, &e), 0);
        cr_assert_str_eq(e.why, "why");
        cr_assert_lt(spawn_output(SH("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"),
                                  &none, &e),
                     0, "more than a mebibyte is refused and the program ended");
        cr_assert_null(none);
}

Test(spawn, both_outputs_full)
{
        struct err e = {};
        _cleanup_free_ char *s = NULL;

        /* More than a pipe holds on each side, so that reading one after the other would hang. */
        cr_assert_eq(spawn_output(SH("head -c 300000 /dev/zero | tr '\\0' e >&2; head -c 300000 /dev/zero | tr '\\0' o"), &s,
                                  &e),
                     0);
        cr_assert_eq(strlen(s), 300000);
}

Test(spawn, a_daemon_does_not_hold_us_up)
{
        struct err e = {};
        _cleanup_free_ char *s = NULL;
        uint64_t t = now_ns();

        cr_assert_eq(spawn_output(SH("sleep 20 & echo done"), &s, &e), 0);
        cr_assert_str_eq(s, "done\n");
        cr_assert_lt(now_ns() - t, UINT64_C(10000000000));
}

Test(spawn, nothing_is_inherited)
{
        struct err e = {};
        _cleanup_free_ char *fds = NULL, *env = NULL, *mask = NULL;
        sigset_t all;

        int leak = fcntl(0, F_DUPFD, 50); /* without CLOEXEC */
        cr_assert_geq(leak, 50);
        cr_assert_eq(setenv("LD_PRELOAD_X", "evil", 1), 0);
        cr_assert_eq(unsetenv("SSH_AUTH_SOCK"), 0);
        signal(SIGPIPE, SIG_IGN);
        sigfillset(&all);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
        cr_assert_eq(spawn_output(ARGV("ls", "/proc/self/fd"), &fds, &e), 0);
        cr_assert_str_eq(fds, "0\n1\n2\n3\n", "3 is the directory itself");
        cr_assert_eq(spawn_output(ARGV("env"), &env, &e), 0);
        cr_assert(strstr(env, "PATH=/usr/local/sbin:"));
        cr_assert_null(strstr(env, "evil"));
        cr_assert_eq(spawn_output(ARGV("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"), &mask, &e), 0);
        cr_assert_str_eq(mask, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

Test(spawn, descriptors_in_any_order)
{
        struct err e = {};
        int status = -1, pidfd = -1;
        _cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
        char buf[16] = "";

        cr_assert_eq(write(in, "text", 4), 4);
        cr_assert_eq(lseek(in, 0, SEEK_SET), 0);
        /* Numbers 0-2 crosswise. */
        cr_assert_eq(dup2(out, 0), 0);
        cr_assert_eq(dup2(in, 1), 1);
        struct spawn s = {.argv = ARGV("cat"), .in = 1, .out = 0, .errfd = -1, .setsid = true};
        cr_assert_eq(spawn_start(&s, &pidfd, &e), 0, "%s", e.why);
        cr_assert_eq(pidfd_wait(pidfd, -1, &status, &e), 0);
        cr_assert_eq(status, 0);
        cr_assert_eq(pread(out, buf, sizeof(buf) - 1, 0), 4);
        cr_assert_str_eq(buf, "text");
        close(pidfd);
}
