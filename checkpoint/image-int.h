/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the image share: the image itself while it is read, and the intake through which its frames pass,
 * whether they come from a directory or a stream.
 */
#pragma once

#include <nettle/sha2.h>
#include <stdbool.h>
#include "base/cleanup.h"
#include "checkpoint/image.h"
#include "checkpoint/unpacker.h"

#define IMAGE_WHAT "the checkpoint image is refused"

void image_head_put(uint8_t p[IMAGE_HEAD]);
/* Magic, format and architecture are ours. */
int image_head_check(const uint8_t p[IMAGE_HEAD], struct err *err);

struct image_run {
        struct run run;
        uint64_t offset, xxh3;       /* DATA */
        uint32_t frame;              /* id of its PAGES record, for messages */
};

struct kind_counts {                 /* ascending by kind */
        struct { uint32_t kind; uint64_t count; } *at;
        size_t n, cap;
};
int kind_counts_add(struct kind_counts *c, uint16_t kind, struct err *err);

struct image {
        const struct record_types *given;    /* the caller's */
        struct record_type *rows;            /* the image's own and the caller's, ascending */
        struct record_types types;
        uint8_t *bytes;                      /* head and frames */
        size_t len, cap, next;               /* next: of the record iteration */
        struct image_run *runs;              /* as put */
        uint32_t *order;                     /* runs by (mem, addr) */
        size_t n_runs, cap_runs;
        struct record header;
        int pages_fd;
        uint64_t pages_bytes;                /* of the runs seen so far; of all, once complete */
        uint64_t records, skipped;
        struct image *parent;
};
int image_new(const struct record_types *given, struct image **ret, struct err *err);
int image_reserve(struct image *img, size_t more, struct err *err);   /* room behind len */

/* Frames in order, each whole at img->bytes + at. */
struct intake {
        struct image *img;
        struct unpacker *unpacker;
        struct sha256_ctx sha;
        struct kind_counts counts;
        size_t pending;                      /* from here on nothing has been through the unpacker */
        uint32_t frames_of_pages;
        bool begun, complete;
};
int intake_begin(struct intake *k, struct image *img, struct err *err);    /* the file head stands at img->bytes */
/* 0; 1: that was the last frame. *ret_first: index of the first run that this frame added. */
int intake_frame(struct intake *k, size_t at, size_t len, size_t *ret_first_run, struct err *err);
void intake_done(struct intake *k);

/* The bytes of one DATA run are what its record says. */
int image_run_check(const struct image *img, const struct image_run *r, const void *bytes, struct err *err);
/* The run that holds this address; NULL: none. Only after image_index(). */
const struct image_run *image_find(const struct image *img, uint64_t mem, uint64_t addr);
/* The index over all runs: no overlaps, SAME refers to DATA that was put before. */
int image_index(struct image *img, struct err *err);
