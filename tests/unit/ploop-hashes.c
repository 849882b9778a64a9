/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compare by hash: what it gives is what changed, nothing less and nothing more. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "ploop/ploop.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK 4096

struct image {
        int fd;
        struct block_hashes *h;
        struct range *at;
        size_t n;
};

static struct image start(uint64_t size)
{
        const char *tmp = getenv("TMPDIR");
        struct image i = {.fd = sys_openat(AT_FDCWD, tmp ? tmp : "/var/tmp", O_TMPFILE | O_RDWR, 0600)};

        cr_assert_geq(i.fd, 0);
        cr_assert_eq(sys_ftruncate(i.fd, (off_t)size), 0);
        return i;
}

static void put(struct image *i, uint64_t block, int value)
{
        unsigned char b[BLOCK];

        memset(b, value, sizeof(b));
        cr_assert_eq(fd_pwrite_full(i->fd, b, sizeof(b), (off_t)(block * BLOCK), NULL), 0);
}

static void take(struct image *i)
{
        struct err err = {};

        free(i->at);
        i->at = NULL;
        cr_assert_eq(hashes_take(i->fd, &i->h, &i->at, &i->n, &err), 0, "%s: %s", err.what, err.why);
}

static void expect_one(struct image *i, uint64_t block, uint64_t count)
{
        take(i);
        cr_assert_eq(i->n, 1, "%zu ranges", i->n);
        cr_assert_eq(i->at[0].offset, block * BLOCK);
        cr_assert_eq(i->at[0].length, count * BLOCK);
}

static void end(struct image *i)
{
        free(i->at);
        hashes_free(i->h);
        fd_close(i->fd);
}

Test(ploop_hashes, changes_and_only_those)
{
        struct image i = start(9 * MIB);

        take(&i);
        cr_assert_eq(i.n, 0, "holes are no data");
        put(&i, 0, 1);
        put(&i, 300, 1);
        put(&i, 301, 2);
        take(&i);
        cr_assert_eq(i.n, 2);
        take(&i);
        cr_assert_eq(i.n, 0, "nothing changed");
        put(&i, 301, 3);
        expect_one(&i, 301, 1);
        put(&i, 301, 3);
        take(&i);
        cr_assert_eq(i.n, 0, "the same again is no change");
        put(&i, 255, 4);
        put(&i, 256, 4); /* two chunks */
        expect_one(&i, 255, 2);
        end(&i);
}

Test(ploop_hashes, holes_and_zeroes_are_the_same)
{
        struct image i = start(4 * MIB);

        put(&i, 10, 5);
        put(&i, 700, 5);
        take(&i);
        put(&i, 10, 0);
        expect_one(&i, 10, 1);
        cr_assert_eq(sys_fallocate(i.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * BLOCK, BLOCK), 0);
        take(&i);
        cr_assert_eq(i.n, 0);
        /* The only data of its chunk. */
        cr_assert_eq(sys_fallocate(i.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 700 * BLOCK, BLOCK), 0);
        expect_one(&i, 700, 1);
        take(&i);
        cr_assert_eq(i.n, 0);
        end(&i);
}

Test(ploop_hashes, grown_and_cut)
{
        struct image i = start(2 * MIB);

        put(&i, 511, 1);
        take(&i);
        cr_assert_eq(sys_ftruncate(i.fd, (off_t)(5 * MIB + 100)), 0);
        cr_assert_eq(fd_pwrite_full(i.fd, "x", 1, (off_t)(5 * MIB + 99), NULL), 0);
        take(&i);
        cr_assert_eq(i.n, 1);
        cr_assert_eq(i.at[0].offset, 5 * MIB);
        cr_assert_eq(i.at[0].length, 100);
        cr_assert_eq(sys_ftruncate(i.fd, (off_t)MIB), 0);
        take(&i);
        cr_assert_eq(i.n, 0);
        end(&i);
}

/* A → hashed, B → sent, A again: without the note the copy would keep B. */
Test(ploop_hashes, changed_and_changed_back)
{
        struct image i = start(2 * MIB);
        unsigned char b[BLOCK];

        put(&i, 20, 'A');
        take(&i);
        memset(b, 'B', sizeof(b));
        cr_assert_eq(hashes_note(i.h, 20 * BLOCK, b, sizeof(b), NULL), 0);
        expect_one(&i, 20, 1);
        /* The same in a chunk that had no data. */
        cr_assert_eq(hashes_note(i.h, 300 * BLOCK, b, sizeof(b), NULL), 0);
        expect_one(&i, 300, 1);
        cr_assert_eq(hashes_note(i.h, 300 * BLOCK + 1, b, sizeof(b), NULL), -EX_FAIL);
        cr_assert_eq(hashes_note(i.h, 2 * MIB, b, sizeof(b), NULL), -EX_FAIL);
        end(&i);
}
