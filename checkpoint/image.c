/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading an image: a directory into memory and through the intake (checkpoint/image-check.c), then records and page
 * bytes out of it. A stream arrives at the same `struct image` by checkpoint/image-stream.c.
 *
 * The records are held in memory from the moment they were verified, so that nobody can change them between check and
 * use. Page bytes stay in their file, which the page source reads again: there each whole run is held against its hash once
 * more. Files are opened without following links and must be regular: a fifo would block, a device would not end.
 *
 * What the records mean is not looked at here; of page bytes only the hash and the rules for runs are known.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/image-int.h"
#include "proto/header.pb-c.h"

#define WHAT "cannot read the checkpoint image"

/* ---- the image ---- */

/* The image's own kinds before the caller's: container kinds start at 16. */
static int merge_types(struct image *img, struct err *err)
{
        const struct record_types *own = image_record_types(), *given = img->given;
        size_t n = given ? given->n : 0;

        img->rows = calloc(own->n + n, sizeof(*img->rows));
        if (!img->rows)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "table of kinds");
        memcpy(img->rows, own->at, own->n * sizeof(*own->at));
        if (n)
                memcpy(img->rows + own->n, given->at, n * sizeof(*given->at));
        img->types = (struct record_types){img->rows, own->n + n};
        return record_types_check(&img->types, err);
}

int image_new(const struct record_types *given, struct image **ret, struct err *err)
{
        struct image *img = calloc(1, sizeof(*img));

        if (!img)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "image");
        img->given = given;
        img->pages_fd = -1;
        img->next = IMAGE_HEAD;
        int r = merge_types(img, err);
        if (r < 0) {
                image_close(img);
                return r;
        }
        *ret = img;
        return 0;
}

void image_close(struct image *img)
{
        if (!img)
                return;
        record_done(&img->header);
        fd_close(img->pages_fd);
        free(img->order);
        free(img->runs);
        free(img->bytes);
        free(img->rows);
        free(img);
}

int image_reserve(struct image *img, size_t more, struct err *err)
{
        if (more > IMAGE_RECORDS_MAX - img->len)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "its records are more than 256 MiB", IMAGE_RECORDS_FILE);
        if (img->len + more <= img->cap)
                return 0;
        size_t cap = img->cap ? img->cap : 4096;
        while (cap < img->len + more)
                cap *= 2;
        uint8_t *bytes = realloc(img->bytes, cap);
        if (!bytes)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "%zu bytes of records", cap);
        img->bytes = bytes;
        img->cap = cap;
        return 0;
}

struct image_info image_get_info(const struct image *img)
{
        const Gantry__Header *h = (const Gantry__Header *)img->header.msg;

        return (struct image_info){
                .records = img->records,
                .skipped = img->skipped,
                .runs = img->n_runs,
                .pages_bytes = img->pages_bytes,
                .records_bytes = img->len,
                .version = h->version,
                .kernel = h->kernel,
                .uuid = h->uuid,
                .parent = h->parent,
        };
}

uint64_t image_resident(const struct image *img, bool (*of)(void *ctx, uint64_t mem), void *ctx)
{
        uint64_t pages = 0;

        for (size_t i = 0; i < img->n_runs; i++)
                if (img->runs[i].run.what != RUN_ZERO && of(ctx, img->runs[i].run.mem))
                        pages += img->runs[i].run.pages;
        return pages * PAGE_BYTES;
}

/* ---- a directory ---- */

static int open_part(int dir, const char *part, uint64_t max, uint64_t *ret_size, struct err *err)
{
        struct stat st;
        struct err local = {};
        int fd = path_open(dir, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, &local);

        if (fd < 0) {
                if (local.sys == ENOENT || local.sys == ELOOP)
                        return err_set(err, EX_IMAGE, IMAGE_WHAT, "it has no such file", "%s", part);
                if (err)
                        *err = local;
                return fd;
        }
        const char *why = NULL;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                why = "this is not a regular file";
        else if ((uint64_t)st.st_size > max)
                why = "it is larger than an image may be";
        if (why) {
                fd_close(fd);
                return err_set(err, EX_IMAGE, IMAGE_WHAT, why, "%s", part);
        }
        *ret_size = (uint64_t)st.st_size;
        return fd;
}

