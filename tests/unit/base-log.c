/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/log.c and base/timer.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/timer.h"

Test(log, topics)
{
        unsigned t = 0;
        struct err e = {};

        cr_assert_eq(log_topics_parse("all", &t, &e), 0);
        cr_assert_eq(t, (1u << LOG_N) - 1);
        cr_assert_eq(log_topics_parse("none", &t, &e), 0);
        cr_assert_eq(t, 0);
        cr_assert_eq(log_topics_parse("tape,dump", &t, &e), 0);
        cr_assert_eq(t, 1u << LOG_TAPE | 1u << LOG_DUMP);
        static const char *const bad[] = {"", "tape,", ",tape", "tap", "tapes", "tape dump"};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_eq(log_topics_parse(bad[i], &t, &e), -EX_USAGE, "\"%s\"", bad[i]);
}

Test(log, one_line_per_call)
{
        _cleanup_close_ int fd = memfd_create("log", MFD_CLOEXEC);
        struct log log = {.fd = fd, .topics = 1u << LOG_DUMP};
        _cleanup_free_ char *s = NULL;
        size_t len;
        char big[3000];

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        errno = ENOENT;
        log_debug(&log, LOG_DUMP, "n = %d", 5);
        log_debug(&log, LOG_TAPE, "silent");
        log_debug(NULL, LOG_DUMP, "silent");
        log_debug(&log, LOG_DUMP, "%s", big);
        cr_assert_eq(errno, ENOENT);
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        cr_assert_eq(fd_read_all(fd, 10000, &s, &len, NULL), 0);
        char *nl = strchr(s, '\n');
        cr_assert_not_null(nl);
        *nl = '\0';
        cr_assert(strstr(s, " dump: n = 5"));
        cr_assert_eq(strchr(nl + 1, '\n'), s + len - 1, "a long line is cut and still ends");
        cr_assert_leq(strlen(nl + 1), 1024);
}

Test(log, a_broken_log_disturbs_nobody)
{
        struct log log = {.fd = -1, .topics = ~0u};

        errno = EINTR;
        log_debug(&log, LOG_NET, "lost");
        cr_assert_eq(errno, EINTR);
}

Test(timer, phases_sum_up)
{
        struct timers t = {};
        uint64_t before = now_ns();

        timers_start(&t, "a");
        timers_start(&t, "b");
        timers_start(&t, "a");
        timers_stop(&t);
        timers_stop(&t);
        cr_assert_eq(t.n, 3);
        cr_assert_eq(t.at[0].end_ns <= t.at[1].start_ns, true);
        cr_assert_eq(timers_ns(&t, "a"), t.at[0].end_ns - t.at[0].start_ns + t.at[2].end_ns - t.at[2].start_ns);
        cr_assert_eq(timers_ns(&t, "c"), 0);
        cr_assert_geq(t.at[0].start_ns, before);
        cr_assert_leq(t.at[2].end_ns, now_ns());
}

Test(timer, a_full_table_takes_no_more)
{
        struct timers t = {};

        for (int i = 0; i < 1000; i++)
                timers_start(&t, "x");
        cr_assert_eq(t.n, ELEMENTSOF(t.at));
}
