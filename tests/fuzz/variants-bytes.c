/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variants of a corpus whose format nobody knows more of than that it is bytes (fuzz.h). */
#include "tests/fuzz/fuzz.h"

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        fuzz_bytes(seed, n, most, to);
}
