/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what says which blocks of a disk are to be copied: the list of ranges, and the change tracker's bitmap. Input: the
 * bitmap; its last byte says how much of the last block belongs to the disk.
 *
 * track.c is part of this file, because a tracker is made by a kernel and a device only; the kernel's half is stood in for. What
 * is handed out are exactly the bits, each once, in order, within the disk, and no two ranges touch.
 */
#include "ploop/track.c"

#include "tests/fuzz/fuzz.h"

static bool outside; /* the program has seen a write behind the disk's end */

int track_program_load(const struct track_target *target, struct track_program *ret, struct err *err)
{
        (void)target, (void)ret;
        return err_set(err, EX_KERNEL, "no tracker", "not here", "%s", "");
}

int track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err)
{
        (void)p, (void)err;
        *ret = (struct track_counters){.outside = outside};
        return 0;
}

int track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err)
{
        (void)p, (void)err;
        *ret = 0;
        return 0;
}

void track_program_done(struct track_program *p)
{
        (void)p;
}

static bool bit(const uint8_t *data, size_t size, uint64_t block)
{
        return block / 8 < size && (data[block / 8] >> block % 8 & 1);
}

static void check_ranges(const uint8_t *data, size_t size, uint64_t disk, const struct range *r, size_t n)
{
        uint64_t at = 0;

        for (size_t i = 0; i < n; i++) {
                FUZZ_CHECK(r[i].length && r[i].offset % BLOCK == 0 && r[i].offset < disk && r[i].length <= disk - r[i].offset);
                FUZZ_CHECK(!i || r[i].offset > at);
                for (; at < r[i].offset; at += BLOCK)
                        FUZZ_CHECK(!bit(data, size, at / BLOCK));
                FUZZ_CHECK(r[i].length % BLOCK == 0 || r[i].offset + r[i].length == disk);
                for (; at < r[i].offset + r[i].length; at += BLOCK)
                        FUZZ_CHECK(bit(data, size, at / BLOCK));
                at = r[i].offset + r[i].length;
        }
        for (at = (at + BLOCK - 1) / BLOCK * BLOCK; at < disk; at += BLOCK)
                FUZZ_CHECK(!bit(data, size, at / BLOCK));
}

static void bitmap(const uint8_t *data, size_t size, unsigned cut)
{
        size_t words = (size + 7) / 8, n = 4711;
        uint64_t disk = (uint64_t)size * 8 * BLOCK - cut * 16u, *map = fuzz_array(words, sizeof(*map));
        struct track t = {.program = {.words = map, .n_words = words}, .size = disk, .loopfd = -1};
        struct range *r = NULL;
        struct err err = {};

        memset(map, 0, words * sizeof(*map));
        memcpy(map, data, size);
        outside = true;
        FUZZ_CHECK(track_take(&t, &r, &n, &err) == -EX_STATE && !r && n == 4711);
        outside = false;
        FUZZ_CHECK(memcmp(map, data, size) == 0 && track_take(&t, &r, &n, &err) == 0);
        check_ranges(data, size, disk, r, n);
        free(r);
        FUZZ_CHECK(track_take(&t, &r, &n, &err) == 0 && n == 0);
        free(r);
        free(map);
}

/* The same blocks one by one, as who compares by hash finds them, and some of them twice. */
static void one_by_one(const uint8_t *data, size_t size, unsigned cut)
{
        uint64_t disk = (uint64_t)size * 8 * BLOCK - cut * 16u;
        struct range_list l = {};

        for (uint64_t at = 0; at < disk; at += BLOCK) {
                uint64_t len = disk - at < BLOCK ? disk - at : BLOCK;
                FUZZ_CHECK(range_add(&l, at, 0, NULL) == 0);
                if (!bit(data, size, at / BLOCK))
                        continue;
                FUZZ_CHECK(range_add(&l, at, len, NULL) == 0 && range_add(&l, at, len / 2, NULL) == 0 && l.n <= l.cap);
        }
        check_ranges(data, size, disk, l.at, l.n);
        range_done(&l);
        FUZZ_CHECK(!l.at && !l.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2 || size > 1u << 16)
                return 0;
        bitmap(data, size - 1, data[size - 1]);
        one_by_one(data, size - 1, data[size - 1]);
        return 0;
}
