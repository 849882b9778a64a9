/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames of the wire: bytes to messages and back (migrate/wire.h, docs/PROTOCOL.md).
 *
 * The parser is pure and is the first to touch what the other node sent, so it believes nothing: the length is checked
 * before a byte of the payload is waited for, the checksum before anything of it is used, the sequence number must be
 * the next one. A stream that was wrong once stays refused, because there is no way back into step. Memory is one
 * buffer of fixed size, two frames long, whatever the peer claims.
 *
 * What a payload means is migrate/msg.c's; who runs this without privileges is migrate/relay.c.
 */
#include "migrate/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/record.h"

#define PARSER_BYTES (2u * WIRE_FRAME_MAX)

static void put_le(uint8_t *p, uint64_t v, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, unsigned n)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < n; i++)
                v |= (uint64_t)p[i] << (8 * i);
        return v;
}

int wire_parser_init(struct wire_parser *p, struct err *err)
{
        *p = (struct wire_parser){.buf = malloc(PARSER_BYTES)};
        if (!p->buf)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot receive from the other node", "%u bytes", PARSER_BYTES);
        return 0;
}

void wire_parser_done(struct wire_parser *p)
{
        free(p->buf);
        *p = (struct wire_parser){0};
}

void *wire_parser_room(struct wire_parser *p, size_t *ret_room)
{
        if (p->used) {
                memmove(p->buf, p->buf + p->used, p->have - p->used);
                p->have -= p->used;
                p->used = 0;
        }
        *ret_room = PARSER_BYTES - p->have;
        return p->buf + p->have;
}

void wire_parser_fed(struct wire_parser *p, size_t n)
{
        p->have += n;
}

static int refuse(struct wire_parser *p, const char *why, uint64_t value, struct err *err)
{
        p->broken = true;
        return err_set(err, EX_PEER, "the other node broke the protocol", why, "frame after %u, value %llu", p->seq,
                       (unsigned long long)value);
}

static int check_head(struct wire_parser *p, uint64_t len, uint16_t type, uint64_t flags, uint32_t seq, struct err *err)
{
        if (len > WIRE_PAYLOAD_MAX)
                return refuse(p, "a frame is longer than allowed", len, err);
        if (flags)
                return refuse(p, "a frame has unknown flags", flags, err);
        if (type == WIRE_MSG_BEAT)
                return len || seq ? refuse(p, "a heartbeat carries something", len, err) : 0;
        if (seq != p->seq + 1 || !seq)
                return refuse(p, "a frame is out of sequence", seq, err);
        if (type < WIRE_MSG_FIRST && type != WIRE_MSG_BULK)
                return refuse(p, "a frame has an unknown type", type, err);
        if (type >= WIRE_MSG_FIRST && len > WIRE_BULK_MAX)
                return refuse(p, "a message is longer than 1 MiB", len, err);
        return 0;
}

int wire_parser_next(struct wire_parser *p, struct wire_msg *ret, struct err *err)
{
        const uint8_t *at = p->buf + p->used;
        size_t have = p->have - p->used;

        if (p->broken)
                return refuse(p, "it broke it before", 0, err);
        if (have < WIRE_HEAD)
                return 0;
        size_t len = (size_t)get_le(at, 4);
        uint16_t type = (uint16_t)get_le(at + 4, 2);
        uint32_t seq = (uint32_t)get_le(at + 8, 4);
        int r = check_head(p, len, type, get_le(at + 6, 2), seq, err);
        if (r < 0)
                return r;
        if (have < WIRE_HEAD + len + WIRE_CRC)
                return 0;
        if (get_le(at + WIRE_HEAD + len, WIRE_CRC) != crc32c(0, at, WIRE_HEAD + len))
                return refuse(p, "a frame's checksum differs", type, err);
        if (type != WIRE_MSG_BEAT)
                p->seq = seq;
        p->used += WIRE_HEAD + len + WIRE_CRC;
        *ret = (struct wire_msg){.type = type, .seq = seq, .body = at + WIRE_HEAD, .len = len};
        return 1;
}

void wire_frame_make(struct wire_frame *ret, uint16_t type, uint32_t seq, const void *a, size_t a_len, const void *b,
                     size_t b_len)
{
        put_le(ret->head, a_len + b_len, 4);
        put_le(ret->head + 4, type, 2);
        put_le(ret->head + 6, 0, 2);
        put_le(ret->head + 8, seq, 4);
        uint32_t crc = crc32c(0, ret->head, WIRE_HEAD);
        crc = crc32c(crc, a, a_len);
        crc = crc32c(crc, b, b_len);
        put_le(ret->tail, crc, WIRE_CRC);
}

int wire_piece(const struct wire_msg *m, struct wire_piece *ret, struct err *err)
{
        const uint8_t *p = m->body;

        if (m->type != WIRE_MSG_BULK || m->len < WIRE_BULK_HEAD)
                return err_set(err, EX_PEER, "the other node broke the protocol", "bulk bytes without a head",
                               "frame %u", m->seq);
        uint64_t what = get_le(p, 4);
        uint64_t offset = get_le(p + 8, 8);
        if (what >= WIRE_BULKS || get_le(p + 4, 4) || offset > INT64_MAX - WIRE_BULK_MAX)
                return err_set(err, EX_PEER, "the other node broke the protocol", "bulk bytes with a wrong head",
                               "frame %u, kind %llu, offset %llu", m->seq, (unsigned long long)what,
                               (unsigned long long)offset);
        *ret = (struct wire_piece){.what = (enum wire_bulk)what, .offset = offset, .data = p + WIRE_BULK_HEAD,
                                   .len = m->len - WIRE_BULK_HEAD};
        return 0;
}
