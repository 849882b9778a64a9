/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The intake: every frame of an image, whether it came from a directory or a stream, passes here, in this order:
 *
 *      1. length, checksum and flags of the frame; it stands where it may (header first, last frame last)
 *      2. the unpacker, which parses it without privileges
 *      3. for the image's own kinds only, record_unpack() here, and what their fields say
 *
 * and at the last frame: counts per kind, number of runs, bytes, SHA-256. Then image_index() sorts the runs. Until all of it
 * has passed, nobody gets a record. Records of containers' kinds are given to the unpacker a mebibyte at a time; what
 * they mean is the CHECK phase's business.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/str.h"
#include "checkpoint/image-int.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"

#define PENDING_MAX (1u << 20)

static const struct record_type own_rows[] = {
        {RECORD_HEADER, "header", &gantry__header__descriptor},
        {RECORD_END, "end", &gantry__end__descriptor},
        {RECORD_PAGES, "pages", &gantry__pages__descriptor},
};
static const struct record_types own_types = {own_rows, ELEMENTSOF(own_rows)};

const struct record_types *image_record_types(void)
{
        return &own_types;
}

static int refuse(const struct intake *k, const struct record_head *h, const char *why, struct err *err)
{
        return record_refuse(&k->img->types, h->kind, h->id, why, err);
}

/* ---- the file head ---- */

static void put_le32(uint8_t *p, uint32_t v)
{
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_le32(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void image_head_put(uint8_t p[IMAGE_HEAD])
{
        memcpy(p, IMAGE_MAGIC, 8);
        put_le32(p + 8, FORMAT_VERSION);
        put_le32(p + 12, FORMAT_ARCH_X86_64);
}

int image_head_check(const uint8_t p[IMAGE_HEAD], struct err *err)
{
        if (memcmp(p, IMAGE_MAGIC, 8) != 0)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "this is no checkpoint image (magic)", "file head");
        if (get_le32(p + 8) != FORMAT_VERSION) {
                err_set(err, EX_IMAGE, IMAGE_WHAT, "this version does not know its format", "file head, format %u", get_le32(p + 8));
                return err_remedy(err, "use the version that made it, or a newer one");
        }
        if (get_le32(p + 12) != FORMAT_ARCH_X86_64)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it is of another architecture", "file head, machine %u",
                               get_le32(p + 12));
        return 0;
}

/* ---- counting ---- */

int kind_counts_add(struct kind_counts *c, uint16_t kind, struct err *err)
{
        size_t i = c->n;

        while (i && c->at[i - 1].kind > kind)
                i--;
        if (i && c->at[i - 1].kind == kind) {
                c->at[i - 1].count++;
                return 0;
        }
        if (c->n == c->cap) {
                size_t cap = c->cap ? 2 * c->cap : 64;
                void *at = reallocarray(c->at, cap, sizeof(*c->at));
                if (!at)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot count the records of an image", "kind %u", kind);
                c->at = at;
                c->cap = cap;
        }
        memmove(&c->at[i + 1], &c->at[i], (c->n - i) * sizeof(*c->at));
        c->at[i].kind = kind;
        c->at[i].count = 1;
        c->n++;
        return 0;
}

static bool counts_equal(const struct kind_counts *c, const Gantry__End *end)
{
        if (c->n != end->n_counts)
                return false;
        for (size_t i = 0; i < c->n; i++)
                if (c->at[i].kind != end->counts[i]->kind || c->at[i].count != end->counts[i]->count)
                        return false;
        return true;
}

/* ---- runs ---- */

static const char *run_fault(const struct image *img, const Gantry__Pages__Run *m)
{
        bool data = m->what == GANTRY__PAGES__RUN__WHAT__DATA;
        bool same = m->what == GANTRY__PAGES__RUN__WHAT__SAME;
        uint64_t len = (uint64_t)m->pages * PAGE_BYTES;
        const Gantry__Header *h = (const Gantry__Header *)img->header.msg;

        if (!m->pages || !m->mem)
                return "a run without pages or object";
        if (m->addr % PAGE_BYTES || m->addr + len < m->addr)
                return "a run at no page address";
        if ((data || same) && m->pages > RUN_MAX_PAGES)
                return "a run of more than 1 MiB";
        if (data != (m->has_offset && m->has_xxh3) || m->has_offset != m->has_xxh3)
                return "offset and hash do not go with its type";
        if (same != (m->has_same_mem && m->has_same_addr) || m->has_same_mem != m->has_same_addr)
                return "same_mem and same_addr do not go with its type";
        if (data && m->offset != img->pages_bytes)
                return "its bytes do not follow those before";
        if (same && (m->same_addr % PAGE_BYTES || m->same_addr + len < m->same_addr))
                return "the same as a run at no page address";
        if (m->what == GANTRY__PAGES__RUN__WHAT__PARENT && !h->parent)
                return "a run of the parent, but the header names none";
        return NULL;
}

