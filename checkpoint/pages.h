/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page bytes beside records: runs flow from a source through filters to a sink. A sink is an image directory, a stream
 * or a filter before them; a source is an image or what a stream has staged. Bytes of any object above 64 KiB (a socket
 * queue, a pipe, a deleted file) flow as runs too: mem = the object's id, addr = the offset in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define PAGE_BYTES 4096u
#define RUN_MAX_PAGES 256u   /* of a DATA run: 1 MiB; the others have no bytes and may be as long as `pages` can say */

enum run_what { RUN_DATA, RUN_ZERO, RUN_SAME, RUN_PARENT };

struct run {
        uint64_t mem, addr;               /* object and address (or offset) in it, a multiple of PAGE_BYTES */
        uint32_t pages;
        uint16_t what;                    /* enum run_what */
        uint64_t same_mem, same_addr;     /* RUN_SAME: DATA that was put before */
};

struct page_source_ops {
        /* 1: a run, its bytes in buf when it is DATA (a longer one is given in pieces of at most cap); 0: the end; <0. */
        int (*next)(void *c, struct run *ret, void *buf, size_t cap, struct err *err);
        void (*done)(void *c);
};

struct page_sink_ops {
        /* buf: pages × PAGE_BYTES for DATA, else ignored. Copied before put returns. */
        int (*put)(void *c, const struct run *r, const void *buf, struct err *err);
        /* Everything that was put has left for the image or the wire. */
        int (*sync)(void *c, struct err *err);
        void (*done)(void *c);
};
