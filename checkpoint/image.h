/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checkpoint image, as a directory and as a stream (docs/FORMAT.md). Both are written through one writer and read
 * into one `struct image`, of which nothing is handed out before its last byte is verified: an image that is
 * cut, flipped or made by somebody else is refused as EX_IMAGE, naming the record.
 *
 * Nobody needs to write PAGES or END records: the page sink and the close make them. The first record must be the
 * header (image_header_put); the source of a read image gives it back first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "checkpoint/pages.h"
#include "proto/record.h"

#define IMAGE_MAGIC "GNTRYIMG"
#define IMAGE_HEAD 16u                       /* magic, u32 format, u32 architecture */
#define IMAGE_RECORDS_MAX (256u << 20)       /* bytes of all frames and the file head */
#define IMAGE_FRAME_RUNS 1024u               /* runs in one PAGES record */
#define IMAGE_FRAME_BYTES (1u << 20)         /* DATA bytes of one PAGES record */
#define IMAGE_RECORDS_FILE "records"
#define IMAGE_PAGES_FILE "pages"

/* The image's own kinds: header, end, pages. */
const struct record_types *image_record_types(void);

/* ---- writing ---- */
struct image_writer;
struct byte_sink { int (*put)(void *c, const void *p, size_t n, struct err *err); void *c; };

struct image_meta {                          /* all but version borrowed and optional (NULL, 0) */
        const char *uuid, *parent;
        const char *const *cpu;              /* CPU features in use */
        size_t n_cpu;
};
/* The header record, with this build's version and the running kernel's release. */
int image_header_put(const struct record_sink *s, const struct image_meta *m, struct err *err);

/* A directory NAME.tmp below dirfd; NAME may have slashes, its parent must exist. EX_EXISTS when NAME is there, EX_LOCKED when
 * another writer is at it; what a killed writer left is removed. `types` (may be NULL) only names kinds in errors. */
int image_writer_open(int dirfd, const char *name, const struct record_types *types, struct image_writer **ret,
                      struct err *err);
/* The same image as a stream of bytes; page bytes follow their record. */
int image_writer_stream(const struct byte_sink *out, const struct record_types *types, struct image_writer **ret,
                        struct err *err);
/* A byte sink that writes to a descriptor, which stays the caller's. */
struct byte_sink byte_sink_fd(const int *fd);
struct record_sink image_writer_records(struct image_writer *w);
extern const struct page_sink_ops image_page_sink;      /* ctx: the writer; done() leaves the writer open */
/* END record; the directory is synced, renamed to NAME and its parent synced. Frees w, also on failure (then as abort). */
int image_writer_close(struct image_writer *w, struct err *err);
void image_writer_abort(struct image_writer *w);        /* NULL allowed; nothing is left on disk */
uint64_t image_writer_bytes(const struct image_writer *w); /* records and page bytes so far */

/* ---- reading ---- */
struct image;
struct image_info {
        uint64_t records, skipped, runs, pages_bytes, records_bytes;   /* skipped: OPTIONAL records of unknown kinds */
        const char *version, *kernel, *uuid, *parent;                  /* NULL where absent; live as long as the image */
};
/* Verifies the whole image: head, every frame, the last one, every page byte, all runs; parsing is the unpacker's. `types`
 * must outlive the image. EX_UNKNOWN when there is no such directory. */
int image_open(int dirfd, const char *name, const struct record_types *types, struct image **ret, struct err *err);
void image_close(struct image *img);
struct image_info image_get_info(const struct image *img);
/* Header, then all records but PAGES and END, in the order they were put; skipped kinds are left out. One iteration at
 * a time; image_rewind starts it over. */
struct record_source image_records(struct image *img);
void image_rewind(struct image *img);
/* Runs in the order they were put. SAME, and PARENT when a parent is set, come with their bytes like DATA. */
extern const struct page_source_ops image_page_source;  /* ctx: from image_pages_new; done() frees it */
int image_pages_new(struct image *img, void **ret, struct err *err);
/* Bytes of [addr, addr + pages × 4096) of one object. 1: a page of it is in no run. */
int image_page_read(struct image *img, uint64_t mem, uint64_t addr, uint32_t pages, void *buf, struct err *err);
/* An object of `bytes` bytes: all its runs lie within them and what pads its last page is zero. */
int image_tail_check(struct image *img, uint64_t mem, uint64_t bytes, struct err *err);
/* Bytes that the runs of some objects take in memory: DATA, and what refers to other bytes and comes back as a copy. Zero pages take none. */
uint64_t image_resident(const struct image *img, bool (*of)(void *ctx, uint64_t mem), void *ctx);
/* Where PARENT runs are looked up; must outlive img. */
void image_set_parent(struct image *img, struct image *parent);

/* A stream, fed as it arrives, in any pieces. Page bytes are staged in memory, or in an unlinked file below spill_dirfd
 * (-1: memory); more than pages_max of them are refused (EX_NOSPC). */
struct image_receiver;
int image_receiver_new(const struct record_types *types, int spill_dirfd, uint64_t pages_max,
                       struct image_receiver **ret, struct err *err);
/* 1: the image is complete and verified; *ret_used bytes belonged to it. 0: all were used, more must come. */
int image_receiver_feed(struct image_receiver *r, const void *p, size_t n, size_t *ret_used, struct err *err);
int image_receiver_take(struct image_receiver *r, struct image **ret, struct err *err);
void image_receiver_free(struct image_receiver *r);
/* A whole stream from a descriptor; reads not one byte more than the image has. */
int image_receive_fd(int fd, const struct record_types *types, uint64_t pages_max, struct image **ret, struct err *err);

/* ---- for tools ---- */
struct strbuf;
int image_verify(int dirfd, const char *name, const struct record_types *types, struct image_info *ret, struct err *err);
/* The whole image as one JSON object, handed to emit in pieces, only after it is verified. */
int image_show_json(int dirfd, const char *name, const struct record_types *types, const struct byte_sink *emit,
                    struct err *err);
