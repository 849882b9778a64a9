/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ext4 superblock as this project reads it: 1,024 bytes at offset 1,024 of the image, little-endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define EXT4_SUPER_OFFSET 1024
#define EXT4_SUPER_SIZE 1024

struct ext4_super {
        uint64_t blocks, blocks_free;
        uint32_t inodes, inodes_free;
        uint32_t block_size;
        uint32_t incompat, ro_compat;
        unsigned char uuid[16];
        char label[17];
        bool clean;          /* unmounted properly, journal empty, no error noted */
        bool has_mount_opts; /* mount options inside the image: the image asks for authority */
};

/* Strict: magic, checksum, geometry and features; n must be EXT4_SUPER_SIZE. EX_DISK says what is wrong. */
int ext4_super_parse(const void *p, size_t n, struct ext4_super *ret, struct err *err);

/* CRC32C (Castagnoli) as ext4 uses it: seeded by the caller, not inverted at the end. */
uint32_t ext4_crc32c(uint32_t seed, const void *p, size_t n);