static int load_records(struct image *img, int dir, struct err *err)
{
        uint64_t size = 0;
        size_t got = 0;
        _cleanup_close_ int fd = open_part(dir, IMAGE_RECORDS_FILE, IMAGE_RECORDS_MAX, &size, err);

        if (fd < 0)
                return fd;
        int r = image_reserve(img, size + 1, err); /* one more, to see a file that grew */
        if (r == 0)
                r = fd_pread_full(fd, img->bytes, size + 1, 0, &got, err);
        if (r < 0)
                return r;
        if (got < IMAGE_HEAD)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it ends within the file head", IMAGE_RECORDS_FILE);
        if (got != size)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it changed while it was read", IMAGE_RECORDS_FILE);
        img->len = got;
        return 0;
}

/* Length of the frame at `at`, or of all that is left when it is cut or its length is nonsense. */
static size_t frame_len(const struct image *img, size_t at)
{
        size_t left = img->len - at;

        if (left < RECORD_HEAD)
                return left;
        size_t len = RECORD_OVERHEAD + (size_t)record_head_get(img->bytes + at).len;
        return len < left ? len : left;
}

/* Every frame whole and with the right checksum, before the first one is parsed: what is merely damaged never gets further. */
static int check_frames(const struct image *img, struct err *err)
{
        for (size_t at = IMAGE_HEAD, len; at < img->len; at += len) {
                struct record_head h;
                len = frame_len(img, at);
                int r = record_frame_check(&img->types, img->bytes + at, len, &h, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_records(struct image *img, struct err *err)
{
        struct intake k = {};
        size_t at = IMAGE_HEAD, first = 0;
        int r = image_head_check(img->bytes, err);

        if (r == 0)
                r = check_frames(img, err);
        if (r == 0)
                r = intake_begin(&k, img, err);
        while (r == 0 && at < img->len) {
                size_t len = frame_len(img, at);
                r = intake_frame(&k, at, len, &first, err);
                at += len;
        }
        intake_done(&k);
        if (r < 0)
                return r;
        if (r == 0)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it is incomplete: the last record is missing",
                               IMAGE_RECORDS_FILE);
        return at == img->len ? 0
                              : err_set(err, EX_IMAGE, IMAGE_WHAT, "there are bytes after the last record",
                                        IMAGE_RECORDS_FILE);
}

static int read_run(const struct image *img, const struct image_run *r, void *buf, struct err *err)
{
        size_t len = (size_t)r->run.pages * PAGE_BYTES, got = 0;
        int res = fd_pread_full(img->pages_fd, buf, len, (off_t)r->offset, &got, err);

        if (res < 0)
                return res;
        if (got != len)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it ends before its last page", IMAGE_PAGES_FILE);
        return image_run_check(img, r, buf, err);
}

static int take_pages(struct image *img, int dir, struct err *err)
{
        uint64_t size = 0;

        img->pages_fd = open_part(dir, IMAGE_PAGES_FILE, INT64_MAX, &size, err);
        if (img->pages_fd < 0)
                return img->pages_fd;
        if (size != img->pages_bytes)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "its length is not that of the runs", IMAGE_PAGES_FILE);
        _cleanup_free_ uint8_t *buf = malloc(RUN_MAX_PAGES * PAGE_BYTES);
        if (!buf)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "buffer");
        for (size_t i = 0; i < img->n_runs; i++) {
                int r = img->runs[i].run.what == RUN_DATA ? read_run(img, &img->runs[i], buf, err) : 0;
                if (r < 0)
                        return r;
        }
        return image_index(img, err);
}

int image_open(int dirfd, const char *name, const struct record_types *types, struct image **ret, struct err *err)
{
        struct image *img = NULL;
        struct err local = {};
        _cleanup_close_ int dir = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0, &local);

        if (dir < 0) {
                if (local.sys == ENOENT || local.sys == ENOTDIR)
                        return err_set(err, EX_UNKNOWN, WHAT, "there is no such checkpoint directory", "%s", name);
                if (err)
                        *err = local;
                return dir;
        }
        int r = image_new(types, &img, err);
        if (r == 0)
                r = load_records(img, dir, err);
        if (r == 0)
                r = take_records(img, err);
        if (r == 0)
                r = take_pages(img, dir, err);
        if (r < 0) {
                image_close(img);
                return r;
        }
        *ret = img;
        return 0;
}

