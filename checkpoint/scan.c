/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a mapping have content of their own: PAGEMAP_SCAN (6.7+), which alone tells zero pages. Where the kernel does
 * not have it, scan-pagemap.c reads /proc/PID/pagemap.
 *
 * walk_end is stale when a call needed several passes, so a round ends when fewer regions come than there is room for.
 * Guard regions show as swapped and are left out.
 */
#include <errno.h>

#include "base/sys.h"
#include "base/uapi.h"
#include "checkpoint/pages-int.h"

#define REGIONS 256

/* 0, or 1 where the ioctl does not exist. */
static int scan_ioctl(int fd, uint64_t start, uint64_t end, bool anon, struct spans *ret, struct err *err)
{
        struct page_region vec[REGIONS];

        while (start < end) {
                uint64_t must_not = PAGE_IS_PFNZERO | PAGE_IS_GUARD | (anon ? PAGE_IS_FILE : 0);
                struct pm_scan_arg a = { .size = sizeof(a),
                                         .start = start,
                                         .end = end,
                                         .vec = (uintptr_t)vec,
                                         .vec_len = REGIONS,
                                         .category_inverted = must_not,
                                         .category_mask = must_not,
                                         .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                                         .return_mask = PAGE_IS_PRESENT };
                int r = sys_ioctl(fd, PAGEMAP_SCAN, &a);
                if (r == -ENOTTY)
                        return 1;
                if (r == -EINVAL && (must_not & PAGE_IS_GUARD))
                        return 1;   /* before 6.15 there is no such category */
                if (r < 0)
                        return err_sys(err, EX_FAIL, r, "cannot look for pages", "PAGEMAP_SCAN at %#llx", (unsigned long long)start);
                for (int i = 0; i < r; i++)
                        if (spans_add(ret, vec[i].start, vec[i].end) < 0)
                                return err_sys(err, EX_NOSPC, ENOMEM, "cannot look for pages", "%s", "");
                if (r < REGIONS)
                        return 0;
                start = vec[r - 1].end;
        }
        return 0;
}

int scan_pages(int pagemap_fd, uint64_t start, uint64_t end, bool anon, struct spans *ret, struct err *err)
{
        size_t before = ret->n;
        int r = scan_ioctl(pagemap_fd, start, end, anon, ret, err);
        if (r != 1)
                return r;
        ret->n = before;
        return scan_pagemap(pagemap_fd, start, end, anon, ret, err);
}
