/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checkpoint image on the wire (migrate/stream.h). One byte stream, the same as `ctrctl checkpoint` writes into a
 * pipe: the image's own writer makes it and the image's own receiver verifies it, with its parser in a process of its
 * own, so that a migration reads nothing that a restore from a file would not read in the same way.
 *
 * Pieces must follow each other without a gap; small writes are gathered into one piece, because a record is a few
 * dozen bytes and a frame costs a checksum and a system call.
 */
#include "migrate/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/image.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"

struct gather {
        struct wire *w;
        uint64_t sent;
        size_t n;
        uint8_t buf[WIRE_BULK_MAX];
};

static int gather_flush(struct gather *g, struct err *err)
{
        if (!g->n)
                return 0;
        int r = g->w->ops->data(g->w->ctx, WIRE_RECORDS, g->sent, g->buf, g->n, err);
        g->sent += g->n;
        g->n = 0;
        return r;
}

static int gather_put(void *c, const void *p, size_t n, struct err *err)
{
        struct gather *g = c;
        int r = 0;

        for (size_t at = 0; r == 0 && at < n;) {
                size_t room = sizeof(g->buf) - g->n, take = n - at < room ? n - at : room;
                memcpy(g->buf + g->n, (const uint8_t *)p + at, take);
                g->n += take;
                at += take;
                if (g->n == sizeof(g->buf))
                        r = gather_flush(g, err);
        }
        return r;
}

int stream_send(struct wire *w, struct dump *d, struct err *err)
{
        Gantry__WireImageEnd end = GANTRY__WIRE_IMAGE_END__INIT;
        struct image_writer *writer = NULL;
        struct gather *g = malloc(sizeof(*g));

        if (!g)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot send the image", "%s", "");
        g->w = w;
        g->sent = 0;
        g->n = 0;
        struct byte_sink out = {gather_put, g};
        int r = image_writer_stream(&out, session_record_types(), &writer, err);
        if (r == 0) {
                struct record_sink records = image_writer_records(writer);
                r = session_dump(d, &records, &image_page_sink, writer, err);
                if (r == 0)
                        r = image_writer_close(writer, err);
                else
                        image_writer_abort(writer);
        }
        if (r == 0)
                r = gather_flush(g, err);
        if (r == 0) {
                end.bytes = g->sent;
                r = msg_send(w, MSG_IMAGE_END, &end.base, err);
        }
        free(g);
        return r;
}

struct stream_target {
        struct image_receiver *receiver;
        struct image *image;
        uint64_t bytes;
        bool complete;
};

int stream_target_new(uint64_t pages_max, struct stream_target **ret, struct err *err)
{
        struct stream_target *t = calloc(1, sizeof(*t));

        if (!t)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot receive the image", "%s", "");
        int r = image_receiver_new(session_record_types(), -1, pages_max, &t->receiver, err);
        if (r < 0) {
                free(t);
                return r;
        }
        *ret = t;
        return 0;
}

static int take_piece(struct stream_target *t, const struct wire_piece *p, struct err *err)
{
        size_t used = 0;

        if (p->offset != t->bytes || t->complete)
                return err_set(err, EX_PEER, "the other node broke the protocol", "a piece of the image is out of place",
                               "offset %llu instead of %llu", (unsigned long long)p->offset,
                               (unsigned long long)t->bytes);
        int r = image_receiver_feed(t->receiver, p->data, p->len, &used, err);
        if (r < 0)
                return r;
        t->bytes += p->len;
        t->complete = r == 1;
        if (used != p->len)
                return err_set(err, EX_PEER, "the other node broke the protocol", "bytes follow the image's end",
                               "offset %llu", (unsigned long long)t->bytes);
        return 0;
}

int stream_target_take(struct stream_target *t, const struct wire_msg *m, const void *body, bool *ret_end, struct err *err)
{
        struct wire_piece p;
        int r;

        if (m->type == WIRE_MSG_BULK) {
                r = wire_piece(m, &p, err);
                if (r == 0 && p.what != WIRE_RECORDS)
                        return 0;
                if (r == 0)
                        r = take_piece(t, &p, err);
                *ret_end = false;
                return r < 0 ? r : 1;
        }
        if (m->type != MSG_IMAGE_END)
                return 0;
        if (!t->complete || ((const Gantry__WireImageEnd *)body)->bytes != t->bytes)
                return err_set(err, EX_IMAGE, "the checkpoint image is refused", "it is incomplete", "%llu bytes came",
                               (unsigned long long)t->bytes);
        r = image_receiver_take(t->receiver, &t->image, err);
        if (r < 0)
                return r;
        *ret_end = true;
        return 1;
}

struct image *stream_target_image(struct stream_target *t)
{
        return t->image;
}

void stream_target_free(struct stream_target *t)
{
        if (!t)
                return;
        image_close(t->image);
        image_receiver_free(t->receiver);
        free(t);
}
