/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer's way to the variants of a format (fuzz.h): every second mutation is one of them, chosen by its seed; the others are its
 * own. Only in builds with -Dfuzzer=true.
 */
#include "tests/fuzz/fuzz.h"

#define MOST 256

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct choice { size_t wanted, n, size, max; uint8_t *to; };

static void choose(void *ctx, const uint8_t *data, size_t n)
{
        struct choice *c = ctx;

        if (c->n++ == c->wanted && n <= c->max) {
                memcpy(c->to, data, n);
                c->size = n;
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        uint8_t *copy = fuzz_copy(data, size);
        struct choice c = {.wanted = SIZE_MAX, .to = data, .max = max};
        const struct fuzz_sink sink = {choose, &c};

        if (seed % 2 && size && size < 65536) {
                fuzz_variants(copy, size, MOST, &sink);
                c.wanted = c.n ? seed / 2 % c.n : 0;
                c.n = 0;
                fuzz_variants(copy, size, MOST, &sink);
        }
        free(copy);
        return c.size ? c.size : LLVMFuzzerMutate(data, size, max);
}
