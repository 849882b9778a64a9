/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ends of interrupted sleeps, as sleepers_read() tells them, also of calls that a stop has interrupted before; and what else only the
 * kernel knows of a thread.
 */
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "checkpoint/tape/sleepers.h"
#include "tests/system/tape-common.h"

#define LONG_MS 20000

static const struct timespec span = { LONG_MS / 1000, 0 };

static void call_of(struct board *b)
{
        uint32_t word = 0;
        const struct timespec *volatile none = NULL;
        b->ready = 1;
        switch ((int)b->v[0]) {
        case 0:
                syscall(SYS_nanosleep, &span, none);
                break;
        case 1:
                syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &span, NULL);
                break;
        case 2:
                syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &span, NULL, 0);
                break;
        case 3:
                syscall(SYS_poll, NULL, 0, LONG_MS);
                break;
        default:
                syscall(SYS_poll, NULL, 0, -1);
                break;
        }
        b->bad = 1;
}

static void ends(void)
{
        static const long nr[] = { SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_poll, SYS_poll };
        static struct cpu_state s;
        struct sleepers *sl = NULL;
        int r = sleepers_open(&sl, NULL);

        if (r == 1)
                SKIP("no BTF, or built without clang");
        CHECK(r == 0);
        for (int i = 0; i < 5; i++) {
                struct board *b = board_new();
                b->v[0] = i;
                pid_t p = victim(call_of, b);
                uint64_t start = now_ns();
                UNTIL(b->ready && proc_state(p) == 'S');
                for (int k = 0; k < 3; k++) {
                        sleep_ms(150);
                        struct tracee *t = stop(p);
                        exercise(t);
                        DO(sleepers_read(sl, &t, 1, &err));
                        DO(tracee_get(t, &s, &err));
                        uint64_t passed = now_ns() - start, want = LONG_MS * MS - passed;
                        CHECK((int64_t)s.regs.rax == -516 && (long)s.regs.orig_rax == nr[i]);
                        CHECK(s.left_known == (i < 4));
                        if (s.left_known && (s.left_ns + 50 * MS < want || s.left_ns > want + 100 * MS))
                                FAIL("case %d: %llu ms are left, not %llu", i, (unsigned long long)(s.left_ns / MS),
                                     (unsigned long long)(want / MS));
                        DO(tracee_detach(t, &err));
                }
                int fd = pidfd_open_proc(p, NULL);
                DO(pidfd_signal(fd, SIGKILL, &err));
                close(fd);
                waitpid(p, NULL, 0);
        }
        sleepers_close(sl);
        sleepers_close(NULL);
}

static void dispatching(struct board *b)
{
        static char allow;   /* SYSCALL_DISPATCH_FILTER_ALLOW */

        if (b->v[0] && prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &allow) < 0)
                b->bad = 1;
        b->ready = 1;
        for (;;)
                pause();
}

/* System call user dispatch, which ptrace tells since 6.4, is told on any kernel; and nobody here has a binfmt_misc of its own. */
static void bits(void)
{
        struct sleepers *sl = NULL;

        if (sleepers_open(&sl, NULL) == 1)
                SKIP("no BTF, or built without clang");
        for (int on = 0; on < 2; on++) {
                struct board *b = board_new();
                struct sleeper_bits got = { true, true };
                b->v[0] = on;
                pid_t p = victim(dispatching, b);
                UNTIL(b->ready);
                CHECK(!b->bad);
                CHECK(sleepers_bits(sl, p, &got) == 0);
                CHECK(got.sud == (on == 1));
                int fd = pidfd_open_proc(p, NULL);
                DO(pidfd_signal(fd, SIGKILL, &err));
                close(fd);
                waitpid(p, NULL, 0);
        }
        CHECK(sleepers_bits(NULL, getpid(), &(struct sleeper_bits){ 0 }) == 1);
        sleepers_close(sl);
}

int main(int argc, char **argv)
{
        static const struct test tests[] = { { "ends", ends }, { "bits", bits } };
        return run_tests(tests, ELEMENTSOF(tests), argc > 1 ? argv[1] : NULL);
}
