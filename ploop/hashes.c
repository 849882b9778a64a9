/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changed blocks by comparing: an XXH3-128 of every 4 KiB, held against those of the last round.
 *
 * The way out where nothing can track: it reads all that is allocated each time (seconds per GiB of disk time, 50 ms
 * per GiB of cpu). Hashes are kept per MiB, and a MiB without data keeps none, so that the table goes with the data
 * and not with the size. A hole and a block of zeroes are the same.
 *
 * The table is what the other side holds, not what the image once held: a block can change after it was hashed and
 * before the caller reads it, and change back, so that only the caller knows what it sent (hashes_note). Without that 137
 * blocks of a copy under a harsh writer stayed wrong.
 *
 * A collision of two 128-bit hashes would lose a change; XXH3 is no defence against somebody who makes one on purpose,
 * who could only damage his own copy. Reads go past the page cache (O_DIRECT), like the loop device's writes; a host
 * file system without it is read through the cache.
 */
#include "ploop/ploop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "ploop/ranges.h"

#define BLOCK 4096
#define CHUNK (1 << 20)
#define PER_CHUNK (CHUNK / BLOCK)

struct chunk {
        XXH128_hash_t block[PER_CHUNK];
};

struct block_hashes {
        uint64_t size;
        size_t n;
        struct chunk **chunk; /* NULL: nothing but zeroes */
};

struct pass {
        const struct block_hashes *old;
        struct block_hashes *now;
        struct range_list changed;
        unsigned char *buf;
        XXH128_hash_t zero;
        int fd;
};

static const char cannot[] = "cannot compare the image by hash";

void hashes_free(struct block_hashes *h)
{
        if (!h)
                return;
        for (size_t i = 0; h->chunk && i < h->n; i++)
                free(h->chunk[i]);
        free(h->chunk);
        free(h);
}

DEFINE_CLEANUP(struct block_hashes *, hashes_free)

static int no_memory(struct err *err)
{
        return err_sys(err, EX_NOSPC, ENOMEM, cannot, "table of hashes");
}

/* A chunk of zeroes. */
static struct chunk *new_chunk(void)
{
        static const unsigned char zeroes[BLOCK];
        struct chunk *c = malloc(sizeof(*c));
        XXH128_hash_t zero = XXH3_128bits(zeroes, BLOCK);

        for (size_t i = 0; c && i < PER_CHUNK; i++)
                c->block[i] = zero;
        return c;
}

/* The same file again, past the cache. */
static int open_direct(int imagefd, struct err *err)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", imagefd);
        int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECT, 0);
        if (fd == -EINVAL)
                fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
        return fd < 0 ? err_sys(err, EX_FAIL, fd, cannot, "descriptor %d", imagefd) : fd;
}

static int read_chunk(const struct pass *p, size_t index, size_t *ret_len, struct err *err)
{
        size_t got = 0;
        int r = fd_pread_full(p->fd, p->buf, CHUNK, (off_t)(index * CHUNK), &got, err);

        if (r < 0)
                return r;
        memset(p->buf + got, 0, CHUNK - got);
        uint64_t left = p->now->size - (uint64_t)index * CHUNK;
        *ret_len = left < CHUNK ? (size_t)left : CHUNK;
        return 0;
}

/* Hashes one MiB that has, or had, data. `data` false: it is known to be a hole now. */
static int do_chunk(struct pass *p, size_t index, bool data, struct err *err)
{
        const struct chunk *old = p->old && index < p->old->n ? p->old->chunk[index] : NULL;
        _cleanup_free_ struct chunk *now = data ? malloc(sizeof(*now)) : NULL;
        size_t len = p->now->size - (uint64_t)index * CHUNK < CHUNK ? (size_t)(p->now->size - (uint64_t)index * CHUNK) : CHUNK;
        bool any = false;

        if (data && !now)
                return no_memory(err);
        int r = data ? read_chunk(p, index, &len, err) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i * BLOCK < len; i++) {
                XXH128_hash_t h = data ? XXH3_128bits(p->buf + i * BLOCK, BLOCK) : p->zero;
                bool zero = XXH128_isEqual(h, p->zero);
                bool same = old ? XXH128_isEqual(h, old->block[i]) : zero;
                uint64_t at = (uint64_t)index * CHUNK + i * BLOCK;
                size_t n = len - i * BLOCK < BLOCK ? len - i * BLOCK : BLOCK;
                if (now)
                        now->block[i] = h;
                any |= !zero;
                if (!same)
                        r = range_add(&p->changed, at, n, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = (len + BLOCK - 1) / BLOCK; now && i < PER_CHUNK; i++)
                now->block[i] = p->zero;
        if (any)
                p->now->chunk[index] = TAKE_PTR(now);
        return 0;
}

