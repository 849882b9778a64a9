/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the image as a stream: intake, unpacker, runs, index. Input: a stream.
 *
 * It is tried as it is, and once more with every checksum and the final SHA-256 put right, since a fuzzer cannot guess
 * them and would never get past the first frame. What is accepted must be readable to its last page, and is held against what
 * docs/FORMAT.md says, by code that shares nothing with the reader. How a stream is cut does not matter.
 *
 * The unpacker's child costs more than all the rest: one input in 128 goes through it, the others through its work in this process.
 */
#include <nettle/sha2.h>
#include <xxhash.h>

#include "checkpoint/image-int.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"
#include "tests/fuzz/records.h"

#define PAGES_MAX (1u << 21)

/* ---- the unpacker ---- */

int __real_unpacker_start(const struct record_types *types, struct unpacker **ret, struct err *err);
int __real_unpacker_frames(struct unpacker *u, const uint8_t *p, size_t n, struct err *err);
void __real_unpacker_end(struct unpacker *u);
int __wrap_unpacker_start(const struct record_types *types, struct unpacker **ret, struct err *err);
int __wrap_unpacker_frames(struct unpacker *u, const uint8_t *p, size_t n, struct err *err);
void __wrap_unpacker_end(struct unpacker *u);

static bool child;                            /* this input has one */
static const struct record_types *in_types;   /* that it was started with, without one */
static char stand_in;

int __wrap_unpacker_start(const struct record_types *types, struct unpacker **ret, struct err *err)
{
        if (child)
                return __real_unpacker_start(types, ret, err);
        in_types = types;
        *ret = (struct unpacker *)(void *)&stand_in;
        return record_types_check(types, err);
}

int __wrap_unpacker_frames(struct unpacker *u, const uint8_t *p, size_t n, struct err *err)
{
        int r = 0;

        if (child)
                return __real_unpacker_frames(u, p, n, err);
        for (size_t at = 0; r >= 0 && at < n;) {
                struct record_head h = record_head_get(p + at);
                struct record rec = {};
                uint8_t *frame = NULL;
                size_t len = 0;
                FUZZ_CHECK(n - at >= RECORD_OVERHEAD + (size_t)h.len);
                r = record_unpack(in_types, h.kind, h.flags, h.id, p + at + RECORD_HEAD, h.len, &rec, err);
                if (r == 0)
                        FUZZ_CHECK(record_pack(&rec, &frame, &len, NULL) == 0 && len == RECORD_OVERHEAD + h.len && memcmp(frame, p + at, len) == 0);
                record_done(&rec);
                free(frame);
                at += RECORD_OVERHEAD + h.len;
        }
        return r < 0 ? r : 0;
}

void __wrap_unpacker_end(struct unpacker *u)
{
        if (child)
                __real_unpacker_end(u);
}

/* ---- what the format says ---- */

static const struct image_run *holder(const struct image *img, uint64_t mem, uint64_t addr)
{
        for (size_t i = 0; i < img->n_runs; i++) {
                const struct run *r = &img->runs[i].run;
                if (r->mem == mem && addr >= r->addr && addr - r->addr < (uint64_t)r->pages * PAGE_BYTES)
                        return &img->runs[i];
        }
        return NULL;
}

