/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding and moving memory; private to checkpoint/. */
#pragma once

#include "checkpoint/pages.h"
#include "checkpoint/tape/tracee.h"

/* Present or swapped pages of [start, end) with content of their own: zero pages are left out where the kernel tells, and with
 * `anon` pages of the mapped file too. PAGEMAP_SCAN (6.7+) or, behind it, /proc/PID/pagemap. Ranges are merged, ascending. */
struct span { uint64_t start, end; };
struct spans { struct span *at; size_t n, cap; };
int spans_add(struct spans *s, uint64_t start, uint64_t end);
int scan_pages(int pagemap_fd, uint64_t start, uint64_t end, bool anon, struct spans *ret, struct err *err);
int scan_pagemap(int pagemap_fd, uint64_t start, uint64_t end, bool anon, struct spans *ret, struct err *err);

/* Pages of these spans that are mapped more than once, over all memories of a dump. */
struct shared { uint64_t *at; size_t n, cap; uint64_t zero; };
int shared_begin(struct shared *s, struct err *err);
int shared_scan(struct shared *s, int pagemap_fd, const struct spans *spans, struct err *err);
int shared_add(struct shared *s, const uint64_t *entry, size_t n);   /* entries of pagemap; pure */
uint64_t shared_extra(struct shared *s);                             /* pages that will be there more often than before */
void shared_done(struct shared *s);

/* Worker threads over liburcu queues. A reader gets ranges of a memory and hands back 1 MiB buffers in order; a writer puts
 * buffers into tasks. Workers only move bytes: they never fork, trace or allocate descriptors. */
struct movers;
struct move { uint64_t mem, addr; uint32_t pages; int fd; bool write; uint8_t *buf; uint64_t file_off; int error; void *priv; };
int movers_new(unsigned threads, struct movers **ret, struct err *err);
/* Queues a move; its buffer (256 pages) is allocated here when m->buf is NULL. Blocks while too much is under way. */
int movers_put(struct movers *m, const struct move *mv, struct err *err);
/* The next finished move in the order they were put; 0: none is under way. Its buffer goes back by movers_give(). */
int movers_get(struct movers *m, struct move *ret, struct err *err);
uint8_t *movers_buffer(struct movers *m);
void movers_give(struct movers *m, uint8_t *buf);
size_t movers_pending(const struct movers *m);
void movers_free(struct movers *m);