static enum run_what what_of(const Gantry__Pages__Run *m)
{
        switch (m->what) {
        case GANTRY__PAGES__RUN__WHAT__ZERO:
                return RUN_ZERO;
        case GANTRY__PAGES__RUN__WHAT__SAME:
                return RUN_SAME;
        case GANTRY__PAGES__RUN__WHAT__PARENT:
                return RUN_PARENT;
        case GANTRY__PAGES__RUN__WHAT__DATA:
        case _GANTRY__PAGES__RUN__WHAT_IS_INT_SIZE:
        default:
                return RUN_DATA;
        }
}

static int add_run(struct intake *k, const struct record_head *h, const Gantry__Pages__Run *m, struct err *err)
{
        struct image *img = k->img;
        const char *why = run_fault(img, m);

        if (why)
                return refuse(k, h, why, err);
        if (img->n_runs == img->cap_runs) {
                size_t cap = img->cap_runs ? 2 * img->cap_runs : 256;
                void *runs = reallocarray(img->runs, cap, sizeof(*img->runs));
                if (!runs)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot read the checkpoint image", "%zu runs", cap);
                img->runs = runs;
                img->cap_runs = cap;
        }
        img->runs[img->n_runs++] = (struct image_run){
                .run = {.mem = m->mem, .addr = m->addr, .pages = m->pages, .what = (uint16_t)what_of(m),
                        .same_mem = m->same_mem, .same_addr = m->same_addr},
                .offset = m->offset,
                .xxh3 = m->xxh3,
                .frame = (uint32_t)h->id,
        };
        if (m->what == GANTRY__PAGES__RUN__WHAT__DATA)
                img->pages_bytes += (uint64_t)m->pages * PAGE_BYTES;
        return 0;
}

static int take_pages(struct intake *k, const struct record_head *h, const Gantry__Pages *m, struct err *err)
{
        uint64_t before = k->img->pages_bytes;
        int r = 0;

        if (h->id != k->frames_of_pages++)
                return refuse(k, h, "its ordinal is not the next one", err);
        if (!m->n_runs || m->n_runs > IMAGE_FRAME_RUNS)
                return refuse(k, h, "it has no run, or more than 1024", err);
        for (size_t i = 0; r == 0 && i < m->n_runs; i++)
                r = add_run(k, h, m->runs[i], err);
        if (r == 0 && k->img->pages_bytes - before > IMAGE_FRAME_BYTES)
                r = refuse(k, h, "its runs have more than 1 MiB", err);
        return r;
}

int image_run_check(const struct image *img, const struct image_run *r, const void *bytes, struct err *err)
{
        char why[96];

        if (XXH3_64bits(bytes, (size_t)r->run.pages * PAGE_BYTES) == r->xxh3)
                return 0;
        snprintf(why, sizeof(why), "the bytes of object %" PRIu64 " at 0x%" PRIx64 " differ from their hash", r->run.mem,
                 r->run.addr);
        return record_refuse(&img->types, RECORD_PAGES, r->frame, why, err);
}

static int by_address(const void *a, const void *b, void *ctx)
{
        const struct image *img = ctx;
        const struct run *x = &img->runs[*(const uint32_t *)a].run, *y = &img->runs[*(const uint32_t *)b].run;

        if (x->mem != y->mem)
                return x->mem < y->mem ? -1 : 1;
        return x->addr == y->addr ? 0 : x->addr < y->addr ? -1 : 1;
}

/* All of a SAME run refers to DATA that was put before it. At most 256 pages, hence at most 256 steps. */
static int check_same(const struct image *img, const struct image_run *r, struct err *err)
{
        for (uint32_t page = 0; page < r->run.pages;) {
                uint64_t addr = r->run.same_addr + (uint64_t)page * PAGE_BYTES;
                const struct image_run *t = image_find(img, r->run.same_mem, addr);
                if (!t || t->run.what != RUN_DATA || t >= r)
                        return record_refuse(&img->types, RECORD_PAGES, r->frame,
                                             "a run is the same as bytes that do not stand before it", err);
                page += t->run.pages - (uint32_t)((addr - t->run.addr) / PAGE_BYTES);
        }
        return 0;
}

const struct image_run *image_find(const struct image *img, uint64_t mem, uint64_t addr)
{
        size_t lo = 0, hi = img->n_runs;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                const struct image_run *r = &img->runs[img->order[mid]];
                if (r->run.mem < mem || (r->run.mem == mem && r->run.addr <= addr))
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (!lo)
                return NULL;
        const struct image_run *r = &img->runs[img->order[lo - 1]];
        bool within = r->run.mem == mem && addr - r->run.addr < (uint64_t)r->run.pages * PAGE_BYTES;
        return within ? r : NULL;
}

