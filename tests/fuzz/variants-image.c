/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of an image as a stream (image.c): each frame left out, doubled, moved; header, pages and end through their descriptors.
 * A changed `pages` record comes twice: as it is, and with what follows from it put right (the bytes behind it, their hashes, what
 * the end counts), so that what is wrong about it is the one thing that was changed. Checksums are image.c's.
 */
#include <xxhash.h>

#include "checkpoint/image.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"
#include "tests/fuzz/message.h"
#include "tests/fuzz/records.h"

#define FRAMES 64
#define BYTES_MAX (640u * PAGE_BYTES)

struct frame { struct record_head h; ProtobufCMessage *msg; const uint8_t *payload, *bytes; size_t n_bytes; };
struct stream { struct frame f[FRAMES]; size_t n, at; const uint8_t *head; const struct fuzz_sink *to; };

static const ProtobufCMessageDescriptor *type_of(uint16_t kind)
{
        return kind == RECORD_HEADER ? &gantry__header__descriptor : kind == RECORD_END ? &gantry__end__descriptor : kind == RECORD_PAGES ? &gantry__pages__descriptor : NULL;
}

static void add(struct fuzz_buf *b, const struct frame *f)
{
        uint8_t head[RECORD_HEAD], *p = NULL;
        struct record_head h = f->h;
        size_t n = f->h.len;

        if (f->msg)
                p = fuzz_pack(f->msg, &n);
        h.len = (uint32_t)n;
        record_head_put(head, &h);
        fuzz_add(b, head, sizeof(head));
        fuzz_add(b, p ? p : f->payload, n);
        fuzz_fill(b, 0, RECORD_CRC);
        free(p);
}

/* Bytes for every DATA run, of which no two pages are alike, and their hashes. */
static void fill(struct fuzz_buf *b, Gantry__Pages *m, uint64_t *total, uint64_t *runs)
{
        for (size_t i = 0; i < m->n_runs; i++) {
                Gantry__Pages__Run *r = m->runs[i];
                uint64_t n = (uint64_t)r->pages * PAGE_BYTES;
                ++*runs;
                if (r->what != GANTRY__PAGES__RUN__WHAT__DATA || n > BYTES_MAX)
                        continue;
                for (uint64_t k = 0; k < n; k += 8) {
                        uint64_t v = (*total + k) * UINT64_C(0x9e3779b97f4a7c15);
                        fuzz_add(b, &v, 8);
                }
                if (r->has_xxh3)
                        r->xxh3 = XXH3_64bits(b->p + b->n - n, (size_t)n);
                *total += n;
        }
}

/* The stream with frame `at` `times` times. right: with all that follows from its pages. */
static void put(const struct stream *s, size_t at, unsigned times, bool right)
{
        struct fuzz_buf b = {};
        uint64_t total = 0, runs = 0;

        fuzz_add(&b, s->head, IMAGE_HEAD);
        for (size_t i = 0; i < s->n; i++)
                for (unsigned k = 0; k < (i == at ? times : 1); k++) {
                        struct fuzz_buf bytes = {};
                        const struct frame *f = &s->f[i];
                        if (right && f->h.kind == RECORD_PAGES && f->msg)
                                fill(&bytes, (Gantry__Pages *)f->msg, &total, &runs);
                        if (right && f->h.kind == RECORD_END && f->msg) {
                                ((Gantry__End *)f->msg)->runs = runs;
                                ((Gantry__End *)f->msg)->pages_bytes = total;
                        }
                        add(&b, f);
                        if (right)
                                fuzz_add(&b, bytes.p, bytes.n);
                        else
                                fuzz_add(&b, f->bytes, f->n_bytes);
                        free(bytes.p);
                }
        s->to->put(s->to->ctx, b.p, b.n);
        free(b.p);
}

static void changed(void *ctx)
{
        struct stream *s = ctx;
        Gantry__End old = {};
        size_t last = s->n - 1;
        bool end = s->f[last].h.kind == RECORD_END && s->f[last].msg;

        put(s, s->at, 1, false);
        if (s->f[s->at].h.kind == RECORD_END)
                return;
        if (end)
                old = *(Gantry__End *)s->f[last].msg;
        uint64_t hash[8] = {0};
        Gantry__Pages *m = s->f[s->at].h.kind == RECORD_PAGES ? (Gantry__Pages *)s->f[s->at].msg : NULL;
        for (size_t i = 0; m && i < m->n_runs && i < 8; i++)
                hash[i] = m->runs[i]->xxh3;
        put(s, s->at, 1, true);
        for (size_t i = 0; m && i < m->n_runs && i < 8; i++)
                m->runs[i]->xxh3 = hash[i];
        if (end)
                *(Gantry__End *)s->f[last].msg = old;
}

