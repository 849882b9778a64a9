/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the image as a stream: intake, unpacker, runs, index. Input: a stream.
 *
 * It is tried as it is, and once more with every checksum and the final SHA-256 put right, since a fuzzer cannot guess
 * them and would never get past the first frame. What is accepted must be readable to its last page.
 */
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "checkpoint/image.h"
#include "proto/pages.pb-c.h"
#include "proto/record.h"

#define PAGES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct image *img)
{
        struct record_source s = image_records(img);
        struct record r = {};
        struct run run;
        void *pages = NULL;
        uint8_t *buf = malloc(RUN_MAX_PAGES * PAGE_BYTES);
        int res;

        while ((res = s.next(s.c, &r, NULL)) == 1)
                record_done(&r);
        if (res < 0 || !buf || image_pages_new(img, &pages, NULL) < 0)
                abort();
        while ((res = image_page_source.next(pages, &run, buf, RUN_MAX_PAGES * PAGE_BYTES, NULL)) == 1) {
                if (image_page_read(img, run.mem, run.addr, 1, buf, NULL) != 0 && run.what != RUN_PARENT)
                        abort();
        }
        if (res < 0)
                abort();
        image_page_source.done(pages);
        free(buf);
}

/* Complete only where all of it was used: 1. */
static int try(const uint8_t *data, size_t size)
{
        struct image_receiver *r = NULL;
        struct image *img = NULL;
        size_t used = 0;

        if (image_receiver_new(NULL, -1, PAGES_MAX, &r, NULL) < 0)
                abort();
        int res = image_receiver_feed(r, data, size, &used, NULL);
        if (res == 1) {
                if (image_receiver_take(r, &img, NULL) < 0)
                        abort();
                read_all(img);
                image_close(img);
        } else if (image_receiver_take(r, &img, NULL) == 0) {
                abort(); /* half an image was given away */
        }
        image_receiver_free(r);
        return res;
}

/* Hashes of one PAGES record (tag 0x31, 8 bytes) cannot be patched without parsing: only the bytes that follow are told. */
static size_t data_bytes(const uint8_t *payload, size_t len)
{
        Gantry__Pages *m = gantry__pages__unpack(NULL, len, payload);
        size_t n = 0;

        for (size_t i = 0; m && i < m->n_runs; i++)
                if (m->runs[i]->what == GANTRY__PAGES__RUN__WHAT__DATA && m->runs[i]->pages <= RUN_MAX_PAGES)
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
                if (h.kind == RECORD_END && h.len > SHA256_DIGEST_SIZE)
                        sha256_digest(&sha, SHA256_DIGEST_SIZE, p + at + len - RECORD_CRC - SHA256_DIGEST_SIZE);
                uint32_t crc = crc32c(0, p + at, len - RECORD_CRC);
                memcpy(p + at + len - RECORD_CRC, &crc, RECORD_CRC);
                sha256_update(&sha, len, p + at);
                at += len;
                if (h.kind == RECORD_PAGES)
                        at += data_bytes(p + at - len + RECORD_HEAD, h.len);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy = malloc(size + 1);

        if (!copy)
                abort();
        memcpy(copy, data, size);
        (void)try(copy, size);
        put_right(copy, size);
        (void)try(copy, size);
        free(copy);
        return 0;
}
