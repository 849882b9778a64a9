/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reader of the ext4 superblock: enough to say what an image is before anything mounts it.
 *
 * The bytes are hostile (another node's, a backup's): nothing is used before the magic and, where the file system has
 * metadata_csum (ours always have), the CRC32C over the first 1,020 bytes agree; every count is held against the
 * geometry. A feature this reader has never heard of is named and refused, because what follows it in the structure
 * may mean something else then.
 *
 * Not done: group descriptors, the journal, fixing anything. That is e2fsck's work.
 */
#include "ploop/ext4super.h"

#include <stdio.h>
#include <string.h>

#define MAGIC 0xef53
#define STATE_VALID 0x1
#define STATE_ERROR 0x2
#define INCOMPAT_RECOVER 0x4
#define INCOMPAT_JOURNAL_DEV 0x8
#define INCOMPAT_64BIT 0x80
#define INCOMPAT_CSUM_SEED 0x2000
/* filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt, casefold */
#define INCOMPAT_KNOWN (0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000)
#define RO_COMPAT_METADATA_CSUM 0x400
#define CHECKSUM_AT 0x3fc

uint32_t ext4_crc32c(uint32_t seed, const void *p, size_t n)
{
        const uint8_t *b = p;
        uint32_t crc = seed;

        /* Bit by bit: 1 KiB per image, nobody waits for it. */
        for (size_t i = 0; i < n; i++) {
                crc ^= b[i];
                for (int k = 0; k < 8; k++)
                        crc = (crc >> 1) ^ (UINT32_C(0x82f63b78) & (0U - (crc & 1)));
        }
        return crc;
}

static uint32_t le16(const uint8_t *p, size_t at)
{
        return (uint32_t)p[at] | (uint32_t)p[at + 1] << 8;
}

static uint32_t le32(const uint8_t *p, size_t at)
{
        return le16(p, at) | le16(p, at + 2) << 16;
}

static int wrong(struct err *err, const char *why)
{
        return err_set(err, EX_DISK, "cannot use the image's file system", why, "ext4 superblock");
}

static int check_identity(const uint8_t *p, struct err *err)
{
        uint32_t incompat = le32(p, 0x60);

        if (le16(p, 0x38) != MAGIC)
                return wrong(err, "this is no ext4: the magic number is missing");
        if (le32(p, 0x4c) != 1)
                return wrong(err, "unknown revision");
        if (le32(p, 0x64) & RO_COMPAT_METADATA_CSUM) {
                if (p[0x175] != 1)
                        return wrong(err, "unknown kind of checksum");
                if (ext4_crc32c(~UINT32_C(0), p, CHECKSUM_AT) != le32(p, CHECKSUM_AT))
                        return wrong(err, "its checksum does not match: the image is damaged");
        } else if (incompat & INCOMPAT_CSUM_SEED) {
                /* A flip of the one bit that turns the checksum off is seen too, in images of ours. */
                return wrong(err, "a checksum's seed without checksums: the image is damaged");
        }
        if (incompat & INCOMPAT_JOURNAL_DEV)
                return wrong(err, "this is an external journal, not a file system");
        if (incompat & ~(uint32_t)INCOMPAT_KNOWN) {
                int r = wrong(err, "");
                if (err)
                        r = err_why(err, "unknown features 0x%x", incompat & ~(uint32_t)INCOMPAT_KNOWN);
                return r;
        }
        return 0;
}

/* Group counts must agree with each other, or a later reader would divide by zero or run past the end. */
static int check_geometry(const uint8_t *p, const struct ext4_super *s, struct err *err)
{
        uint32_t first = le32(p, 0x14), per_group = le32(p, 0x20), inodes_per_group = le32(p, 0x28);
        uint32_t bits = s->block_size * 8;

        if (per_group == 0 || inodes_per_group == 0 || inodes_per_group > bits)
                return wrong(err, "impossible size of a block group");
        if (first != (s->block_size == 1024 ? 1 : 0) || s->blocks <= first)
                return wrong(err, "impossible number of blocks");
        if (s->blocks > UINT64_MAX / s->block_size)
                return wrong(err, "impossible number of blocks");
        uint64_t groups = (s->blocks - first - 1) / per_group + 1;
        if (groups > UINT32_MAX / inodes_per_group || groups * inodes_per_group != s->inodes)
                return wrong(err, "the numbers of inodes and of block groups disagree");
        if (s->blocks_free > s->blocks || s->inodes_free > s->inodes)
                return wrong(err, "more is free than exists");
        return 0;
}

int ext4_super_parse(const void *bytes, size_t n, struct ext4_super *ret, struct err *err)
{
        const uint8_t *p = bytes;
        struct ext4_super s = {};

        if (n != EXT4_SUPER_SIZE)
                return wrong(err, "the file is too short to hold one");
        int r = check_identity(p, err);
        if (r < 0)
                return r;
        uint32_t log = le32(p, 0x18), state = le16(p, 0x3a);
        if (log > 6)
                return wrong(err, "impossible block size");
        s.block_size = UINT32_C(1024) << log;
        s.incompat = le32(p, 0x60);
        s.ro_compat = le32(p, 0x64);
        s.inodes = le32(p, 0x0);
        s.inodes_free = le32(p, 0x10);
        s.blocks = le32(p, 0x4);
        s.blocks_free = le32(p, 0xc);
        if (s.incompat & INCOMPAT_64BIT) {
                s.blocks |= (uint64_t)le32(p, 0x150) << 32;
                s.blocks_free |= (uint64_t)le32(p, 0x158) << 32;
        }
        r = check_geometry(p, &s, err);
        if (r < 0)
                return r;
        memcpy(s.uuid, p + 0x68, sizeof(s.uuid));
        memcpy(s.label, p + 0x78, sizeof(s.label) - 1);
        s.clean = (state & STATE_VALID) && !(state & STATE_ERROR) && !(s.incompat & INCOMPAT_RECOVER);
        s.has_mount_opts = p[0x200] != 0;
        *ret = s;
        return 0;
}
