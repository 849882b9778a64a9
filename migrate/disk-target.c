/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target's side of the disk (migrate/disk.h): one sparse file, written where the source says and nowhere else.
 *
 * Every offset and length was chosen by the other node: all must be whole blocks within the size agreed on. A round is
 * confirmed when it is on the disk (fdatasync), so that a full disk is an error of this round and not of the mount. The
 * file is written through the page cache and synced before a loop device reads it directly, which finds no dirty page.
 */
#include "migrate/disk.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/sys.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"

struct disk_target {
        int fd;
        uint64_t size, round_bytes;
        uint32_t round;
        bool last;
};

int disk_target_new(int filefd, uint64_t size, struct disk_target **ret, struct err *err)
{
        if (!size || size % DISK_BLOCK || size > INT64_MAX / 2)
                return err_set(err, EX_PEER, "the other node broke the protocol", "not the size of an image", "%llu bytes",
                               (unsigned long long)size);
        int r = sys_ftruncate(filefd, (off_t)size);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot make the image", "%llu bytes", (unsigned long long)size);
        struct disk_target *d = malloc(sizeof(*d));
        if (!d)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot receive the disk", "%s", "");
        *d = (struct disk_target){.fd = filefd, .size = size};
        *ret = d;
        return 0;
}

static int check_range(const struct disk_target *d, uint64_t at, uint64_t len, struct err *err)
{
        if (at % DISK_BLOCK || len % DISK_BLOCK || !len || at >= d->size || len > d->size - at || d->last)
                return err_set(err, EX_PEER, "the other node broke the protocol",
                               d->last ? "disk blocks after the last round" : "disk blocks outside of the image",
                               "offset %llu, %llu bytes", (unsigned long long)at, (unsigned long long)len);
        return 0;
}

static int take_piece(struct disk_target *d, const struct wire_piece *p, struct err *err)
{
        int r = check_range(d, p->offset, p->len, err);

        if (r == 0)
                r = fd_pwrite_full(d->fd, p->data, p->len, (off_t)p->offset, err);
        if (r < 0 && err && err->code != EX_PEER)
                return err_wrap(err, "cannot write the image", "offset %llu", (unsigned long long)p->offset);
        d->round_bytes += p->len;
        return r;
}

static int take_holes(struct disk_target *d, const Gantry__WireHoles *m, struct err *err)
{
        if (m->n_offset != m->n_length)
                return err_set(err, EX_PEER, "the other node broke the protocol", "holes without lengths", "%zu", m->n_offset);
        for (size_t i = 0; i < m->n_offset; i++) {
                int r = check_range(d, m->offset[i], m->length[i], err);
                if (r < 0)
                        return r;
                r = sys_fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)m->offset[i],
                                  (off_t)m->length[i]);
                if (r < 0)
                        return err_sys(err, EX_FAIL, r, "cannot write the image", "hole at %llu",
                                       (unsigned long long)m->offset[i]);
        }
        return 0;
}

static int take_round(struct disk_target *d, struct wire *w, const Gantry__WireRound *m, struct err *err)
{
        if (m->round != d->round || m->bytes != d->round_bytes || d->last)
                return err_set(err, EX_PEER, "the other node broke the protocol", "a round is not what was announced",
                               "round %u of %llu bytes", m->round, (unsigned long long)m->bytes);
        int r = sys_fsync(d->fd);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot write the image", "%s", "fsync");
        d->round++;
        d->round_bytes = 0;
        d->last = m->last;
        return d->last ? 0 : msg_send_ok(w, MSG_ROUND, err);
}

int disk_target_take(struct disk_target *d, struct wire *w, const struct wire_msg *m, const void *body, bool *ret_last,
                     struct err *err)
{
        struct wire_piece p;
        int r;

        if (m->type == WIRE_MSG_BULK) {
                r = wire_piece(m, &p, err);
                if (r == 0 && p.what != WIRE_DISK)
                        return 0;
                if (r == 0)
                        r = take_piece(d, &p, err);
        } else if (m->type == MSG_HOLES) {
                r = take_holes(d, body, err);
        } else if (m->type == MSG_ROUND) {
                r = take_round(d, w, body, err);
        } else {
                return 0;
        }
        if (r < 0)
                return r;
        *ret_last = d->last;
        return 1;
}

void disk_target_free(struct disk_target *d)
{
        free(d);
}
