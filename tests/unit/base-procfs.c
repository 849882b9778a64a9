/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/procfs.c: stat, status, fdinfo as the kernel writes them and as nobody should.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/str.h"

static const char stat_line[] =
        "4711 (a) b\n (c)) S 1 4711 4710 34816 -1 4194560 100 0 0 0 11 12 0 0 20 -5 3 0 987654 8192000 1500 "
        "18446744073709551615 94000000000000 94000000100000 140730000000000 0 0 0 0 16781312 134238211 0 0 0 17 1 7 2 0 0 0 "
        "94000000200000 94000000300000 94000000400000 140730000000100 140730000000200 140730000000300 140730000000400 256\n";

Test(procfs, stat)
{
        struct proc_stat s;
        struct err e = {};

        cr_assert_eq(proc_stat_parse(stat_line, strlen(stat_line), &s, &e), 0, "%s", e.on);
        cr_assert_eq(s.pid, 4711);
        cr_assert_str_eq(s.comm, "a) b\n (c)");
        cr_assert_eq(s.state, 'S');
        cr_assert_eq(s.ppid, 1);
        cr_assert_eq(s.pgrp, 4711);
        cr_assert_eq(s.session, 4710);
        cr_assert_eq(s.tty_nr, 34816);
        cr_assert_eq(s.tpgid, -1);
        cr_assert_eq(s.flags, 4194560);
        cr_assert_eq(s.utime, 11);
        cr_assert_eq(s.stime, 12);
        cr_assert_eq(s.nice, -5);
        cr_assert_eq(s.num_threads, 3);
        cr_assert_eq(s.starttime, 987654);
        cr_assert_eq(s.vsize, 8192000);
        cr_assert_eq(s.start_code, 94000000000000);
        cr_assert_eq(s.end_code, 94000000100000);
        cr_assert_eq(s.start_stack, 140730000000000);
        cr_assert_eq(s.exit_signal, 17);
        cr_assert_eq(s.processor, 1);
        cr_assert_eq(s.rt_priority, 7);
        cr_assert_eq(s.policy, 2);
        cr_assert_eq(s.start_data, 94000000200000);
        cr_assert_eq(s.end_data, 94000000300000);
        cr_assert_eq(s.start_brk, 94000000400000);
        cr_assert_eq(s.arg_start, 140730000000100);
        cr_assert_eq(s.env_end, 140730000000400);
        cr_assert_eq(s.exit_code, 256);
}

Test(procfs, stat_refuses)
{
        static const char *const bad[] = {"", "1", "1 (a", "1 a) S 1", "(a) S", "1 (a)", "1 (a) ", "1 (a) S 1 2 3",
                                          ") 1 (a", "-1 (a) S"};
        char text[4096];
        struct proc_stat s;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_lt(proc_stat_parse(bad[i], strlen(bad[i]), &s, NULL), 0, "%s", bad[i]);
        for (size_t cut = 1; cut < strlen(stat_line) - 4; cut += 7)
                cr_expect_lt(proc_stat_parse(stat_line, strlen(stat_line) - 4 - cut, &s, NULL), 0, "%zu", cut);
        memset(text, 'x', sizeof(text));
        memcpy(text, "1 (", 3);
        memcpy(text + 100, ") S 1", 5);
        cr_assert_lt(proc_stat_parse(text, 200, &s, NULL), 0, "a name that is too long");
        cr_assert_lt(proc_stat_parse(text, sizeof(text), &s, NULL), 0);
}

Test(procfs, own_stat)
{
        struct proc_stat s;
        struct err e = {};
        _cleanup_close_ int fd = proc_open(getpid(), &e);

        cr_assert_geq(fd, 0);
        cr_assert_eq(prctl(PR_SET_NAME, ") R 9 9"), 0);
        cr_assert_eq(proc_stat_read(fd, &s, &e), 0);
        cr_assert_eq(s.pid, getpid());
        cr_assert_eq(s.ppid, getppid());
        cr_assert_str_eq(s.comm, ") R 9 9");
        cr_assert_eq(s.session, getsid(0));
}

