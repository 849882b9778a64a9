/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image that arrives as a stream. It is pushed in, in pieces of any size, because the wire hands bytes over as they
 * come and other messages stand between them.
 *
 *      HEAD ──► FRAME HEAD ◄──────────────┐
 *                   │ 16 bytes            │ no DATA run (left)
 *                   ▼                     │
 *               FRAME BODY ─── intake ────┼──► RUN (bytes of one run, hash checked, staged) ─┐
 *                   │ last frame          └──────────────────────────────────────────────────┘
 *                   ▼
 *               COMPLETE (runs indexed)
 *
 * A record's length is looked at before room is made for it, and page bytes are staged at once: a stream makes us hold
 * the records (256 MiB at most), one run of 1 MiB, and what the caller allows to be staged, in an unlinked file or
 * in memory. Only take() gives the image away, and only a complete one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/image-int.h"

#define WHAT "cannot receive the checkpoint image"

enum state { HEAD, FRAME_HEAD, FRAME_BODY, RUN, COMPLETE };

struct image_receiver {
        struct image *img;
        struct intake intake;
        enum state state;
        size_t at, need;      /* HEAD, FRAME_*: the piece starts at img->bytes + at and has `need` bytes */
        size_t run, filled;   /* RUN: index, and bytes of it in buf */
        uint8_t *buf;
        uint64_t pages_max;
        int failed;
};

static int stage_open(int spill_dirfd, struct err *err)
{
        int fd = spill_dirfd < 0 ? sys_memfd_create("gantry-pages", MFD_CLOEXEC)
                                 : sys_openat(spill_dirfd, ".", O_TMPFILE | O_RDWR, 0600);

        return fd < 0 ? err_sys(err, EX_FAIL, fd, WHAT, "staging file") : fd;
}

int image_receiver_new(const struct record_types *types, int spill_dirfd, uint64_t pages_max,
                       struct image_receiver **ret, struct err *err)
{
        struct image_receiver *r = calloc(1, sizeof(*r));

        if (!r)
                return err_sys(err, EX_FAIL, ENOMEM, WHAT, "receiver");
        r->need = IMAGE_HEAD;
        r->pages_max = pages_max;
        r->buf = malloc(RUN_MAX_PAGES * PAGE_BYTES);
        int res = r->buf ? image_new(types, &r->img, err) : err_sys(err, EX_FAIL, ENOMEM, WHAT, "receiver");
        if (res == 0) {
                r->img->pages_fd = stage_open(spill_dirfd, err);
                res = r->img->pages_fd < 0 ? r->img->pages_fd : 0;
        }
        if (res == 0) /* now, because the first byte may come when a container stands still */
                res = unpacker_start(&r->img->types, &r->intake.unpacker, err);
        if (res < 0) {
                image_receiver_free(r);
                return res;
        }
        *ret = r;
        return 0;
}

void image_receiver_free(struct image_receiver *r)
{
        if (!r)
                return;
        intake_done(&r->intake);
        image_close(r->img);
        free(r->buf);
        free(r);
}

static size_t run_bytes(const struct image_receiver *r)
{
        return (size_t)r->img->runs[r->run].run.pages * PAGE_BYTES;
}

/* Bytes that the current piece still wants: never more than belong to the image. */
static size_t wanted(const struct image_receiver *r)
{
        switch (r->state) {
        case RUN:
                return run_bytes(r) - r->filled;
        case COMPLETE:
                return 0;
        case HEAD:
        case FRAME_HEAD:
        case FRAME_BODY:
        default:
                return r->need - (r->img->len - r->at);
        }
}

static void expect(struct image_receiver *r, enum state state, size_t need)
{
        r->state = state;
        r->need = need;
        if (state == FRAME_HEAD)
                r->at = r->img->len;
}

/* From run index r->run on: the next one with bytes, or the next frame. */
static void expect_run(struct image_receiver *r)
{
        while (r->run < r->img->n_runs && r->img->runs[r->run].run.what != RUN_DATA)
                r->run++;
        r->filled = 0;
        if (r->run < r->img->n_runs)
                r->state = RUN;
        else
                expect(r, FRAME_HEAD, RECORD_HEAD);
}