/* More runs than a frame may have, more bytes than it may have, a run above its limit: all right but for that. */
static void too_much(struct stream *s, size_t at)
{
        static const struct { size_t runs; uint32_t pages; unsigned what; } many[] = {
                {1024, 1, GANTRY__PAGES__RUN__WHAT__ZERO}, {1025, 1, GANTRY__PAGES__RUN__WHAT__ZERO}, {1, 256, GANTRY__PAGES__RUN__WHAT__DATA},
                {1, 257, GANTRY__PAGES__RUN__WHAT__DATA},  {2, 128, GANTRY__PAGES__RUN__WHAT__DATA},  {3, 100, GANTRY__PAGES__RUN__WHAT__DATA},
                {1, UINT32_MAX, GANTRY__PAGES__RUN__WHAT__ZERO},
        };
        struct frame *f = &s->f[at], old = *f;

        for (size_t k = 0; k < sizeof(many) / sizeof(many[0]); k++) {
                Gantry__Pages m = GANTRY__PAGES__INIT;
                Gantry__Pages__Run *run = fuzz_array(many[k].runs, sizeof(*run));
                Gantry__Pages__Run **list = fuzz_array(many[k].runs, sizeof(run));
                for (size_t i = 0; i < many[k].runs; i++) {
                        gantry__pages__run__init(&run[i]);
                        run[i].mem = 77;
                        run[i].pages = many[k].pages;
                        run[i].addr = (uint64_t)i * many[k].pages * PAGE_BYTES;
                        run[i].what = (Gantry__Pages__Run__What)many[k].what;
                        run[i].has_offset = run[i].has_xxh3 = many[k].what == GANTRY__PAGES__RUN__WHAT__DATA;
                        run[i].offset = (uint64_t)i * many[k].pages * PAGE_BYTES;
                        list[i] = &run[i];
                }
                m.n_runs = many[k].runs;
                m.runs = list;
                f->msg = &m.base;
                s->at = at;
                changed(s);
                f->msg = old.msg;
                free(list);
                free(run);
        }
}

static void one(struct stream *s, size_t at)
{
        struct frame *f = &s->f[at], old = *f;

        s->at = at;
        put(s, at, 0, false);
        put(s, at, 2, false);
        if (at + 1 < s->n) {
                s->f[at] = s->f[at + 1];
                s->f[at + 1] = old;
                put(s, s->n, 1, false);
                s->f[at + 1] = s->f[at];
                s->f[at] = old;
        }
        static const uint64_t values[] = {0, 1, 2, 3, 4, 5, 15, 16, 0xffff, 0x10000, 0x100000, 0x100001, 0x7fffffff, 0xffffffff, 0x100000000, UINT64_MAX};
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                f->h.kind = (uint16_t)values[i];
                put(s, s->n, 1, false);
                f->h.flags = 1;
                put(s, s->n, 1, false);
                f->h = old.h;
                f->h.flags = (uint16_t)values[i];
                put(s, s->n, 1, false);
                f->h = old.h;
                f->h.id = values[i];
                put(s, s->n, 1, false);
                f->h = old.h;
        }
        if (f->msg)
                fuzz_message(f->msg, 5, changed, s);
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        struct stream *s = calloc(1, sizeof(*s));
        size_t at = IMAGE_HEAD;
        bool pages = false;

        FUZZ_CHECK(s);
        s->head = seed;
        s->to = to;
        while (s->n < FRAMES && at < n && n - at >= RECORD_OVERHEAD) {
                struct frame *f = &s->f[s->n];
                f->h = record_head_get(seed + at);
                f->payload = seed + at + RECORD_HEAD;
                if (f->h.len > n - at - RECORD_OVERHEAD)
                        break;
                at += RECORD_OVERHEAD + f->h.len;
                f->msg = type_of(f->h.kind) ? protobuf_c_message_unpack(type_of(f->h.kind), NULL, f->h.len, f->payload) : NULL;
                f->bytes = seed + at;
                const Gantry__Pages *m = f->h.kind == RECORD_PAGES ? (const Gantry__Pages *)f->msg : NULL;
                for (size_t i = 0; m && i < m->n_runs; i++)
                        f->n_bytes += m->runs[i]->what == GANTRY__PAGES__RUN__WHAT__DATA ? (size_t)m->runs[i]->pages * PAGE_BYTES : 0;
                if (f->n_bytes > n - at)
                        break;
                at += f->n_bytes;
                s->n++;
        }

        uint8_t *head = fuzz_copy(seed, IMAGE_HEAD);
        s->head = head;
        for (size_t i = 0; i < IMAGE_HEAD; i++)
                for (unsigned v = 0; v < 256; v += 51) {
                        head[i] = (uint8_t)v;
                        put(s, s->n, 1, false);
                        head[i] = seed[i];
                }
        for (size_t i = 0; i < s->n; i++) {
                one(s, i);
                if (s->f[i].h.kind == RECORD_PAGES && !pages) {
                        pages = true;
                        too_much(s, i);
                }
        }
        for (size_t i = 0; i < s->n; i++)
                if (s->f[i].msg)
                        protobuf_c_message_free_unpacked(s->f[i].msg, NULL);
        free(head);
        free(s);
        (void)most;
}
