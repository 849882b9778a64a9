/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of ext4_super_parse(). Input: the 1,024 bytes of a superblock.
 *
 * Each input is parsed as it is and once more with its checksum made right, or no flipped bit would ever get past it.
 * What is accepted must make sense: sizes that fit into 64 bits, nothing more free than there is.
 */
#include "ploop/ext4super.h"
#include "tests/fuzz/fuzz.h"

#define CHECKSUM_AT 0x3fc

static uint32_t get(const uint8_t *p, size_t at, unsigned n)
{
        uint32_t v = 0;

        for (unsigned i = 0; i < n; i++)
                v |= (uint32_t)p[at + i] << 8 * i;
        return v;
}

/* By the layout of fs/ext4/ext4.h. */
static void check(const uint8_t *p, const struct ext4_super *s)
{
        uint32_t incompat = get(p, 0x60, 4), first = get(p, 0x14, 4), per_group = get(p, 0x20, 4), inodes_per_group = get(p, 0x28, 4);
        bool sums = get(p, 0x64, 4) & 0x400;

        FUZZ_CHECK(get(p, 0x38, 2) == 0xef53 && get(p, 0x4c, 4) == 1 && get(p, 0x18, 4) <= 6 && s->block_size == 1024u << get(p, 0x18, 4));
        FUZZ_CHECK(!(incompat & 0x8) && (sums || !(incompat & 0x2000)) && (!sums || p[0x175] == 1));
        FUZZ_CHECK(!(incompat & ~0x3e7d6u));
        FUZZ_CHECK(!sums || ext4_crc32c(~UINT32_C(0), p, CHECKSUM_AT) == get(p, CHECKSUM_AT, 4));
        FUZZ_CHECK(s->blocks > first && first == (s->block_size == 1024) && per_group && inodes_per_group && inodes_per_group <= 8 * s->block_size);
        FUZZ_CHECK(((s->blocks - first + per_group - 1) / per_group) * (__uint128_t)inodes_per_group == s->inodes && s->inodes);
        FUZZ_CHECK((__uint128_t)s->blocks * s->block_size <= UINT64_MAX && s->blocks_free <= s->blocks && s->inodes_free <= s->inodes);
        FUZZ_CHECK(s->inodes == get(p, 0, 4) && (uint32_t)s->blocks == get(p, 4, 4) && memchr(s->label, 0, sizeof(s->label)));
}

static void one(const uint8_t *p, size_t n)
{
        struct ext4_super *s = calloc(1, sizeof(*s));
        struct err err = {};

        FUZZ_CHECK(s);
        int r = ext4_super_parse(p, n, s, &err);
        if (r < 0) {
                FUZZ_CHECK(r == -EX_DISK && err.why[0] && !s->blocks && ext4_super_parse(p, n, s, NULL) < 0);
        } else {
                FUZZ_CHECK(n == EXT4_SUPER_SIZE);
                check(p, s);
        }
        free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        one(data, size);
        if (size != EXT4_SUPER_SIZE)
                return 0;
        uint8_t *fixed = fuzz_copy(data, size);
        uint32_t crc = ext4_crc32c(~UINT32_C(0), fixed, CHECKSUM_AT);
        for (int i = 0; i < 4; i++)
                fixed[CHECKSUM_AT + i] = (uint8_t)(crc >> 8 * i);
        one(fixed, size);
        free(fixed);
        return 0;
}
