/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/mountinfo.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/procfs.h"
#include "base/str.h"

static const char text[] =
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "30 22 254:0 /a\\040b /mnt/c\\134d\\012e rw,nosuid shared:3 master:4 propagate_from:5 unknown:x - ext4 /dev/vd\\043a ro,x=1\n"
        "31 22 0:30 / /t rw unbindable - tmpfs  rw\n";

Test(mountinfo, entries)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        struct err e = {};

        cr_assert_eq(mountinfo_parse(text, strlen(text), &m, &n, &e), 0, "%s", e.on);
        cr_assert_eq(n, 3);
        cr_assert_eq(m[0].id, 22);
        cr_assert_eq(m[0].parent, 27);
        cr_assert_eq(m[0].minor, 21);
        cr_assert_str_eq(m[0].target, "/proc");
        cr_assert_eq(m[0].shared + m[0].master, 0);
        cr_assert_eq(m[1].major, 254);
        cr_assert_str_eq(m[1].root, "/a b");
        cr_assert_str_eq(m[1].target, "/mnt/c\\d\ne");
        cr_assert_str_eq(m[1].options, "rw,nosuid");
        cr_assert_eq(m[1].shared, 3);
        cr_assert_eq(m[1].master, 4);
        cr_assert_eq(m[1].propagate_from, 5);
        cr_assert_str_eq(m[1].type, "ext4");
        cr_assert_str_eq(m[1].source, "/dev/vd#a");
        cr_assert_str_eq(m[1].super_options, "ro,x=1");
        cr_assert(m[2].unbindable);
        cr_assert_str_eq(m[2].source, "", "an empty source keeps its column");
        cr_assert_str_eq(m[2].super_options, "rw");
        mountinfo_free(m, n);
        mountinfo_free(NULL, 0);
}

Test(mountinfo, refuses)
{
        static const char *const bad[] = {
                "22 27 0:21 / /proc rw - proc proc rw", /* no end of line */
                "22 27 0:21 / /proc rw - proc proc\n",
                "22 27 0:21 / /proc rw proc proc rw\n",
                "22 27 0 / /proc rw - proc proc rw\n",
                "22 27 0:21x / /proc rw - proc proc rw\n",
                "x 27 0:21 / /proc rw - proc proc rw\n",
                "22 27 0:21 / /proc rw shared:x - proc proc rw\n",
                "99999999999 27 0:21 / /proc rw - proc proc rw\n",
                "\n",
        };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct mountinfo *m = NULL;
                size_t n = 7;
                cr_expect_lt(mountinfo_parse(bad[i], strlen(bad[i]), &m, &n, NULL), 0, "%zu", i);
                cr_expect_null(m);
                cr_expect_eq(n, 7);
        }
}

Test(mountinfo, escapes_that_are_none)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        static const char odd[] = "1 0 0:1 / /a\\09b\\400\\ rw - t s\\1 rw\\000\n";

        cr_assert_eq(mountinfo_parse(odd, strlen(odd), &m, &n, NULL), 0);
        cr_assert_str_eq(m[0].target, "/a\\09b\\400\\");
        cr_assert_str_eq(m[0].source, "s\\1");
        cr_assert_str_eq(m[0].super_options, "rw\\000", "no NUL comes out of an escape");
        mountinfo_free(m, n);
}

Test(mountinfo, own)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        struct err e = {};
        bool proc = false;
        _cleanup_close_ int self = proc_open(getpid(), &e);

        cr_assert_eq(mountinfo_read(self, &m, &n, &e), 0);
        for (size_t i = 0; i < n; i++)
                proc |= str_eq(m[i].target, "/proc") && str_eq(m[i].type, "proc");
        cr_assert(proc);
        mountinfo_free(m, n);
}
