/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of ranges, and what a sparse file has allocated. */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "ploop/ranges.h"

#define MIB (UINT64_C(1) << 20)

static int sparse(uint64_t size)
{
        const char *tmp = getenv("TMPDIR");
        int fd = sys_openat(AT_FDCWD, tmp ? tmp : "/var/tmp", O_TMPFILE | O_RDWR, 0600);

        cr_assert_geq(fd, 0);
        cr_assert_eq(sys_ftruncate(fd, (off_t)size), 0);
        return fd;
}

static bool inside(const struct range *at, size_t n, uint64_t offset, uint64_t length)
{
        for (size_t i = 0; i < n; i++)
                if (at[i].offset <= offset && offset + length <= at[i].offset + at[i].length)
                        return true;
        return false;
}

Test(ploop_ranges, neighbours_become_one)
{
        struct range_list l = {};

        cr_assert_eq(range_add(&l, 0, 4096, NULL), 0);
        cr_assert_eq(range_add(&l, 4096, 4096, NULL), 0);
        cr_assert_eq(range_add(&l, 4096, 100, NULL), 0); /* within the last */
        cr_assert_eq(range_add(&l, 16384, 0, NULL), 0);  /* nothing */
        cr_assert_eq(range_add(&l, 16384, 4096, NULL), 0);
        cr_assert_eq(l.n, 2);
        cr_assert_eq(l.at[0].length, 8192);
        cr_assert_eq(l.at[1].offset, 16384);
        for (uint64_t i = 5; i < 1000; i++)
                cr_assert_eq(range_add(&l, i * 8192, 4096, NULL), 0);
        cr_assert_eq(l.n, 2 + 995);
        cr_assert_eq(l.at[996].offset, 999 * 8192);
        range_done(&l);
        cr_assert_null(l.at);
}

Test(ploop_ranges, of_a_file)
{
        _cleanup_close_ int fd = sparse(64 * MIB);
        struct range *at = NULL;
        size_t n = 7;

        cr_assert_eq(image_ranges(fd, &at, &n, NULL), 0);
        cr_assert_eq(n, 0);
        free(at);
        cr_assert_eq(fd_pwrite_full(fd, "x", 1, (off_t)(3 * MIB + 5), NULL), 0);
        cr_assert_eq(fd_pwrite_full(fd, "x", 1, (off_t)(64 * MIB - 1), NULL), 0);
        cr_assert_eq(image_ranges(fd, &at, &n, NULL), 0);
        cr_assert_eq(n, 2);
        cr_assert(inside(at, n, 3 * MIB + 5, 1));
        cr_assert(inside(at, n, 64 * MIB - 1, 1));
        for (size_t i = 0; i < n; i++) {
                cr_assert_eq(at[i].offset % 4096, 0);
                cr_assert_eq(at[i].length % 4096, 0);
                cr_assert_leq(at[i].offset + at[i].length, 64 * MIB);
        }
        free(at);
}

Test(ploop_ranges, of_a_file_with_an_odd_end)
{
        _cleanup_close_ int fd = sparse(10000);
        struct range *at = NULL;
        size_t n = 0;

        cr_assert_eq(fd_pwrite_full(fd, "x", 1, 9999, NULL), 0);
        cr_assert_eq(image_ranges(fd, &at, &n, NULL), 0);
        cr_assert_eq(n, 1);
        cr_assert_eq(at[0].offset, 8192);
        cr_assert_eq(at[0].offset + at[0].length, 10000);
        free(at);
        cr_assert_eq(image_ranges(-1, &at, &n, NULL), -EX_FAIL);
}
