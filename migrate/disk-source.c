/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source's side of the disk (migrate/disk.h, storage.md "Changed blocks").
 *
 * A round is: take the tracker's bits, drain the loop device, read the ranges. That order is what makes it right: a bit
 * is set while its request holds the queue, so what was set before the take has landed before the read, and what is set
 * after it belongs to the next round. Round 0 is everything that is allocated, read after the tracker has begun.
 *
 * The tracker checks itself before the last round; if it may have missed a write, the last round compares the whole
 * image by hash, as every round does where there is no tracker (hashes_take). Blocks of zeros go as ranges without
 * bytes, and become holes on the other side. Reading is direct, a megabyte at a time, past the page cache; where the
 * file system refuses O_DIRECT the caller's descriptor is without it and nothing here changes.
 */
#include "migrate/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "ploop/ploop.h"

#define CHUNK (1u << 20)
#define HOLES 256u

struct disk_source {
        int imagefd;
        uint64_t size;
        struct track *track;             /* NULL: hashes */
        struct block_hashes *hashes;
        uint8_t *buf;                    /* CHUNK bytes, aligned for O_DIRECT */
        uint64_t hole_at[HOLES], hole_len[HOLES];
        size_t n_holes;
        unsigned round;
        uint64_t round_bytes;
        bool whole;                      /* this round must make the target's file the same, whatever it holds */
        struct disk_stat stat;
};

static const uint8_t zeros[DISK_BLOCK];

int disk_source_new(int imagefd, int loopfd, uint64_t size, struct disk_source **ret, struct err *ret_note,
                    struct err *err)
{
        struct disk_source *d = calloc(1, sizeof(*d));

        *ret_note = (struct err){0};
        if (!d)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot copy the disk", "%s", "");
        *d = (struct disk_source){.imagefd = imagefd, .size = size, .buf = aligned_alloc(DISK_BLOCK, CHUNK)};
        if (!d->buf) {
                disk_source_free(d);
                return err_sys(err, EX_FAIL, ENOMEM, "cannot copy the disk", "%u bytes", CHUNK);
        }
        if (loopfd < 0)
                err_set(ret_note, EX_KERNEL, "cannot track changed blocks", "the image is not attached", "%s", "");
        else if (track_new(loopfd, size, &d->track, ret_note) < 0)
                d->track = NULL;
        d->stat.tracked = d->track != NULL;
        *ret = d;
        return 0;
}

static int flush_holes(struct disk_source *d, struct wire *w, struct err *err)
{
        Gantry__WireHoles m = GANTRY__WIRE_HOLES__INIT;

        if (!d->n_holes)
                return 0;
        m.n_offset = m.n_length = d->n_holes;
        m.offset = d->hole_at;
        m.length = d->hole_len;
        d->n_holes = 0;
        return msg_send(w, MSG_HOLES, &m.base, err);
}

/* Adjacent ones grow together; in round 0 the other side's file has nothing but holes. */
static int put_hole(struct disk_source *d, struct wire *w, uint64_t at, uint64_t len, struct err *err)
{
        if (d->round == 0)
                return 0;
        d->stat.holes += len;
        if (d->n_holes && d->hole_at[d->n_holes - 1] + d->hole_len[d->n_holes - 1] == at) {
                d->hole_len[d->n_holes - 1] += len;
                return 0;
        }
        if (d->n_holes == HOLES) {
                int r = flush_holes(d, w, err);
                if (r < 0)
                        return r;
        }
        d->hole_at[d->n_holes] = at;
        d->hole_len[d->n_holes++] = len;
        return 0;
}

static int put_data(struct disk_source *d, struct wire *w, uint64_t at, const uint8_t *p, size_t len, struct err *err)
{
        d->round_bytes += len;
        d->stat.bytes += len;
        if (d->round)
                d->stat.resent += len;
        return w->ops->data(w->ctx, WIRE_DISK, at, p, len, err);
}

static bool is_zero(const uint8_t *p)
{
        return memcmp(p, zeros, DISK_BLOCK) == 0;
}