int image_index(struct image *img, struct err *err)
{
        img->order = malloc((img->n_runs + 1) * sizeof(*img->order));
        if (!img->order)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read the checkpoint image", "%zu runs", img->n_runs);
        for (size_t i = 0; i < img->n_runs; i++)
                img->order[i] = (uint32_t)i;
        qsort_r(img->order, img->n_runs, sizeof(*img->order), by_address, img);
        for (size_t i = 1; i < img->n_runs; i++) {
                const struct image_run *a = &img->runs[img->order[i - 1]], *b = &img->runs[img->order[i]];
                if (a->run.mem == b->run.mem && b->run.addr - a->run.addr < (uint64_t)a->run.pages * PAGE_BYTES)
                        return record_refuse(&img->types, RECORD_PAGES, a->frame > b->frame ? a->frame : b->frame,
                                             "two runs overlap", err);
        }
        for (size_t i = 0; i < img->n_runs; i++) {
                int r = img->runs[i].run.what == RUN_SAME ? check_same(img, &img->runs[i], err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- frames ---- */

int intake_begin(struct intake *k, struct image *img, struct err *err)
{
        int r = image_head_check(img->bytes, err);

        if (r < 0)
                return r;
        k->img = img;
        k->begun = true;
        k->pending = IMAGE_HEAD;
        sha256_init(&k->sha);
        sha256_update(&k->sha, IMAGE_HEAD, img->bytes);
        return k->unpacker ? 0 : unpacker_start(&img->types, &k->unpacker, err);
}

void intake_done(struct intake *k)
{
        unpacker_end(k->unpacker);
        free(k->counts.at);
        *k = (struct intake){};
}

static int take_header(struct intake *k, const struct record_head *h, struct record *rec, struct err *err)
{
        const Gantry__Header *m = (const Gantry__Header *)rec->msg;
        char why[96];

        if (h->id || h->flags)
                return refuse(k, h, "its id or flags are not 0", err);
        if (m->n_feature) {
                snprintf(why, sizeof(why), "this version does not know the feature \"%.40s\"", m->feature[0]);
                refuse(k, h, why, err);
                return err_remedy(err, "use the version that made it, or a newer one");
        }
        k->img->header = *rec;
        *rec = (struct record){};
        return 0;
}

static int take_end(struct intake *k, const struct record_head *h, const Gantry__End *m, struct err *err)
{
        uint8_t digest[SHA256_DIGEST_SIZE];

        sha256_digest(&k->sha, sizeof(digest), digest);
        if (h->id || h->flags)
                return refuse(k, h, "its id or flags are not 0", err);
        if (!counts_equal(&k->counts, m))
                return refuse(k, h, "the records are not those it counts", err);
        if (m->runs != k->img->n_runs || m->pages_bytes != k->img->pages_bytes)
                return refuse(k, h, "the page runs are not those it counts", err);
        if (m->sha256.len != sizeof(digest) || memcmp(m->sha256.data, digest, sizeof(digest)) != 0)
                return refuse(k, h, "SHA-256 of the records differs", err);
        k->complete = true;
        return 1;
}

/* One of the image's own records, after the unpacker. */
static int take_own(struct intake *k, const struct record_head *h, const uint8_t *payload, struct err *err)
{
        struct record rec = {};
        int r = record_unpack(&k->img->types, h->kind, h->flags, h->id, payload, h->len, &rec, err);

        if (r < 0)
                return r;
        if (h->kind == RECORD_HEADER)
                r = take_header(k, h, &rec, err);
        else if (h->kind == RECORD_PAGES)
                r = h->flags ? refuse(k, h, "its flags are not 0", err)
                             : take_pages(k, h, (const Gantry__Pages *)rec.msg, err);
        else
                r = take_end(k, h, (const Gantry__End *)rec.msg, err);
        record_done(&rec);
        return r;
}

int intake_frame(struct intake *k, size_t at, size_t len, size_t *ret_first_run, struct err *err)
{
        struct image *img = k->img;
        struct record_head h = {};
        int r = record_frame_check(&img->types, img->bytes + at, len, &h, err);

        if (r < 0)
                return r;
        *ret_first_run = img->n_runs;
        if (k->complete)
                return refuse(k, &h, "it stands after the last record", err);
        if ((h.kind == RECORD_HEADER) == (img->header.msg != NULL))
                return refuse(k, &h, img->header.msg ? "a second header" : "the first record is not the header", err);
        if (h.kind != RECORD_END) {
                r = kind_counts_add(&k->counts, h.kind, err);
                sha256_update(&k->sha, len, img->bytes + at);
                img->records++;
        }
        const struct record_type *type = record_type_find(&img->types, h.kind);
        if (!type || !type->msg)
                img->skipped++; /* the unpacker refuses those that are not OPTIONAL */
        bool own = record_type_find(&own_types, h.kind);
        if (r == 0 && (own || at + len - k->pending >= PENDING_MAX)) {
                r = unpacker_frames(k->unpacker, img->bytes + k->pending, at + len - k->pending, err);
                k->pending = at + len;
        }
        return r == 0 && own ? take_own(k, &h, img->bytes + at + RECORD_HEAD, err) : r;
}
