/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a corpus of protobuf payloads behind a kind and its flags (record.c), as bytes: fields left out, doubled, moved, of other
 * lengths, of other wire types, unknown; numbers longer than they need be; texts with a NUL; every kind and flag.
 */
#include "tests/fuzz/fuzz.h"

#define HEAD 4u

struct field { size_t at, body, end; uint64_t tag; };

static bool varint(const uint8_t *p, size_t n, size_t *at, uint64_t *ret)
{
        unsigned shift = 0;

        for (*ret = 0; *at < n && shift < 64; shift += 7) {
                uint8_t c = p[(*at)++];
                *ret |= (uint64_t)(c & 0x7f) << shift;
                if (!(c & 0x80))
                        return true;
        }
        return false;
}

static bool next(const uint8_t *p, size_t n, size_t *at, struct field *ret)
{
        uint64_t v = 0;

        ret->at = *at;
        if (!varint(p, n, at, &ret->tag))
                return false;
        ret->body = *at;
        switch (ret->tag & 7) {
        case 0:
                if (!varint(p, n, at, &v))
                        return false;
                break;
        case 1:
                *at += 8;
                break;
        case 2:
                if (!varint(p, n, at, &v) || v > n - *at)
                        return false;
                ret->body = *at;
                *at += (size_t)v;
                break;
        case 5:
                *at += 4;
                break;
        default:
                return false;
        }
        ret->end = *at;
        return *at <= n;
}

static void put_varint(struct fuzz_buf *b, uint64_t v, size_t least)
{
        uint8_t c;

        for (size_t n = 1; v > 0x7f || n < least; n++, v >>= 7) {
                c = (uint8_t)(0x80 | (v & 0x7f));
                fuzz_add(b, &c, 1);
        }
        c = (uint8_t)v;
        fuzz_add(b, &c, 1);
}

/* The seed with what `with` has in the place from `from` to `end`. Lengths of messages around it are as they were. */
static void put(const uint8_t *p, size_t n, size_t from, size_t end, const struct fuzz_buf *with, const struct fuzz_sink *to)
{
        struct fuzz_buf b = {};

        fuzz_add(&b, p, from);
        fuzz_add(&b, with->p, with->n);
        fuzz_add(&b, p + end, n - end);
        to->put(to->ctx, b.p, b.n);
        free(b.p);
}

static void one(const uint8_t *p, size_t n, const struct field *f, const struct fuzz_sink *to)
{
        static const uint64_t values[] = {0, 1, 2, 3, 4, 5, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX, UINT64_MAX};
        struct fuzz_buf b = {};

        put(p, n, f->at, f->end, &b, to);
        for (unsigned k = 0; k < 2; k++)
                fuzz_add(&b, p + f->at, f->end - f->at);
        put(p, n, f->at, f->end, &b, to);
        for (unsigned type = 0; type < 8; type++) { /* another wire type, then another number */
                b.n = 0;
                put_varint(&b, (f->tag & ~UINT64_C(7)) | type, 1);
                fuzz_add(&b, p + f->body, f->end - f->body);
                put(p, n, f->at, f->end, &b, to);
        }
        for (uint64_t number = 0; number < 40; number++) {
                b.n = 0;
                put_varint(&b, number << 3 | (f->tag & 7), 1);
                if ((f->tag & 7) == 2)
                        put_varint(&b, f->end - f->body, 1);
                fuzz_add(&b, p + f->body, f->end - f->body);
                put(p, n, f->at, f->end, &b, to);
        }
        for (size_t longer = 2; longer <= 10; longer += 4) { /* a tag that is longer than it need be */
                b.n = 0;
                put_varint(&b, f->tag, longer);
                if ((f->tag & 7) == 2)
                        put_varint(&b, f->end - f->body, 1);
                fuzz_add(&b, p + f->body, f->end - f->body);
                put(p, n, f->at, f->end, &b, to);
        }
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) { /* a number, or a length that lies */
                if ((f->tag & 7) != 0 && (f->tag & 7) != 2)
                        break;
                for (size_t least = 1; least <= 10; least += 9) {
                        b.n = 0;
                        put_varint(&b, f->tag, 1);
                        put_varint(&b, values[i], least);
                        if ((f->tag & 7) == 2)
                                fuzz_add(&b, p + f->body, f->end - f->body);
                        put(p, n, f->at, f->end, &b, to);
                }
        }
        free(b.p);
}

static void fields(const uint8_t *p, size_t n, size_t from, size_t end, unsigned depth, const struct fuzz_sink *to)
{
        struct field f;

        for (size_t at = from; at < end && next(p, end, &at, &f);) {
                one(p, n, &f, to);
                if ((f.tag & 7) == 2 && depth < 3)
                        fields(p, n, f.body, f.end, depth + 1, to);
        }
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        uint8_t *p = fuzz_copy(seed, n);

        if (n < HEAD) {
                free(p);
                return;
        }
        for (unsigned kind = 0; kind < 256; kind++)
                for (unsigned flags = 0; flags < 4; flags++) {
                        p[0] = (uint8_t)kind;
                        p[2] = (uint8_t)flags;
                        to->put(to->ctx, p, n);
                }
        memcpy(p, seed, HEAD);
        p[3] = 0x80;
        to->put(to->ctx, p, n);
        memcpy(p, seed, HEAD);
        fields(p, n, HEAD, n, 0, to);
        free(p);
        fuzz_bytes(seed, n, most, to);
        /* what is longer than a record */
        struct fuzz_buf b = {};
        fuzz_add(&b, seed, n);
        for (size_t size = 1u << 20; size <= (1u << 20) + 8; size += 8) {
                static const uint8_t text[] = {0x0a};
                b.n = n;
                fuzz_add(&b, text, 1);
                put_varint(&b, size - n - 4, 1);
                fuzz_fill(&b, 'x', size - n - 4);
                to->put(to->ctx, b.p, b.n);
        }
        free(b.p);
}
