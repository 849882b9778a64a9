/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages of the wire: their table, and sending and receiving one (migrate/msg.h).
 *
 * Unpacking is proto/record.c's record_unpack() with a table of our own, so that one place deals with hostile protobuf.
 * A message is checked twice: in the relay, which has no privileges, and again where it is used; the second time costs
 * microseconds and spares the proof that nothing lies between.
 */
#include "migrate/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "migrate/wire.pb-c.h"
#include "proto/record.h"

#define REASON_FRAMES 64   /* read to find out why a connection was closed */

static const struct record_type table[] = {
        {MSG_HELLO, "WireHello", &gantry__wire_hello__descriptor},
        {MSG_ERROR, "WireError", &gantry__wire_error__descriptor},
        {MSG_CHECK, "WireCheck", &gantry__wire_check__descriptor},
        {MSG_FINDINGS, "WireFindings", &gantry__wire_findings__descriptor},
        {MSG_BEGIN, "WireBegin", &gantry__wire_begin__descriptor},
        {MSG_HOLES, "WireHoles", &gantry__wire_holes__descriptor},
        {MSG_ROUND, "WireRound", &gantry__wire_round__descriptor},
        {MSG_GROUND, "WireGround", &gantry__wire_ground__descriptor},
        {MSG_IMAGE_END, "WireImageEnd", &gantry__wire_image_end__descriptor},
        {MSG_OK, "WireOk", &gantry__wire_ok__descriptor},
        {MSG_READY, "WireReady", &gantry__wire_ready__descriptor},
        {MSG_TAKE, "WireTake", &gantry__wire_take__descriptor},
        {MSG_RUNNING, "WireRunning", &gantry__wire_running__descriptor},
        {MSG_GONE, "WireGone", &gantry__wire_gone__descriptor},
        {MSG_ASK, "WireAsk", &gantry__wire_ask__descriptor},
        {MSG_ANSWER, "WireAnswer", &gantry__wire_answer__descriptor},
};
static const struct record_types types = {table, ELEMENTSOF(table)};

const char *msg_name(uint16_t type)
{
        const struct record_type *t = record_type_find(&types, type);

        if (type == WIRE_MSG_BULK)
                return "bulk";
        return t ? t->stem : "unknown";
}

int msg_unexpected(const struct wire_msg *m, const char *when, struct err *err)
{
        return err_set(err, EX_PEER, "the other node broke the protocol", when, "message %s", msg_name(m->type));
}

static int unpack(const struct wire_msg *m, ProtobufCMessage **ret, struct err *err)
{
        struct record r = {0};
        int res = record_unpack(&types, m->type, 0, m->seq, m->body, m->len, &r, err);

        if (res < 0) {
                err_wrap(err, "the other node broke the protocol", "message %s", msg_name(m->type));
                if (err)
                        err->code = EX_PEER;
                return -EX_PEER;
        }
        *ret = r.msg;
        return 0;
}

int msg_check(const struct wire_msg *m, struct err *err)
{
        struct wire_piece piece;
        ProtobufCMessage *p = NULL;

        if (m->type == WIRE_MSG_BEAT)
                return 0;
        if (m->type == WIRE_MSG_BULK)
                return wire_piece(m, &piece, err);
        int r = unpack(m, &p, err);
        if (r < 0)
                return r;
        if (m->type == MSG_ERROR && ((Gantry__WireError *)p)->has_local)
                r = msg_unexpected(m, "an error claims to be this node's own", err);
        msg_free(p);
        return r;
}

void msg_free(ProtobufCMessage *m)
{
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
}

int msg_send(struct wire *w, enum msg_type type, const ProtobufCMessage *m, struct err *err)
{
        struct record rec = {.kind = (uint16_t)type, .msg = (ProtobufCMessage *)(uintptr_t)m};
        _cleanup_free_ uint8_t *frame = NULL;
        size_t len;
        int r = record_pack(&rec, &frame, &len, err);

        if (r < 0)
                return r;
        struct wire_msg out = {.type = (uint16_t)type, .body = frame + RECORD_HEAD, .len = len - RECORD_OVERHEAD};
        return w->ops->send(w->ctx, &out, err);
}

int msg_send_ok(struct wire *w, enum msg_type step, struct err *err)
{
        Gantry__WireOk ok = GANTRY__WIRE_OK__INIT;

        ok.step = (uint32_t)step;
        return msg_send(w, MSG_OK, &ok.base, err);
}