/* ---- records out ---- */

/* The next frame of the verified bytes; 0 at the last one. */
static int next_frame(struct image *img, struct record_head *ret, const uint8_t **ret_payload)
{
        if (img->next >= img->len)
                return 0;
        *ret = record_head_get(img->bytes + img->next);
        *ret_payload = img->bytes + img->next + RECORD_HEAD;
        img->next += RECORD_OVERHEAD + ret->len;
        return 1;
}

static int records_next(void *c, struct record *ret, struct err *err)
{
        struct image *img = c;
        struct record_head h;
        const uint8_t *payload;

        while (next_frame(img, &h, &payload)) {
                if (h.kind == RECORD_PAGES || h.kind == RECORD_END)
                        continue;
                int r = record_unpack(&img->types, h.kind, h.flags, h.id, payload, h.len, ret, err);
                if (r <= 0)
                        return r < 0 ? r : 1;
        }
        return 0;
}

struct record_source image_records(struct image *img)
{
        return (struct record_source){.next = records_next, .c = img};
}

void image_rewind(struct image *img)
{
        img->next = IMAGE_HEAD;
}

/* ---- pages out ---- */

void image_set_parent(struct image *img, struct image *parent)
{
        img->parent = parent;
}

/* Up to `pages` pages from one run, resolved; *ret_pages tells how many. 1: no run holds the address. */
static int read_some(struct image *img, uint64_t mem, uint64_t addr, uint32_t pages, void *buf, uint32_t *ret_pages,
                     struct err *err)
{
        const struct image_run *r = image_find(img, mem, addr);

        if (!r)
                return 1;
        uint64_t skip = addr - r->run.addr, left = r->run.pages - skip / PAGE_BYTES;
        uint32_t n = left < pages ? (uint32_t)left : pages;
        size_t len = (size_t)n * PAGE_BYTES, got = 0;
        *ret_pages = n;
        switch (r->run.what) {
        case RUN_ZERO:
                memset(buf, 0, len);
                return 0;
        case RUN_SAME: /* its bytes are DATA: image_index() has seen to it */
                return image_page_read(img, r->run.same_mem, r->run.same_addr + skip, n, buf, err);
        case RUN_PARENT:
                if (!img->parent)
                        return record_refuse(&img->types, RECORD_PAGES, r->frame,
                                             "its bytes are in the parent image, which is not at hand", err);
                return image_page_read(img->parent, mem, addr, n, buf, err);
        case RUN_DATA:
        default:
                if (n == r->run.pages)
                        return read_run(img, r, buf, err);
                int res = fd_pread_full(img->pages_fd, buf, len, (off_t)(r->offset + skip), &got, err);
                if (res < 0)
                        return res;
                return got == len ? 0
                                  : err_set(err, EX_IMAGE, IMAGE_WHAT, "it ends before its last page",
                                            IMAGE_PAGES_FILE);
        }
}

int image_page_read(struct image *img, uint64_t mem, uint64_t addr, uint32_t pages, void *buf, struct err *err)
{
        uint8_t *p = buf;

        while (pages) {
                uint32_t n = 0;
                int r = read_some(img, mem, addr, pages, p, &n, err);
                if (r)
                        return r;
                p += (size_t)n * PAGE_BYTES;
                addr += (uint64_t)n * PAGE_BYTES;
                pages -= n;
        }
        return 0;
}

struct image_pages {
        struct image *img;
        size_t run;
        uint32_t page; /* of that run, when it is given in pieces */
};

int image_pages_new(struct image *img, void **ret, struct err *err)
{
        struct image_pages *p = calloc(1, sizeof(*p));

        if (!p)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "page source");
        p->img = img;
        *ret = p;
        return 0;
}