static int do_image(struct pass *p, const struct range *data, size_t n, struct err *err)
{
        size_t k = 0;

        for (size_t i = 0; i < p->now->n; i++) {
                uint64_t from = (uint64_t)i * CHUNK, to = from + CHUNK;
                while (k < n && data[k].offset + data[k].length <= from)
                        k++;
                bool has = k < n && data[k].offset < to;
                bool had = p->old && i < p->old->n && p->old->chunk[i];
                int r = has || had ? do_chunk(p, i, has, err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int new_table(int imagefd, struct block_hashes **ret, struct err *err)
{
        struct stat st;

        if (fstat(imagefd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, cannot, "descriptor %d", imagefd);
        CLEANUP(hashes_freep) struct block_hashes *h = calloc(1, sizeof(*h));
        if (!h)
                return no_memory(err);
        h->size = (uint64_t)st.st_size;
        h->n = (size_t)((h->size + CHUNK - 1) / CHUNK);
        h->chunk = calloc(h->n ? h->n : 1, sizeof(struct chunk *));
        if (!h->chunk)
                return no_memory(err);
        *ret = TAKE_PTR(h);
        return 0;
}

static void note_block(struct chunk *c, size_t block, const unsigned char *p, size_t n)
{
        unsigned char whole[BLOCK] = {};

        memcpy(whole, p, n);
        c->block[block] = XXH3_128bits(whole, BLOCK);
}

int hashes_note(struct block_hashes *h, uint64_t offset, const void *bytes, size_t n, struct err *err)
{
        const unsigned char *p = bytes;

        if (offset % BLOCK || offset > h->size || n > (h->n * (uint64_t)CHUNK) - offset)
                return err_set(err, EX_FAIL, cannot, "not a whole block of the image", "offset %llu",
                               (unsigned long long)offset);
        for (size_t i = 0; i < n; i += BLOCK) {
                uint64_t block = (offset + i) / BLOCK;
                struct chunk **c = &h->chunk[block / PER_CHUNK];
                if (!*c)
                        *c = new_chunk();
                if (!*c)
                        return no_memory(err);
                note_block(*c, block % PER_CHUNK, p + i, n - i < BLOCK ? n - i : BLOCK);
        }
        return 0;
}

int hashes_take(int imagefd, struct block_hashes **inout, struct range **ret, size_t *ret_n, struct err *err)
{
        CLEANUP(hashes_freep) struct block_hashes *now = NULL;
        _cleanup_free_ struct range *data = NULL;
        _cleanup_free_ unsigned char *buf = aligned_alloc(BLOCK, CHUNK);
        _cleanup_close_ int fd = -1;
        size_t n = 0;

        if (!buf)
                return no_memory(err);
        memset(buf, 0, BLOCK);
        int r = new_table(imagefd, &now, err);
        if (r == 0)
                r = image_ranges(imagefd, &data, &n, err);
        if (r < 0)
                return r;
        fd = open_direct(imagefd, err);
        if (fd < 0)
                return fd;
        struct pass p = {.old = *inout, .now = now, .buf = buf, .zero = XXH3_128bits(buf, BLOCK), .fd = fd};
        r = do_image(&p, data, n, err);
        if (r < 0) {
                range_done(&p.changed);
                return r;
        }
        hashes_free(*inout);
        *inout = TAKE_PTR(now);
        *ret = p.changed.at;
        *ret_n = p.changed.n;
        return 0;
}