/* The message points into *copy. */
static Gantry__WireError error_message(struct err *copy)
{
        Gantry__WireError m = GANTRY__WIRE_ERROR__INIT;

        m.code = (uint32_t)copy->code;
        m.has_sys = copy->sys > 0;
        m.sys = copy->sys > 0 ? (uint32_t)copy->sys : 0;
        m.what = copy->what;
        m.on = copy->on;
        m.why = copy->why;
        m.remedy = copy->remedy;
        return m;
}

void msg_send_error(struct wire *w, const struct err *e)
{
        struct err copy = *e, ignored;
        Gantry__WireError m = error_message(&copy);

        if (w->ops)
                (void)msg_send(w, MSG_ERROR, &m.base, &ignored);
}

int msg_local_error(const struct err *e, uint32_t seq, uint8_t **ret, size_t *ret_len, struct err *err)
{
        struct err copy = *e;
        Gantry__WireError m = error_message(&copy);
        struct wire_frame frame;

        m.has_local = m.local = true;
        size_t len = protobuf_c_message_get_packed_size(&m.base);
        uint8_t *p = malloc(WIRE_HEAD + len + WIRE_CRC);
        if (!p)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot tell an error", "%s", "");
        protobuf_c_message_pack(&m.base, p + WIRE_HEAD);
        wire_frame_make(&frame, MSG_ERROR, seq, p + WIRE_HEAD, len, NULL, 0);
        memcpy(p, frame.head, WIRE_HEAD);
        memcpy(p + WIRE_HEAD + len, frame.tail, WIRE_CRC);
        *ret = p;
        *ret_len = WIRE_HEAD + len + WIRE_CRC;
        return 0;
}

/* What the peer says went wrong there becomes our error; a code that is no row of the table is its fault. */
static int take_error(const Gantry__WireError *m, struct err *err)
{
        int code = m->code && m->code < 256 && exit_code_name((int)m->code) ? (int)m->code : EX_PEER;

        err_set(err, code, m->what, m->why, "%s", m->on);
        if (err && m->has_sys)
                err->sys = (int)m->sys;
        if (err && m->remedy[0])
                str_copy(err->remedy, sizeof(err->remedy), m->remedy);
        if (!m->has_local)
                err_wrap(err, "the other node refused", "%s", "");
        return -code;
}

int msg_recv(struct wire *w, struct wire_msg *ret_frame, ProtobufCMessage **ret_m, struct err *err)
{
        ProtobufCMessage *m = NULL;

        *ret_m = NULL;
        int r = w->ops->recv(w->ctx, ret_frame, err);
        if (r < 0)
                return r;
        if (ret_frame->type == WIRE_MSG_BULK)
                return 0;
        r = unpack(ret_frame, &m, err);
        if (r < 0)
                return r;
        if (ret_frame->type == MSG_ERROR) {
                r = take_error((Gantry__WireError *)m, err);
                msg_free(m);
                return r;
        }
        *ret_m = m;
        return 0;
}

int msg_reason(struct wire *w, int r, struct err *err)
{
        struct err e = {0};
        int q = r == -EX_CONNECT ? 0 : r;

        for (unsigned i = 0; q == 0 && i < REASON_FRAMES; i++) {
                struct wire_msg frame;
                ProtobufCMessage *m = NULL;
                q = msg_recv(w, &frame, &m, &e);
                msg_free(m);
        }
        if (r != -EX_CONNECT || q == 0 || e.code == EX_CONNECT || e.code == EX_TIMEOUT)
                return r;
        if (err)
                *err = e;
        return q;
}

int msg_expect(struct wire *w, enum msg_type type, ProtobufCMessage **ret, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        struct wire_msg frame;
        int r = msg_recv(w, &frame, &m, err);

        if (r < 0)
                return r;
        if (frame.type != type)
                return err_set(err, EX_PEER, "the other node broke the protocol", msg_name((uint16_t)type),
                               "message %s came in place of", msg_name(frame.type));
        *ret = TAKE_PTR(m);
        return 0;
}

int msg_expect_ok(struct wire *w, enum msg_type step, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        int r = msg_expect(w, MSG_OK, &m, err);

        if (r < 0)
                return r;
        if (((Gantry__WireOk *)m)->step != (uint32_t)step)
                return err_set(err, EX_PEER, "the other node broke the protocol", "it confirms another step",
                               "%s instead of %s", msg_name((uint16_t)((Gantry__WireOk *)m)->step),
                               msg_name((uint16_t)step));
        return 0;
}
