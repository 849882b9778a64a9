/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wire over a pair of descriptors: the ssh stream, or the socket to the relay that stands between (migrate/wire.h).
 *
 * The descriptors are made non-blocking and waited for with a limit, so that a peer that stops reading or writing is an
 * error after silence_ms and never a hang; the caller's deadline for the whole migration cuts in the same way. Frames
 * leave by writev without being copied. One thread uses a wire at a time.
 */
#include "migrate/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/timer.h"

struct fd_wire {
        int in, out;
        unsigned silence_ms;
        uint64_t deadline_ns;
        int stop_fd;
        uint32_t seq;                    /* of the last frame sent */
        struct wire_parser parser;
        struct wire_counts counts;
};

static int gone(const char *why, struct err *err)
{
        return err_set(err, EX_CONNECT, "the connection to the other node is lost", why, "%s", "");
}

/* Waits until fd is ready; tells a passed deadline from a silent peer. */
static int wait_for(const struct fd_wire *f, int fd, short events, struct err *err)
{
        uint64_t until = now_ns() + (uint64_t)f->silence_ms * 1000000u;
        bool limit = f->deadline_ns && f->deadline_ns < until;

        if (limit)
                until = f->deadline_ns;
        for (;;) {
                uint64_t now = now_ns();
                struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = f->stop_fd, .events = POLLIN}};
                int left = now >= until ? 0 : (int)((until - now + 999999u) / 1000000u);
                int r = poll(p, 2, left);
                if (r > 0 && p[1].revents)
                        return err_set(err, EX_INTERRUPTED, "the migration was interrupted", "by a signal", "%s", "");
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot wait for the other node", "%s", "");
                if (r == 0 && limit)
                        return err_set(err, EX_TIMEOUT, "the migration took too long", "the time limit passed", "%s", "");
                if (r == 0)
                        return err_set(err, EX_TIMEOUT, "the other node is silent", "nothing came or went",
                                       "%u ms", f->silence_ms);
        }
}

static int write_all(struct fd_wire *f, struct iovec *v, int n, struct err *err)
{
        while (n > 0) {
                ssize_t w = writev(f->out, v, n);
                if (w < 0 && errno == EAGAIN) {
                        int r = wait_for(f, f->out, POLLOUT, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return gone(strerror(errno), err);
                f->counts.sent += (uint64_t)w;
                size_t done = (size_t)w;
                for (; n > 0 && done >= v->iov_len; v++, n--)
                        done -= v->iov_len;
                if (n > 0) {
                        v->iov_base = (char *)v->iov_base + done;
                        v->iov_len -= done;
                }
        }
        return 0;
}

static int send_frame(struct fd_wire *f, uint16_t type, const struct iovec body[2], struct err *err)
{
        struct wire_frame frame;

        wire_frame_make(&frame, type, ++f->seq, body[0].iov_base, body[0].iov_len, body[1].iov_base, body[1].iov_len);
        struct iovec v[4] = {{frame.head, sizeof(frame.head)}, body[0], body[1], {frame.tail, sizeof(frame.tail)}};
        return write_all(f, v, 4, err);
}

static int fd_wire_send(void *c, const struct wire_msg *m, struct err *err)
{
        struct iovec body[2] = {{.iov_base = (void *)(uintptr_t)m->body, .iov_len = m->len}};

        if (m->type < WIRE_MSG_FIRST || m->len > WIRE_BULK_MAX)
                return err_set(err, EX_FAIL, "cannot send to the other node", "no such message", "type %u", m->type);
        return send_frame(c, m->type, body, err);
}

static int fd_wire_data(void *c, enum wire_bulk what, uint64_t offset, const void *buf, size_t len, struct err *err)
{
        uint8_t head[WIRE_BULK_HEAD] = {(uint8_t)what};
        struct iovec body[2] = {{head, sizeof(head)}, {.iov_base = (void *)(uintptr_t)buf, .iov_len = len}};

        if (len > WIRE_BULK_MAX)
                return err_set(err, EX_FAIL, "cannot send to the other node", "too many bytes at once", "%zu", len);
        for (unsigned i = 0; i < 8; i++)
                head[8 + i] = (uint8_t)(offset >> (8 * i));
        return send_frame(c, WIRE_MSG_BULK, body, err);
}

/* 0: bytes came. */
static int fill(struct fd_wire *f, struct err *err)
{
        size_t room;
        void *to = wire_parser_room(&f->parser, &room);

        for (;;) {
                ssize_t n = read(f->in, to, room);
                if (n > 0) {
                        f->counts.received += (uint64_t)n;
                        wire_parser_fed(&f->parser, (size_t)n);
                        return 0;
                }
                if (n == 0)
                        return gone("the other side hung up", err);
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN)
                        return gone(strerror(errno), err);
                int r = wait_for(f, f->in, POLLIN, err);
                if (r < 0)
                        return r;
        }
}

static int fd_wire_recv(void *c, struct wire_msg *ret, struct err *err)
{
        struct fd_wire *f = c;

        for (;;) {
                int r = wire_parser_next(&f->parser, ret, err);
                if (r < 0)
                        return r;
                if (r == 1 && ret->type != WIRE_MSG_BEAT)
                        return 0;
                if (r == 0)
                        r = fill(f, err);
                if (r < 0)
                        return r;
        }
}

static void fd_wire_done(void *c)
{
        struct fd_wire *f = c;

        if (f->out != f->in)
                fd_close(f->out);
        fd_close(f->in);
        wire_parser_done(&f->parser);
        free(f);
}

static const struct wire_ops fd_wire_ops = {fd_wire_send, fd_wire_recv, fd_wire_data, fd_wire_done};

int wire_open(int in, int out, unsigned silence_ms, struct wire *ret, struct err *err)
{
        struct fd_wire *f = calloc(1, sizeof(*f));

        if (!f)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot open the connection", "%s", "");
        *f = (struct fd_wire){.in = in, .out = out, .silence_ms = silence_ms, .stop_fd = -1};
        int r = wire_parser_init(&f->parser, err);
        if (r == 0)
                r = fd_nonblock(in, true, err);
        if (r == 0)
                r = fd_nonblock(out, true, err);
        if (r < 0) {
                wire_parser_done(&f->parser);
                free(f);
                return r;
        }
        *ret = (struct wire){&fd_wire_ops, f};
        return 0;
}

void wire_deadline(struct wire *w, uint64_t at_ns)
{
        if (w->ops == &fd_wire_ops)
                ((struct fd_wire *)w->ctx)->deadline_ns = at_ns;
}

void wire_stop(struct wire *w, int stop_fd)
{
        if (w->ops == &fd_wire_ops)
                ((struct fd_wire *)w->ctx)->stop_fd = stop_fd;
}

struct wire_counts wire_counts(const struct wire *w)
{
        if (w->ops == &fd_wire_ops)
                return ((const struct fd_wire *)w->ctx)->counts;
        return (struct wire_counts){0};
}
