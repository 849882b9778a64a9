/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of ext4_super_parse(). Input: the 1,024 bytes of a superblock.
 *
 * Each input is parsed as it is and once more with its checksum made right, or no flipped bit would ever get past it.
 * What is accepted must make sense: sizes that fit into 64 bits, nothing more free than there is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ploop/ext4super.h"

#define CHECKSUM_AT 0x3fc

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const uint8_t *p, size_t n)
{
        struct ext4_super s = {};
        struct err err = {};
        int r = ext4_super_parse(p, n, &s, &err);

        if (r < 0) {
                if (r != -EX_DISK || !err.why[0] || s.blocks)
                        abort();
                return;
        }
        if (n != EXT4_SUPER_SIZE || s.block_size < 1024 || s.block_size > 65536 || !s.blocks || !s.inodes)
                abort();
        if (s.blocks > UINT64_MAX / s.block_size || s.blocks_free > s.blocks || s.inodes_free > s.inodes)
                abort();
        if (!memchr(s.label, 0, sizeof(s.label)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t fixed[EXT4_SUPER_SIZE];

        one(data, size);
        if (size != sizeof(fixed))
                return 0;
        memcpy(fixed, data, size);
        uint32_t crc = ext4_crc32c(~UINT32_C(0), fixed, CHECKSUM_AT);
        for (int i = 0; i < 4; i++)
                fixed[CHECKSUM_AT + i] = (uint8_t)(crc >> 8 * i);
        one(fixed, size);
        return 0;
}
