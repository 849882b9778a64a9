/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The superblock's reader: what mke2fs made is understood, and everything that does not fit together is refused.
 *
 * The superblocks are the fuzzer's corpus, made by e2fsprogs 1.47.0; the checksum has its published check value.
 */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "ploop/ext4super.h"

#define CORPUS TEST_SOURCE_ROOT "/tests/fuzz/corpus/ext4super/"

struct super {
        unsigned char at[EXT4_SUPER_SIZE];
};

static struct super load(const char *path)
{
        struct super s = {};
        size_t got = 0;
        _cleanup_close_ int fd = path_open(AT_FDCWD, path, O_RDONLY, 0, NULL);

        cr_assert_geq(fd, 0, "%s", path);
        cr_assert_eq(fd_read_full(fd, s.at, sizeof(s.at), &got, NULL), 0);
        return s;
}

static void put32(struct super *s, size_t at, uint32_t v)
{
        for (size_t i = 0; i < 4; i++)
                s->at[at + i] = (unsigned char)(v >> 8 * i);
}

/* With the checksum made right, so that what is refused is refused for its own sake. */
static int parse(struct super *s, struct ext4_super *ret, struct err *err)
{
        put32(s, 0x3fc, ext4_crc32c(~UINT32_C(0), s->at, 0x3fc));
        return ext4_super_parse(s->at, sizeof(s->at), ret, err);
}

static void refused(struct super s, size_t at, uint32_t v, const char *word)
{
        struct ext4_super got = {};
        struct err err = {};

        put32(&s, at, v);
        cr_expect_eq(parse(&s, &got, &err), -EX_DISK, "0x%zx = 0x%x was taken", at, v);
        cr_expect(strstr(err.why, word), "0x%zx = 0x%x: %s", at, v, err.why);
        cr_expect_eq(got.blocks, 0, "written although refused");
}

Test(ploop_ext4super, crc32c_check_value)
{
        cr_assert_eq(~ext4_crc32c(~UINT32_C(0), "123456789", 9), 0xe3069283U);
}

Test(ploop_ext4super, ours)
{
        struct super s = load(CORPUS "ours");
        struct ext4_super got = {};
        struct err err = {};

        cr_assert_eq(ext4_super_parse(s.at, sizeof(s.at), &got, &err), 0, "%s", err.why);
        cr_assert_eq(got.block_size, 4096);
        cr_assert_eq(got.blocks, 64 * 256);
        cr_assert_gt(got.blocks_free, 0);
        cr_assert_lt(got.blocks_free, got.blocks);
        cr_assert_eq(got.inodes, 4096);
        cr_assert_eq(got.inodes_free, 4096 - 11);
        cr_assert_str_eq(got.label, "corpus");
        cr_assert(got.clean);
        cr_assert_not(got.has_mount_opts);
}

Test(ploop_ext4super, others)
{
        struct ext4_super got = {};
        struct super s = load(CORPUS "small-blocks");

        cr_assert_eq(ext4_super_parse(s.at, sizeof(s.at), &got, NULL), 0);
        cr_assert_eq(got.block_size, 1024);
        s = load(CORPUS "ext3-no-checksum");
        cr_assert_eq(ext4_super_parse(s.at, sizeof(s.at), &got, NULL), 0);
        s = load(CORPUS "large");
        cr_assert_eq(ext4_super_parse(s.at, sizeof(s.at), &got, NULL), 0);
        cr_assert_eq(got.blocks * got.block_size, UINT64_C(8) << 40);
}

Test(ploop_ext4super, every_flipped_bit_is_seen)
{
        struct super s = load(CORPUS "ours");
        struct ext4_super got = {};

        for (size_t bit = 0; bit < sizeof(s.at) * 8; bit++) {
                s.at[bit / 8] ^= (unsigned char)(1U << bit % 8);
                cr_expect_eq(ext4_super_parse(s.at, sizeof(s.at), &got, NULL), -EX_DISK, "bit %zu", bit);
                s.at[bit / 8] ^= (unsigned char)(1U << bit % 8);
        }
        cr_assert_eq(ext4_super_parse(s.at, sizeof(s.at) - 1, &got, NULL), -EX_DISK);
        cr_assert_eq(ext4_super_parse(s.at, 0, &got, NULL), -EX_DISK);
}

Test(ploop_ext4super, impossible_values_with_a_right_checksum)
{
        struct super s = load(CORPUS "ours");

        refused(s, 0x38, 0x0001ef54, "no ext4");
        refused(s, 0x4c, 0, "revision");
        refused(s, 0x18, 7, "block size");
        refused(s, 0x18, 0xffffffff, "block size");
        refused(s, 0x4, 0, "number of blocks");
        refused(s, 0x14, 1, "number of blocks");
        refused(s, 0x20, 0, "block group");
        refused(s, 0x28, 0, "block group");
        refused(s, 0x28, 0xffffffff, "block group");
        refused(s, 0x0, 1, "disagree");
        refused(s, 0xc, 0xffffffff, "free");
        refused(s, 0x10, 0xffffffff, "free");
        refused(s, 0x150, 0xffffffff, "number of blocks");
        refused(s, 0x60, 0x80000000, "0x80000000");
        refused(s, 0x60, 0x8, "journal");
}

Test(ploop_ext4super, states)
{
        struct super s = load(CORPUS "ours");
        struct ext4_super got = {};

        s.at[0x60] |= 4; /* needs its journal */
        cr_assert_eq(parse(&s, &got, NULL), 0);
        cr_assert_not(got.clean);
        s = load(CORPUS "ours");
        s.at[0x3a] |= 2; /* errors noted */
        cr_assert_eq(parse(&s, &got, NULL), 0);
        cr_assert_not(got.clean);
        s = load(CORPUS "ours");
        memcpy(s.at + 0x200, "errors=panic", 12);
        cr_assert_eq(parse(&s, &got, NULL), 0);
        cr_assert(got.has_mount_opts);
        memset(s.at + 0x78, 'x', 16); /* a label without an end */
        cr_assert_eq(parse(&s, &got, NULL), 0);
        cr_assert_eq(strlen(got.label), 16);
}