static int pages_next(void *c, struct run *ret, void *buf, size_t cap, struct err *err)
{
        struct image_pages *p = c;

        if (p->run == p->img->n_runs)
                return 0;
        struct run run = p->img->runs[p->run].run;
        uint64_t skip = (uint64_t)p->page * PAGE_BYTES;
        bool bytes = run.what == RUN_DATA || run.what == RUN_SAME || (run.what == RUN_PARENT && p->img->parent);
        uint32_t left = run.pages - p->page, fits = (uint32_t)(cap / PAGE_BYTES < left ? cap / PAGE_BYTES : left);
        if (bytes && !fits)
                return err_set(err, EX_FAIL, WHAT, "the buffer holds no page", "%zu bytes", cap);
        run.addr += skip;
        run.same_addr += run.what == RUN_SAME ? skip : 0;
        run.pages = bytes ? fits : left;
        int r = bytes ? image_page_read(p->img, run.mem, run.addr, run.pages, buf, err) : 0;
        if (r)
                return r < 0 ? r : err_set(err, EX_IMAGE, IMAGE_WHAT, "the parent image has no such page",
                                           "object %" PRIu64 ", address 0x%" PRIx64, run.mem, run.addr);
        p->page += run.pages;
        if (p->page == p->img->runs[p->run].run.pages) {
                p->run++;
                p->page = 0;
        }
        *ret = run;
        return 1;
}

static void pages_done(void *c)
{
        free(c);
}

const struct page_source_ops image_page_source = {.next = pages_next, .done = pages_done};

int image_tail_check(struct image *img, uint64_t mem, uint64_t bytes, struct err *err)
{
        uint64_t end = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        size_t used = bytes % PAGE_BYTES;
        uint8_t page[PAGE_BYTES];

        for (size_t i = 0; i < img->n_runs; i++) {
                const struct run *r = &img->runs[i].run;
                if (r->mem == mem && r->addr + (uint64_t)r->pages * PAGE_BYTES > end)
                        return record_refuse(&img->types, RECORD_PAGES, img->runs[i].frame,
                                             "a run reaches past the end of its object", err);
        }
        if (!used)
                return 0;
        int r = image_page_read(img, mem, end - PAGE_BYTES, 1, page, err);
        if (r)
                return r < 0 ? r : 0;
        for (size_t i = used; i < PAGE_BYTES; i++)
                if (page[i])
                        return record_refuse(&img->types, RECORD_PAGES,
                                             image_find(img, mem, end - PAGE_BYTES)->frame,
                                             "what pads an object's last page is not zero", err);
        return 0;
}

/* ---- for tools ---- */

int image_verify(int dirfd, const char *name, const struct record_types *types, struct image_info *ret, struct err *err)
{
        struct image *img = NULL;
        int r = image_open(dirfd, name, types, &img, err);

        if (r < 0)
                return r;
        *ret = image_get_info(img);
        ret->version = ret->kernel = ret->uuid = ret->parent = NULL; /* they end with the image */
        image_close(img);
        return 0;
}

static int show_record(struct image *img, const struct record_head *h, const uint8_t *payload, struct strbuf *out,
                       struct err *err)
{
        struct record rec = {.kind = h->kind, .flags = h->flags, .id = h->id};
        int r = record_unpack(&img->types, h->kind, h->flags, h->id, payload, h->len, &rec, err);

        if (r < 0)
                return r;
        record_json(out, &img->types, &rec);
        record_done(&rec);
        return 0;
}

static int show(struct image *img, const struct byte_sink *emit, struct err *err)
{
        _cleanup_strbuf_ struct strbuf out = {};
        struct record_head h;
        const uint8_t *payload;
        int r = 0;

        strbuf_addf(&out, "{\"format\":%u,\"architecture\":%u,\"records\":[", FORMAT_VERSION, FORMAT_ARCH_X86_64);
        for (const char *sep = "\n"; r == 0 && next_frame(img, &h, &payload); sep = ",\n") {
                strbuf_adds(&out, sep);
                r = show_record(img, &h, payload, &out, err);
                if (r == 0 && !out.bad)
                        r = emit->put(emit->c, out.s, out.len, err);
                out.len = 0;
        }
        strbuf_adds(&out, "\n]}\n");
        if (r == 0 && out.bad)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot show the checkpoint image", "text");
        return r < 0 ? r : emit->put(emit->c, out.s, out.len, err);
}

int image_show_json(int dirfd, const char *name, const struct record_types *types, const struct byte_sink *emit,
                    struct err *err)
{
        struct image *img = NULL;
        int r = image_open(dirfd, name, types, &img, err);

        if (r < 0)
                return r;
        r = show(img, emit, err);
        image_close(img);
        return r;
}
