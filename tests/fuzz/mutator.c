/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer's way to the variants of a format (fuzz.h): one mutation in 256 is one of them, any with the same chance (to make them all
 * takes as long as some hundred runs); the others are its own. Only in builds with -Dfuzzer=true.
 */
#include "tests/fuzz/fuzz.h"

#define ONE_IN 256
#define MOST 256

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct choice { uint64_t random; size_t n, size, max; uint8_t *to; };

/* The n-th takes the place of what was chosen before it once in n times. */
static void choose(void *ctx, const uint8_t *data, size_t n)
{
        struct choice *c = ctx;

        if (n == 0 || n > c->max)
                return;
        c->n++;
        c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if ((c->random >> 33) % c->n == 0) {
                memcpy(c->to, data, n);
                c->size = n;
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        struct choice c = {.random = seed, .to = data, .max = max};
        const struct fuzz_sink sink = {choose, &c};

        if (seed % ONE_IN == 0 && size && size < 65536) {
                uint8_t *copy = fuzz_copy(data, size);
                fuzz_variants(copy, size, MOST, &sink);
                free(copy);
        }
        return c.size ? c.size : LLVMFuzzerMutate(data, size, max);
}