Test(procfs, status)
{
        char text[] = "Name:\ta:b\\n\nUmask:\t0022\nGroups:\t \nSigQ:\t0/95\n";
        struct proc_kv kv[8];
        size_t n = 0;
        struct err e = {};

        cr_assert_eq(proc_status_parse(text, strlen(text), kv, 8, &n, &e), 0);
        cr_assert_eq(n, 4);
        cr_assert_str_eq(kv[0].key, "Name");
        cr_assert_str_eq(proc_kv_get(kv, n, "Name"), "a:b\\n");
        cr_assert_str_eq(proc_kv_get(kv, n, "Groups"), "");
        cr_assert_str_eq(proc_kv_get(kv, n, "SigQ"), "0/95");
        cr_assert_null(proc_kv_get(kv, n, "Nothing"));
        char few[] = "A:\t1\nB:\t2\n", open_end[] = "A:\t1\nB", no_key[] = ":\t1\n", plain[] = "abc\n", nul[] = "A:\0\n";
        cr_assert_lt(proc_status_parse(few, strlen(few), kv, 1, &n, &e), 0, "never a part of it");
        cr_assert_lt(proc_status_parse(open_end, strlen(open_end), kv, 8, &n, &e), 0);
        cr_assert_lt(proc_status_parse(no_key, strlen(no_key), kv, 8, &n, &e), 0);
        cr_assert_lt(proc_status_parse(plain, strlen(plain), kv, 8, &n, &e), 0);
        cr_assert_lt(proc_status_parse(nul, 4, kv, 8, &n, &e), 0);
}

Test(procfs, own_status)
{
        _cleanup_free_ char *text = NULL;
        struct proc_kv kv[128];
        size_t n = 0, len;
        struct err e = {};
        _cleanup_close_ int fd = proc_open_thread(getpid(), getpid(), &e);

        cr_assert_eq(proc_read(fd, "status", &text, &len, &e), 0);
        cr_assert_eq(proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, &e), 0);
        cr_assert_not_null(proc_kv_get(kv, n, "CapEff"));
        cr_assert_gt(n, 40);
}

struct seen {
        struct strbuf text;
        int stop_at, n;
};

static int note(void *ctx, const char *key, const char *value)
{
        struct seen *s = ctx;

        strbuf_addf(&s->text, "[%s=%s]", key, value);
        return ++s->n == s->stop_at ? 42 : 0;
}

Test(procfs, fdinfo)
{
        static const char text[] = "pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t7\ntfd:        5 events: 1d\n"
                                   "inotify wd:2 ino:9 \ntfd:        6 events: 19\n  odd: line\n";
        struct seen s = {};
        struct proc_fdinfo h;
        struct err e = {};

        cr_assert_eq(proc_fdinfo_parse(text, strlen(text), note, &s, &e), 0);
        cr_assert_str_eq(s.text.s, "[pos=0][flags=02004002][mnt_id=16][ino=7][tfd=5 events: 1d][inotify=wd:2 ino:9 ]"
                                   "[tfd=6 events: 19][=odd: line]");
        strbuf_done(&s.text);
        s = (struct seen){.stop_at = 2};
        cr_assert_eq(proc_fdinfo_parse(text, strlen(text), note, &s, &e), 42, "its answer is forwarded");
        cr_assert_eq(s.n, 2);
        strbuf_done(&s.text);
        cr_assert_eq(proc_fdinfo_head(text, strlen(text), &h, &e), 0);
        cr_assert_eq(h.flags, 02004002);
        cr_assert_eq(h.mnt_id, 16);
        cr_assert_eq(h.ino, 7);
}