static void check_runs(const struct image *img)
{
        uint64_t bytes = 0;
        const Gantry__Header *h = (const Gantry__Header *)img->header.msg;

        FUZZ_CHECK(img->n_runs <= img->cap_runs);
        for (size_t i = 0; i < img->n_runs; i++) {
                const struct image_run *x = &img->runs[i];
                const struct run *r = &x->run;
                uint64_t len = (uint64_t)r->pages * PAGE_BYTES;
                FUZZ_CHECK(r->mem && r->pages && r->addr % PAGE_BYTES == 0 && r->addr + len > r->addr && r->what <= RUN_PARENT);
                FUZZ_CHECK((r->what != RUN_DATA && r->what != RUN_SAME) || r->pages <= RUN_MAX_PAGES);
                if (r->what == RUN_DATA)
                        FUZZ_CHECK(x->offset == bytes);
                FUZZ_CHECK(r->what != RUN_PARENT || h->parent);
                bytes += r->what == RUN_DATA ? len : 0;
                for (size_t k = 0; k < i && i < 300; k++) {
                        const struct run *o = &img->runs[k].run;
                        FUZZ_CHECK(o->mem != r->mem || o->addr >= r->addr + len || r->addr >= o->addr + (uint64_t)o->pages * PAGE_BYTES);
                }
                for (uint32_t p = 0; r->what == RUN_SAME && p < r->pages; p++) {
                        const struct image_run *t = holder(img, r->same_mem, r->same_addr + (uint64_t)p * PAGE_BYTES);
                        FUZZ_CHECK(r->same_addr % PAGE_BYTES == 0 && t && t->run.what == RUN_DATA && t < x);
                }
        }
        FUZZ_CHECK(bytes == img->pages_bytes && bytes <= PAGES_MAX);
}

static void check_pages(const Gantry__Pages *m, uint64_t id, uint64_t ordinal)
{
        uint64_t bytes = 0;

        FUZZ_CHECK(id == ordinal && m->n_runs >= 1 && m->n_runs <= 1024);
        for (size_t i = 0; i < m->n_runs; i++) {
                const Gantry__Pages__Run *r = m->runs[i];
                bool data = r->what == GANTRY__PAGES__RUN__WHAT__DATA, same = r->what == GANTRY__PAGES__RUN__WHAT__SAME;
                FUZZ_CHECK(r->has_offset == data && r->has_xxh3 == data && r->has_same_mem == same && r->has_same_addr == same);
                bytes += data ? (uint64_t)r->pages * PAGE_BYTES : 0;
        }
        FUZZ_CHECK(bytes <= 1u << 20);
}

static void check_end(const struct image *img, const Gantry__End *m, size_t before)
{
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx sha;
        uint64_t counted = 0, records = 0;

        sha256_init(&sha);
        sha256_update(&sha, before, img->bytes);
        sha256_digest(&sha, sizeof(digest), digest);
        FUZZ_CHECK(m->sha256.len == sizeof(digest) && memcmp(m->sha256.data, digest, sizeof(digest)) == 0);
        FUZZ_CHECK(m->runs == img->n_runs && m->pages_bytes == img->pages_bytes);
        for (size_t at = IMAGE_HEAD; at < before; records++)
                at += RECORD_OVERHEAD + record_head_get(img->bytes + at).len;
        for (size_t i = 0; i < m->n_counts; i++) {
                uint64_t n = 0;
                FUZZ_CHECK(!i || m->counts[i]->kind > m->counts[i - 1]->kind);
                for (size_t at = IMAGE_HEAD; at < before; at += RECORD_OVERHEAD + record_head_get(img->bytes + at).len)
                        n += record_head_get(img->bytes + at).kind == m->counts[i]->kind;
                FUZZ_CHECK(n && n == m->counts[i]->count);
                counted += n;
        }
        FUZZ_CHECK(counted == records && img->records == records);
}