/* One chunk that has been read: runs of blocks with bytes, runs of blocks without. */
static int send_chunk(struct disk_source *d, struct wire *w, uint64_t at, size_t len, struct err *err)
{
        int r = 0;

        for (size_t from = 0, to; r == 0 && from < len; from = to) {
                bool zero = is_zero(d->buf + from);
                for (to = from + DISK_BLOCK; to < len && is_zero(d->buf + to) == zero; to += DISK_BLOCK)
                        ;
                r = zero ? put_hole(d, w, at + from, to - from, err)
                         : put_data(d, w, at + from, d->buf + from, to - from, err);
        }
        return r;
}

static int send_range(struct disk_source *d, struct wire *w, const struct range *range, struct err *err)
{
        uint64_t at = range->offset / DISK_BLOCK * DISK_BLOCK, end = range->offset + range->length;

        if (end > d->size)
                end = d->size;
        for (; at < end; at += CHUNK) {
                size_t len = end - at < CHUNK ? (size_t)(end - at) : CHUNK, got = 0;
                len = (len + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
                int r = fd_pread_full(d->imagefd, d->buf, len, (off_t)at, &got, err);
                if (r < 0)
                        return err_wrap(err, "cannot read the image", "offset %llu", (unsigned long long)at);
                if (got < len)
                        return err_set(err, EX_DISK, "cannot read the image", "it ends too early", "offset %llu",
                                       (unsigned long long)(at + got));
                /* Live blocks can change between hash and read: the table must hold what is sent. */
                r = d->hashes ? hashes_note(d->hashes, at, d->buf, len, err) : 0;
                if (r == 0)
                        r = send_chunk(d, w, at, len, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What this round must carry. A tracker in doubt is dropped for good; the first table of hashes then gives all data. */
static int take(struct disk_source *d, bool last, struct range **ret, size_t *ret_n, struct err *err)
{
        int r = 0;

        if (d->track && last) {
                r = track_check(d->track, err);
                if (r < 0)
                        return r;
                if (r == 1) {
                        track_free(d->track);
                        d->track = NULL;
                        d->stat.tracked = false;
                        d->whole = true;
                }
        }
        if (!d->track)
                return hashes_take(d->imagefd, &d->hashes, ret, ret_n, err);
        if (d->round == 0)
                return image_ranges(d->imagefd, ret, ret_n, err);
        r = track_take(d->track, ret, ret_n, err);
        if (r < 0)
                return r;
        r = track_drain(d->track, err);
        if (r < 0) {
                free(*ret);
                *ret = NULL;
        }
        return r;
}

/* The ranges in order; in a `whole` round what lies between them is told too. */
static int send_ranges(struct disk_source *d, struct wire *w, const struct range *at, size_t n, struct err *err)
{
        uint64_t end = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                if (d->whole && at[i].offset > end)
                        r = put_hole(d, w, end, at[i].offset - end, err);
                if (r == 0)
                        r = send_range(d, w, &at[i], err);
                end = at[i].offset + at[i].length;
        }
        if (r == 0 && d->whole && end < d->size)
                r = put_hole(d, w, end, d->size - end, err);
        return r < 0 ? r : flush_holes(d, w, err);
}

int disk_source_round(struct disk_source *d, struct wire *w, bool last, struct err *err)
{
        Gantry__WireRound m = GANTRY__WIRE_ROUND__INIT;
        struct range *ranges = NULL;
        size_t n = 0;

        d->round_bytes = 0;
        int r = take(d, last, &ranges, &n, err);
        if (r == 0)
                r = send_ranges(d, w, ranges, n, err);
        free(ranges);
        if (r < 0)
                return r;
        m.round = d->round++;
        m.last = last;
        m.bytes = d->round_bytes;
        d->stat.rounds = d->round;
        r = msg_send(w, MSG_ROUND, &m.base, err);
        return r < 0 || last ? r : msg_expect_ok(w, MSG_ROUND, err);
}

uint64_t disk_source_round_bytes(const struct disk_source *d)
{
        return d->round_bytes;
}

struct disk_stat disk_source_stat(const struct disk_source *d)
{
        return d->stat;
}

void disk_source_free(struct disk_source *d)
{
        if (!d)
                return;
        track_free(d->track);
        hashes_free(d->hashes);
        free(d->buf);
        free(d);
}
