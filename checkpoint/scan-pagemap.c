/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fallback of scan.c for kernels before 6.7: 64 bits a page from /proc/PID/pagemap (bit 63 present, 62 swapped, 61
 * file-backed or shared). It cannot tell zero pages: they are found by their bytes later.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "checkpoint/pages-int.h"

#define BATCH 8192

int scan_pagemap(int pagemap_fd, uint64_t start, uint64_t end, bool anon, struct spans *ret, struct err *err)
{
        _cleanup_free_ uint64_t *e = malloc(BATCH * sizeof(*e));

        if (!e)
                return err_sys(err, EX_NOSPC, ENOMEM, "cannot look for pages", "%s", "");
        while (start < end) {
                size_t want = (size_t)((end - start) / PAGE_BYTES), got = 0;
                if (want > BATCH)
                        want = BATCH;
                int r = fd_pread_full(pagemap_fd, e, want * 8, (off_t)(start / PAGE_BYTES * 8), &got, err);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < got / 8; i++) {
                        bool here = e[i] & (UINT64_C(3) << 62), file = e[i] & (UINT64_C(1) << 61);
                        uint64_t at = start + i * PAGE_BYTES;
                        if (here && !(anon && file) && spans_add(ret, at, at + PAGE_BYTES) < 0)
                                return err_sys(err, EX_NOSPC, ENOMEM, "cannot look for pages", "%s", "");
                }
                if (got < want * 8)
                        return 0;
                start += want * PAGE_BYTES;
        }
        return 0;
}
