/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the harnesses of this folder share (docs/DEVELOPING.md, "Fuzzing").
 *
 * A harness is LLVMFuzzerTestOneInput(): it may be given anything, and says by FUZZ_CHECK() that something is wrong. Beside it
 * one source of variants knows the format of its corpus and makes, out of a file that is right, those that are nearly
 * right: fields at their limits, too long, doubled, left out. The same ones in the same order each time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(x)                                                                                        \
        do {                                                                                                 \
                if (!(x)) {                                                                                  \
                        fprintf(stderr, "%s:%d: error: not so: %s\n", __FILE__, __LINE__, #x);               \
                        abort();                                                                             \
                }                                                                                            \
        } while (0)

struct fuzz_sink { void (*put)(void *ctx, const uint8_t *data, size_t n); void *ctx; };

/* Every variant of a seed; of many that are alike no more than `most`. One of the files variants-*.c. */
void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to);

/* Lengths that a parser of text has limits at, beside powers of two; 0 ends it. Each harness of text has its own. */
extern const size_t fuzz_sizes[];

/* Bytes and numbers at their limits in every place: what variants of binary formats begin with (bytes.c). */
void fuzz_bytes(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to);

/* A copy of exactly that size, so that a sanitizer sees the first byte too far; never NULL. */
static inline void *fuzz_copy(const void *p, size_t n)
{
        void *copy = malloc(n ? n : 1);

        if (!copy)
                abort();
        if (n)
                memcpy(copy, p, n);
        return copy;
}

/* The same as a string. */
static inline char *fuzz_string(const void *p, size_t n)
{
        char *s = malloc(n + 1);

        if (!s)
                abort();
        if (n)
                memcpy(s, p, n);
        s[n] = '\0';
        return s;
}

/* An array of exactly n elements, which nobody has written to. */
static inline void *fuzz_array(size_t n, size_t size)
{
        void *p = malloc(n && size ? n * size : 1);

        if (!p)
                abort();
        memset(p, 0xa5, n * size);
        return p;
}

/* A text that is being made; grows, ends the program when it cannot. */
struct fuzz_buf { uint8_t *p; size_t n, cap; };

static inline void fuzz_add(struct fuzz_buf *b, const void *p, size_t n)
{
        if (b->n + n > b->cap) {
                b->cap = 2 * (b->n + n) + 256;
                b->p = realloc(b->p, b->cap);
                if (!b->p)
                        abort();
        }
        if (n)
                memcpy(b->p + b->n, p, n);
        b->n += n;
}

static inline void fuzz_fill(struct fuzz_buf *b, uint8_t c, size_t n)
{
        while (n--)
                fuzz_add(b, &c, 1);
}
