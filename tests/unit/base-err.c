/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/err.c: values, wrapping, remedies and the exit table.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

Test(err, set_and_format)
{
        struct err e = {};
        char text[512];

        cr_assert_eq(err_set(&e, EX_DISK, "cannot attach", "it is damaged", "%s", "root.img"), -EX_DISK);
        cr_assert_eq(err_remedy(&e, "run %s", "fsck"), -EX_DISK);
        cr_assert_str_eq(err_format(&e, text, sizeof(text)), "cannot attach: root.img: it is damaged. run fsck");
        err_why(&e, "%s", "Host key verification failed.");
        cr_assert_str_eq(err_format(&e, text, sizeof(text)), "cannot attach: root.img: Host key verification failed. run fsck");
        err_remedy(&e, "do something else");
        cr_assert_str_eq(e.remedy, "run fsck", "the first remedy is the nearest to the cause");
}

Test(err, without_a_value)
{
        cr_assert_eq(err_set(NULL, EX_CONFIG, "a", "b", "%s", "c"), -EX_CONFIG);
        cr_assert_eq(err_sys(NULL, EX_FAIL, ENOSPC, "a", "%s", "c"), -EX_NOSPC);
        cr_assert_eq(err_wrap(NULL, "a", "%s", "c"), -EX_FAIL);
        cr_assert_eq(err_result(NULL), -EX_FAIL);
        cr_assert_eq(err_take(NULL, &(struct err){.code = EX_DISK}), -EX_DISK);
}

Test(err, taken_over_whole)
{
        struct err a = {}, b = {};

        err_sys(&a, EX_DISK, ENOENT, "cannot open", "%s", "root.img");
        err_remedy(&a, "make it");
        cr_assert_eq(err_take(&b, &a), -EX_DISK);
        cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
        cr_assert_eq(err_result(&b), -EX_DISK);
}

Test(err, system_calls_have_their_rows)
{
        static const struct {
                int code, sysno, want;
        } rows[] = {
                {EX_FAIL, ENOSPC, EX_NOSPC}, {EX_FAIL, EMFILE, EX_NOSPC},  {EX_FAIL, EPERM, EX_PERM},
                {EX_FAIL, -EACCES, EX_PERM}, {EX_FAIL, EIO, EX_FAIL},      {EX_DISK, ENOSPC, EX_DISK},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct err e = {};
                cr_expect_eq(err_sys(&e, rows[i].code, rows[i].sysno, "x", "%s", "y"), -rows[i].want, "row %zu", i);
                cr_expect_eq(e.sys, abs(rows[i].sysno));
        }
}

Test(err, wrap_keeps_code_errno_and_remedy)
{
        struct err e = {};

        err_sys(&e, EX_DISK, ENOENT, "cannot open", "%s", "root.img");
        err_remedy(&e, "make it");
        cr_assert_eq(err_wrap(&e, "cannot start", "%s", "web1"), -EX_DISK);
        cr_assert_eq(e.sys, ENOENT);
        cr_assert_str_eq(e.what, "cannot start");
        cr_assert_str_eq(e.on, "web1");
        cr_assert_str_eq(e.why, "cannot open (root.img): No such file or directory");
        cr_assert_str_eq(e.remedy, "make it");
}

Test(err, what_to_do_is_known_for_some)
{
        struct err e = {};
        char text[512];

        err_sys(&e, EX_FAIL, ENOSPC, "cannot write", "%s", "a");
        err_wrap(&e, "cannot checkpoint", "%s", "web1");
        cr_assert(strstr(err_advice(&e), "free some space"));
        cr_assert(strstr(err_format(&e, text, sizeof(text)), ": No space left on device. free some space"), "%s", text);
        err_remedy(&e, "%s", "buy a disk");
        cr_assert_str_eq(err_advice(&e), "buy a disk", "the nearer one comes first");
        err_sys(&e, EX_FAIL, EACCES, "cannot open", "%s", "a");
        cr_assert_str_eq(err_advice(&e), geteuid() ? "run it as root" : "");
        err_sys(&e, EX_FAIL, EIO, "cannot write", "%s", "a");
        cr_assert_str_eq(err_advice(&e), "");
}

Test(err, wrap_says_nothing_twice)
{
        struct err e = {};

        err_set(&e, EX_STATE, "cannot restore the container", "it runs", "%s", "web1");
        err_wrap(&e, "cannot restore the container", "%s", "web1");
        cr_assert_str_eq(e.why, "it runs");
        err_set(&e, EX_IMAGE, "cannot restore the container", "it is damaged", "%s", "phase tree");
        err_wrap(&e, "cannot restore the container", "%s", "web1");
        cr_assert_str_eq(e.on, "web1");
        cr_assert_str_eq(e.why, "phase tree: it is damaged");
        err_set(&e, EX_FAIL, "cannot open", "no such file", "%s", "web1");
        err_wrap(&e, "cannot read", "%s", "web1");
        cr_assert_str_eq(e.why, "cannot open (web1): no such file", "another sentence about the same object");
}

/* A process may call itself what it likes; a terminal must not obey it. */
Test(err, no_control_characters)
{
        struct err e = {};
        char text[512];

        err_set(&e, EX_UNSUPPORTED, "cannot checkpoint", "process 7 (\033]0;x\a) holds it", "%s", "a\nb\177");
        err_wrap(&e, "cannot move", "%s", "w\302\233e\302\265b"); /* U+009B goes, U+00B5 stays */
        err_remedy(&e, "%s", "end\tit");
        cr_assert_str_eq(err_format(&e, text, sizeof(text)),
                         "cannot move: w??e\302\265b: cannot checkpoint (a?b?): process 7 (?]0;x?) holds it. end?it");
}

/* What the deepest text of a refusal and its three wraps take; a cut one has lost the reason. */
Test(err, a_refusal_fits)
{
        struct err e = {};

        err_set(&e, EX_UNSUPPORTED, "cannot checkpoint", "process 4194304 (fifteen-letters) holds a pipe whose other end is outside of the container",
                "%s", "fd-pipe, descriptor 1048575: pipe:[18446744073709551615]");
        err_wrap(&e, "cannot dump", "%s", "fd-pipe of process 4194304 (fifteen-letters)");
        err_wrap(&e, "cannot checkpoint the container", "%s", "web1");
        err_wrap(&e, "cannot migrate the container", "%s", "web1");
        cr_assert(strstr(e.why, "outside of the container"), "%s", e.why);
}

Test(err, long_text_is_cut)
{
        struct err e = {};
        char big[4096];

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        err_set(&e, EX_FAIL, big, big, "%s", big);
        for (int i = 0; i < 5; i++)
                err_wrap(&e, big, "%s", big);
        cr_assert_eq(strlen(e.what), sizeof(e.what) - 1);
        cr_assert_eq(strlen(e.why), sizeof(e.why) - 1);
}

Test(err, every_row_has_its_own_number)
{
        int n = 0;

        for (int i = -1; i < 64; i++) {
                cr_expect_eq(exit_code_name(i) != NULL, exit_code_text(i) != NULL);
                n += exit_code_name(i) != NULL;
        }
#define X(name, num, text)                                                                                   \
        cr_expect_str_eq(exit_code_name(num), #name);                                                        \
        n--;
        EXIT_TABLE(X)
#undef X
        cr_assert_eq(n, 0);
}