/* The frames that the image has kept, one by one. */
static void check_frames(const struct image *img)
{
        uint64_t ordinal = 0, n = 0;
        bool ended = false;

        FUZZ_CHECK(img->len >= IMAGE_HEAD && memcmp(img->bytes, "GNTRYIMG\1\0\0\0\x3e\0\0\0", IMAGE_HEAD) == 0);
        for (size_t at = IMAGE_HEAD; at < img->len; n++) {
                struct record_head h = record_head_get(img->bytes + at);
                const uint8_t *payload = img->bytes + at + RECORD_HEAD;
                uint32_t crc = crc32c(0, img->bytes + at, RECORD_HEAD + h.len);
                FUZZ_CHECK(h.len <= RECORD_MAX && img->len - at >= RECORD_OVERHEAD + h.len && memcmp(payload + h.len, &crc, RECORD_CRC) == 0);
                FUZZ_CHECK(!ended && (h.kind == RECORD_HEADER) == (n == 0) && !(h.flags & ~RECORD_OPTIONAL));
                FUZZ_CHECK(h.kind <= 3 ? h.kind >= 1 && !h.flags : h.flags == RECORD_OPTIONAL);
                if (h.kind == RECORD_HEADER || h.kind == RECORD_END)
                        FUZZ_CHECK(h.id == 0);
                if (h.kind == RECORD_HEADER) {
                        Gantry__Header *m = gantry__header__unpack(NULL, h.len, payload);
                        FUZZ_CHECK(m && m->n_feature == 0);
                        gantry__header__free_unpacked(m, NULL);
                }
                if (h.kind == RECORD_PAGES) {
                        Gantry__Pages *m = gantry__pages__unpack(NULL, h.len, payload);
                        FUZZ_CHECK(m);
                        check_pages(m, h.id, ordinal++);
                        gantry__pages__free_unpacked(m, NULL);
                }
                if (h.kind == RECORD_END) {
                        Gantry__End *m = gantry__end__unpack(NULL, h.len, payload);
                        FUZZ_CHECK(m);
                        check_end(img, m, at);
                        gantry__end__free_unpacked(m, NULL);
                        ended = true;
                }
                at += RECORD_OVERHEAD + h.len;
        }
        FUZZ_CHECK(ended);
}

/* What pads the last page of an object of so many bytes is zero, and nothing lies behind it. */
static void check_tail(struct image *img, uint64_t mem, uint64_t bytes)
{
        uint64_t end = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        uint8_t page[PAGE_BYTES];
        bool good = true;

        for (size_t i = 0; i < img->n_runs; i++)
                good &= img->runs[i].run.mem != mem || img->runs[i].run.addr + (uint64_t)img->runs[i].run.pages * PAGE_BYTES <= end;
        int r = good && bytes % PAGE_BYTES ? image_page_read(img, mem, end - PAGE_BYTES, 1, page, NULL) : 1;
        for (size_t i = bytes % PAGE_BYTES; r == 0 && i < PAGE_BYTES; i++)
                good &= page[i] == 0;
        if (r >= 0)
                FUZZ_CHECK((image_tail_check(img, mem, bytes, NULL) == 0) == good);
}

static void read_all(struct image *img)
{
        struct record_source s = image_records(img);
        struct record r = {};
        struct run run;
        void *pages = NULL;
        uint8_t *buf = fuzz_array(16, PAGE_BYTES), page[PAGE_BYTES];
        int res;

        while ((res = s.next(s.c, &r, NULL)) == 1)
                record_done(&r);
        FUZZ_CHECK(res == 0 && image_pages_new(img, &pages, NULL) == 0);
        while ((res = image_page_source.next(pages, &run, buf, 16 * PAGE_BYTES, NULL)) == 1) {
                FUZZ_CHECK(run.pages);
                if (run.what == RUN_PARENT)
                        continue;
                FUZZ_CHECK(image_page_read(img, run.mem, run.addr, 1, page, NULL) == 0);
                FUZZ_CHECK(run.what == RUN_ZERO || memcmp(page, buf, PAGE_BYTES) == 0);
                FUZZ_CHECK(image_page_read(img, run.mem, run.addr + (uint64_t)(run.pages - 1) * PAGE_BYTES, 1, page, NULL) == 0);
        }
        FUZZ_CHECK(res == 0);
        image_page_source.done(pages);
        free(buf);
        for (size_t i = 0; i < img->n_runs && i < 4; i++)
                for (uint64_t less = 0; less < 8192; less += 1000)
                        check_tail(img, img->runs[i].run.mem, img->runs[i].run.addr + (uint64_t)img->runs[i].run.pages * PAGE_BYTES - less);
}

/* ---- one input ---- */