static int frame_came(struct image_receiver *r, struct err *err)
{
        int res = intake_frame(&r->intake, r->at, r->need, &r->run, err);

        if (res < 0)
                return res;
        if (r->img->pages_bytes > r->pages_max)
                return err_set(err, EX_NOSPC, WHAT, "it has more page bytes than the container may have memory",
                               "%llu bytes", (unsigned long long)r->img->pages_bytes);
        if (res == 0) {
                expect_run(r);
                return 0;
        }
        res = image_index(r->img, err);
        if (res == 0)
                r->state = COMPLETE;
        return res;
}

static int run_came(struct image_receiver *r, struct err *err)
{
        const struct image_run *run = &r->img->runs[r->run];
        int res = image_run_check(r->img, run, r->buf, err);

        if (res == 0)
                res = fd_pwrite_full(r->img->pages_fd, r->buf, run_bytes(r), (off_t)run->offset, err);
        r->run++;
        if (res == 0)
                expect_run(r);
        return res;
}

/* The current piece is whole. */
static int step(struct image_receiver *r, struct err *err)
{
        struct record_head h;
        int res;

        switch (r->state) {
        case HEAD:
                res = intake_begin(&r->intake, r->img, err);
                expect(r, FRAME_HEAD, RECORD_HEAD);
                return res;
        case FRAME_HEAD:
                h = record_head_get(r->img->bytes + r->at);
                if (h.len > RECORD_MAX)
                        return record_refuse(&r->img->types, h.kind, h.id, "its length is above 1 MiB", err);
                expect(r, FRAME_BODY, RECORD_OVERHEAD + h.len);
                return 0;
        case FRAME_BODY:
                return frame_came(r, err);
        case RUN:
                return run_came(r, err);
        case COMPLETE:
        default:
                return 0;
        }
}

static int take_piece(struct image_receiver *r, const uint8_t *p, size_t n, struct err *err)
{
        if (r->state == RUN) {
                memcpy(r->buf + r->filled, p, n);
                r->filled += n;
        } else {
                int res = image_reserve(r->img, n, err);
                if (res < 0)
                        return res;
                memcpy(r->img->bytes + r->img->len, p, n);
                r->img->len += n;
        }
        return wanted(r) ? 0 : step(r, err);
}

int image_receiver_feed(struct image_receiver *r, const void *p, size_t n, size_t *ret_used, struct err *err)
{
        const uint8_t *at = p;
        size_t used = 0;

        if (r->failed)
                return err_set(err, -r->failed, WHAT, "it failed before", "stream");
        while (used < n && r->state != COMPLETE) {
                size_t want = wanted(r), len = n - used < want ? n - used : want;
                int res = take_piece(r, at + used, len, err);
                if (res < 0) {
                        r->failed = res;
                        return res;
                }
                used += len;
        }
        *ret_used = used;
        return r->state == COMPLETE;
}

int image_receiver_take(struct image_receiver *r, struct image **ret, struct err *err)
{
        if (r->failed || r->state != COMPLETE)
                return err_set(err, EX_IMAGE, IMAGE_WHAT, "it is incomplete: the last record is missing", "stream");
        *ret = TAKE_PTR(r->img);
        r->state = HEAD;
        r->failed = -EX_IMAGE; /* nothing more can come of it */
        return 0;
}

int image_receive_fd(int fd, const struct record_types *types, uint64_t pages_max, struct image **ret, struct err *err)
{
        struct image_receiver *r = NULL;
        int res = image_receiver_new(types, -1, pages_max, &r, err);

        if (res < 0)
                return res;
        _cleanup_free_ uint8_t *buf = malloc(RUN_MAX_PAGES * PAGE_BYTES);
        if (!buf)
                res = err_sys(err, EX_FAIL, ENOMEM, WHAT, "buffer");
        while (res == 0) {
                size_t want = wanted(r), used = 0;
                if (want > RUN_MAX_PAGES * PAGE_BYTES)
                        want = RUN_MAX_PAGES * PAGE_BYTES;
                res = fd_read_full(fd, buf, want, &used, err);
                if (res == 1)
                        res = err_set(err, EX_IMAGE, IMAGE_WHAT, "it is incomplete: the stream ended", "stream");
                if (res == 0)
                        res = image_receiver_feed(r, buf, want, &used, err);
        }
        if (res == 1)
                res = image_receiver_take(r, ret, err);
        image_receiver_free(r);
        return res;
}