Test(procfs, fdinfo_refuses)
{
        static const char *const bad[] = {"", "pos:\t0\n", "flags:\t02\n", "pos:\tx\nflags:\t02\n", "pos:\t0\nflags:\t09\n",
                                          "pos:\t0\nflags:\t\n", "pos:\t0\nflags:\t02\nmnt_id:\t99999999999\n",
                                          "pos:\t0\nflags:\t7777777777777\n"};
        struct proc_fdinfo h;
        struct seen s = {};
        char big[9000];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_lt(proc_fdinfo_head(bad[i], strlen(bad[i]), &h, NULL), 0, "%zu", i);
        memset(big, 'a', sizeof(big));
        cr_assert_lt(proc_fdinfo_parse(big, sizeof(big), note, &s, NULL), 0);
        strbuf_done(&s.text);
        cr_assert_eq(proc_fdinfo_head("pos:\t-4096\nflags:\t0\n", 20, &h, NULL), 0, "/proc/PID/mem has such positions");
        cr_assert_eq(h.pos, (uint64_t)-4096);
}

Test(procfs, own_fdinfo)
{
        char name[32];
        struct proc_fdinfo h;
        struct err e = {};
        _cleanup_free_ char *text = NULL;
        size_t len;
        _cleanup_close_ int fd = open("/proc/version", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        _cleanup_close_ int self = proc_open(getpid(), &e);

        cr_assert_eq(lseek(fd, 3, SEEK_SET), 3);
        snprintf(name, sizeof(name), "fdinfo/%d", fd);
        cr_assert_eq(proc_read(self, name, &text, &len, &e), 0);
        cr_assert_eq(proc_fdinfo_head(text, len, &h, &e), 0);
        cr_assert_eq(h.pos, 3);
        cr_assert_eq(h.flags & O_NONBLOCK, O_NONBLOCK);
        struct stat st;
        cr_assert_eq(fstat(fd, &st), 0);
        cr_assert_eq(h.ino, st.st_ino);
}

Test(procfs, numbers_and_links)
{
        unsigned *v = NULL;
        size_t n = 0;
        char link[64], tiny[4];
        struct err e = {};
        _cleanup_close_ int self = proc_open(getpid(), &e);
        int high = fcntl(self, F_DUPFD_CLOEXEC, 90);

        cr_assert_eq(proc_numbers(self, "fd", &v, &n, &e), 0);
        bool found = false;
        for (size_t i = 0; i < n; i++) {
                cr_assert(i == 0 || v[i - 1] < v[i], "ascending");
                found |= (int)v[i] == high;
        }
        cr_assert(found);
        free(v);
        close(high);
        cr_assert_eq(proc_readlink(self, "root", link, sizeof(link), &e), 0);
        cr_assert_lt(proc_readlink(self, "exe", tiny, sizeof(tiny), &e), 0, "never a part of it");
        cr_assert_eq(e.sys, ENAMETOOLONG);
}

Test(procfs, gone)
{
        struct err e = {};
        char *text = NULL;
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0)
                _exit(0);
        _cleanup_close_ int fd = proc_open(pid, &e);
        cr_assert_geq(fd, 0);
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        cr_assert_eq(proc_read(fd, "stat", &text, NULL, &e), -EX_UNKNOWN);
        cr_assert_eq(proc_open(pid, &e), -EX_UNKNOWN);
}

Test(procfs, locks)
{
        static const char text[] = "1: POSIX  ADVISORY  WRITE 8 00:2a:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 9 fd:01:5 0 EOF\n"
                                   "2: -> FLOCK  ADVISORY  WRITE 10 fd:01:6 0 EOF\n3: LEASE  ACTIVE    READ 8 00:03:178 0 EOF\n";

        cr_assert(proc_locks_name(text, 0, 0x2a, 77) && proc_locks_name(text, 0xfd, 1, 5) && proc_locks_name(text, 0, 3, 178));
        cr_assert(!proc_locks_name(text, 0xfd, 1, 6), "one that waits");
        cr_assert(!proc_locks_name(text, 0, 3, 77) && !proc_locks_name(text, 0, 3, 17) && !proc_locks_name("", 0, 3, 77));
}