/* Complete only where all of it was used: 1. */
static int try(const uint8_t *data, size_t size, size_t piece)
{
        struct image_receiver *r = NULL;
        struct image *img = NULL;
        size_t used = 0, at = 0;
        int res = 0;

        FUZZ_CHECK(image_receiver_new(NULL, -1, PAGES_MAX, &r, NULL) == 0);
        while (res == 0 && at < size) {
                size_t n = size - at < piece ? size - at : piece;
                uint8_t *part = fuzz_copy(data + at, n);
                res = image_receiver_feed(r, part, n, &used, NULL);
                FUZZ_CHECK(res < 0 || used <= n);
                free(part);
                at += res < 0 ? 0 : used;
        }
        if (res == 1) {
                FUZZ_CHECK(image_receiver_take(r, &img, NULL) == 0);
                check_frames(img);
                check_runs(img);
                read_all(img);
                image_close(img);
        } else {
                FUZZ_CHECK(image_receiver_take(r, &img, NULL) < 0); /* half an image is given to nobody */
        }
        if (res < 0)
                FUZZ_CHECK(image_receiver_feed(r, data, size < 1 ? size : 1, &used, NULL) < 0);
        image_receiver_free(r);
        return res;
}

/* Hashes of one PAGES record (tag 0x31, 8 bytes) cannot be patched without parsing: only the bytes that follow are told. */
static size_t data_bytes(const uint8_t *payload, size_t len)
{
        Gantry__Pages *m = gantry__pages__unpack(NULL, len, payload);
        size_t n = 0;

        for (size_t i = 0; m && i < m->n_runs; i++)
                if (m->runs[i]->what == GANTRY__PAGES__RUN__WHAT__DATA && m->runs[i]->pages <= 4 * RUN_MAX_PAGES)
                        n += (size_t)m->runs[i]->pages * PAGE_BYTES;
        if (m)
                gantry__pages__free_unpacked(m, NULL);
        return n;
}

/* END as our writer makes it ends with the digest. */
static void put_right(uint8_t *p, size_t size)
{
        struct sha256_ctx sha;
        size_t at = IMAGE_HEAD;

        sha256_init(&sha);
        if (size >= IMAGE_HEAD)
                sha256_update(&sha, IMAGE_HEAD, p);
        while (size > at && size - at >= RECORD_OVERHEAD) {
                struct record_head h = record_head_get(p + at);
                size_t len = RECORD_OVERHEAD + (size_t)h.len;
                if (len > size - at)
                        return;
                if (h.kind == RECORD_END && h.len > SHA256_DIGEST_SIZE && p[at + RECORD_HEAD + h.len - SHA256_DIGEST_SIZE - 1] == SHA256_DIGEST_SIZE)
                        sha256_digest(&sha, SHA256_DIGEST_SIZE, p + at + len - RECORD_CRC - SHA256_DIGEST_SIZE);
                uint32_t crc = crc32c(0, p + at, len - RECORD_CRC);
                memcpy(p + at + len - RECORD_CRC, &crc, RECORD_CRC);
                sha256_update(&sha, len, p + at);
                at += len;
                if (h.kind == RECORD_PAGES)
                        at += data_bytes(p + at - len + RECORD_HEAD, h.len);
        }
}

/* Its first frame has its checksum; without, there is little to be seen of it as it is. */
static bool begins_right(const uint8_t *p, size_t size)
{
        uint32_t crc;

        if (size < IMAGE_HEAD + RECORD_OVERHEAD)
                return true;
        struct record_head h = record_head_get(p + IMAGE_HEAD);
        if (h.len > size - IMAGE_HEAD - RECORD_OVERHEAD)
                return true;
        crc = crc32c(0, p + IMAGE_HEAD, RECORD_HEAD + h.len);
        return memcmp(p + IMAGE_HEAD + RECORD_HEAD + h.len, &crc, RECORD_CRC) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy = fuzz_copy(data, size);

        child = XXH3_64bits(data, size) % 128 == 0;
        if (child || begins_right(data, size))
                (void)try(copy, size, size ? size : 1);
        put_right(copy, size);
        int r = try(copy, size, size ? size : 1);
        if (size < 512 && !child)
                FUZZ_CHECK(try(copy, size, 7) == r);
        free(copy);
        return 0;
}
