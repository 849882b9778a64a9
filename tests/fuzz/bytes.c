/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a corpus of bytes (fuzz.h): at every place a byte, and a little-endian number of 16, 32 and 64 bits, at their limits
 * and one beside what they are; bytes left out, put in, doubled.
 */
#include "tests/fuzz/fuzz.h"

static uint64_t get(const uint8_t *p, unsigned n)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < n; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}

static void number(uint8_t *p, size_t n, size_t at, unsigned width, const struct fuzz_sink *to)
{
        uint64_t old = get(p + at, width), max = UINT64_MAX >> (64 - 8 * width);
        const uint64_t values[] = {0, 1, old + 1, old - 1, old * 2, max, max - 1, max / 2, max / 2 + 1, 0x7f, 0x80, 0x7fff, 0x8000, 0xffff};

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                if ((values[i] & max) == old)
                        continue;
                for (unsigned k = 0; k < width; k++)
                        p[at + k] = (uint8_t)(values[i] >> 8 * k);
                to->put(to->ctx, p, n);
        }
        for (unsigned k = 0; k < width; k++)
                p[at + k] = (uint8_t)(old >> 8 * k);
}

static void splice(const uint8_t *p, size_t n, size_t at, const struct fuzz_sink *to)
{
        static const uint8_t put[] = {0, 0xff};

        for (size_t len = 1; len <= 8; len *= 2) {
                struct fuzz_buf b = {};
                size_t left = n - at < len ? n - at : len;
                fuzz_add(&b, p, at);
                fuzz_add(&b, p + at + left, n - at - left); /* left out */
                to->put(to->ctx, b.p, b.n);
                b.n = at;
                fuzz_add(&b, p + at, left); /* doubled */
                fuzz_add(&b, p + at, n - at);
                to->put(to->ctx, b.p, b.n);
                free(b.p);
        }
        for (size_t i = 0; i < sizeof(put); i++) {
                struct fuzz_buf b = {};
                fuzz_add(&b, p, at);
                fuzz_add(&b, &put[i], 1);
                fuzz_add(&b, p + at, n - at);
                to->put(to->ctx, b.p, b.n);
                free(b.p);
        }
}

void fuzz_bytes(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        uint8_t *p = fuzz_copy(seed, n);
        size_t step = (n ? n * 4 - 1 : 0) / most + 1;

        step |= 1; /* an odd distance meets every alignment */
        for (size_t at = 0; at < n; at += step) {
                for (unsigned width = 1; width <= 8; width *= 2)
                        if (at % width == 0 && at + width <= n)
                                number(p, n, at, width, to);
                splice(p, n, at, to);
        }
        free(p);
}
