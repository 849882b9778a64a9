/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TCP over IPv6, also with v4-mapped addresses.
 *
 * All that TCP is stands in tcp.c; here it is moved into this family's message and back.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/tcp.h"
#include "proto/sk-inet6-stream.pb-c.h"

typedef Gantry__SkInet6Stream Message;
typedef Gantry__SkInet6Stream__Option Option;
typedef Gantry__SkInet6Stream__Established Established;
typedef struct sockaddr_in6 Address;

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_SK_INET6_STREAM);
}

static int refuse(const struct facts *f, struct err *err)
{
        return tcp_refuse(&kind_sk_inet6_stream, f, err);
}

/* ---- to the message ---- */

#define NUMBERS(X)                                                                                           \
        X(snd_seq) X(rcv_seq) X(inq) X(outq) X(unsent) X(mss_clamp) X(options) X(snd_wscale) X(rcv_wscale) X(timestamp)      \
        X(snd_wl1) X(snd_wnd) X(max_window) X(rcv_wnd) X(rcv_wup)

static int put_established(Message *m, const struct tcp_conn *c, struct err *err)
{
        Established *e = KIND_NEW(Established, gantry__sk_inet6_stream__established__init);

        if (!e)
                return kind_nomem(err);
        m->established = e;
#define X(field) e->field = c->field;
        NUMBERS(X)
#undef X
        int r = field_set(&e->peer, &c->peer, sizeof(Address), err);
        if (r >= 0 && c->queue) {
                e->has_queue = true;
                r = field_set(&e->queue, c->queue, (size_t)c->inq + c->outq, err);
        }
        return r;
}

static int put(Message *m, const struct tcp *x, struct err *err)
{
        int r = 0;

        OFD_TO_MESSAGE(&x->ofd, m);
        m->state = x->state;
        m->sndbuf = x->sndbuf;
        m->rcvbuf = x->rcvbuf;
        m->has_backlog = x->backlog != 0;
        m->backlog = x->backlog;
        m->has_local = x->bound;
        if (x->bound)
                r = field_set(&m->local, &x->local, sizeof(Address), err);
        m->option = calloc(x->n_option ? x->n_option : 1, sizeof(*m->option));
        if (!m->option)
                return kind_nomem(err);
        for (size_t i = 0; r >= 0 && i < x->n_option; i++) {
                Option *o = KIND_NEW(Option, gantry__sk_inet6_stream__option__init);
                if (!o)
                        return kind_nomem(err);
                m->option[m->n_option++] = o;
                o->level = (uint32_t)x->option[i].level;
                o->name = (uint32_t)x->option[i].name;
                r = field_set(&o->value, x->option[i].value, x->option[i].len, err);
        }
        return r >= 0 && x->conn.peer.ss_family ? put_established(m, &x->conn, err) : r;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct tcp x;
        int r = tcp_take(&kind_sk_inet6_stream, d, o, fd, t, &x, err);

        if (r >= 0) {
                Message *m = KIND_NEW(Message, gantry__sk_inet6_stream__init);
                _cleanup_message_ ProtobufCMessage *guard = m ? &m->base : NULL;
                r = m ? put(m, &x, err) : kind_nomem(err);
                if (r >= 0)
                        r = field_record(&kind_sk_inet6_stream, o, &guard, ret);
        }
        tcp_done(&x);
        return r;
}

/* ---- from the message: borrowed from it, and hostile ---- */

static bool get_address(const ProtobufCBinaryData *b, struct sockaddr_storage *ret)
{
        if (b->len != sizeof(Address))
                return false;
        memcpy(ret, b->data, b->len);
        return true;
}

static bool get_established(const Established *e, struct tcp_conn *c)
{
#define X(field) c->field = e->field;
        NUMBERS(X)
#undef X
        uint64_t total = (uint64_t)e->inq + e->outq;

        c->queue = e->queue.data;
        if (e->has_queue != (total > 0 && total <= TCP_QUEUE_INLINE) || (e->has_queue && e->queue.len != total))
                return false;
        return get_address(&e->peer, &c->peer);
}

static bool get(const Message *m, struct tcp *x)
{
        *x = (struct tcp){ .ofd = OFD_FROM_MESSAGE(m), .state = (uint8_t)m->state, .bound = m->has_local, .backlog = m->backlog,
                           .sndbuf = m->sndbuf, .rcvbuf = m->rcvbuf, .n_option = m->n_option };
        if (m->state > 255 || m->n_option > TCP_OPTIONS_MAX || (m->has_local && !get_address(&m->local, &x->local)))
                return false;
        for (size_t i = 0; i < m->n_option; i++) {
                const Option *o = m->option[i];
                if (o->value.len > TCP_VALUE_MAX || o->level > INT32_MAX || o->name > INT32_MAX)
                        return false;
                x->option[i] = (struct tcp_option){ (int)o->level, (int)o->name, (uint32_t)o->value.len, {} };
                if (o->value.len)
                        memcpy(x->option[i].value, o->value.data, o->value.len);
        }
        if ((m->established != NULL) != (m->state == 1))
                return false;
        return !m->established || get_established(m->established, &x->conn);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        struct tcp x;

        if (!get((const void *)r->msg, &x))
                return kind_bad(&kind_sk_inet6_stream, r, err, "a field has an impossible size");
        return tcp_check(&kind_sk_inet6_stream, r, &x, AF_INET6, need, err);
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        struct tcp x;

        (void)err;
        if (get((const void *)r->msg, &x))
                tcp_plan_make(rs, r->id, AF_INET6, &x);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        struct tcp x;

        return get((const void *)r->msg, &x) ? tcp_plan_bind(rs, r->id, &x, err) : 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct tcp x;

        (void)err;
        if (get((const void *)r->msg, &x))
                ofd_plan(rs, r->id, &x.ofd);
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        struct tcp x;

        return get((const void *)r->msg, &x) ? tcp_plan_park(rs, r->id, &x, err) : 0;
}

const struct kind kind_sk_inet6_stream = {
        .stem = "sk-inet6-stream",
        .number = KIND_SK_INET6_STREAM,
        .cls = CLS_FILE,
        .msg = &gantry__sk_inet6_stream__descriptor,
        .claim = claim,
        .refuse = refuse,
        .settle = tcp_settle,
        .quiesce = tcp_quiesce,
        .ask = ofd_ask,
        .take = take,
        .cure = tcp_cure,
        .check = check,
        .plan = { [PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_ATTR] = plan_attr, [PH_PARK] = plan_park },
};
