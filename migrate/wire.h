/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wire between two nodes: length-capped, sequence-numbered, checksummed protobuf messages, with bulk bytes (disk blocks,
 * page runs, record frames) beside them. docs/PROTOCOL.md is the page. The first transport is one ssh stream; data
 * connections can come behind the same operations.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct wire_msg { uint16_t type; uint32_t seq; const void *body; size_t len; };  /* body: a packed protobuf message */
enum wire_bulk { WIRE_DISK, WIRE_PAGES, WIRE_RECORDS, WIRE_BULKS };

struct wire_ops {
        /* One message. recv: the body is valid until the next recv. EX_PEER on a broken stream, EX_TIMEOUT on silence (heartbeats
         * are handled inside), EX_CONNECT when the peer is gone. */
        int (*send)(void *c, const struct wire_msg *m, struct err *err);
        int (*recv)(void *c, struct wire_msg *ret, struct err *err);
        /* Bulk bytes of one kind at an offset, ≤ 1 MiB, from the sender; the receiver gets them from recv as a message. */
        int (*data)(void *c, enum wire_bulk what, uint64_t offset, const void *buf, size_t len, struct err *err);
        void (*done)(void *c);
};
struct wire { const struct wire_ops *ops; void *ctx; };

/*
 * Frames: u32 length of the payload, u16 type, u16 zero, u32 sequence number, payload, u32 CRC32C of all before it. The
 * sequence counts from 1 in each direction; a heartbeat has number 0 and does not count.
 */
#define WIRE_HEAD 12u
#define WIRE_CRC 4u
#define WIRE_BULK_HEAD 16u                               /* u32 what, u32 zero, u64 offset */
#define WIRE_BULK_MAX (1u << 20)
#define WIRE_PAYLOAD_MAX (WIRE_BULK_MAX + WIRE_BULK_HEAD)
#define WIRE_FRAME_MAX (WIRE_HEAD + WIRE_PAYLOAD_MAX + WIRE_CRC)

enum wire_type { WIRE_MSG_BEAT = 1, WIRE_MSG_BULK = 2, WIRE_MSG_FIRST = 16 };   /* below FIRST: the wire's own */

/* Bytes in, frames out; pure. It trusts nothing and stays broken once it has met a broken frame. */
struct wire_parser {
        uint8_t *buf;
        size_t have, used;               /* bytes in buf; of these already handed out */
        uint32_t seq;                    /* of the last counted frame */
        bool broken;
};
int wire_parser_init(struct wire_parser *p, struct err *err);
void wire_parser_done(struct wire_parser *p);
/* Room for more bytes and how many fit (never 0 unless a frame is waiting); then wire_parser_fed(n). */
void *wire_parser_room(struct wire_parser *p, size_t *ret_room);
void wire_parser_fed(struct wire_parser *p, size_t n);
/* 1: a frame, valid until the next call; 0: more bytes are needed; -EX_PEER. Heartbeats are frames here. */
int wire_parser_next(struct wire_parser *p, struct wire_msg *ret, struct err *err);

/* The head and the tail of a frame whose payload lies in up to two pieces. */
struct wire_frame { uint8_t head[WIRE_HEAD]; uint8_t tail[WIRE_CRC]; };
void wire_frame_make(struct wire_frame *ret, uint16_t type, uint32_t seq, const void *a, size_t a_len, const void *b,
                     size_t b_len);

/* Of a WIRE_MSG_BULK: what, where, and the bytes. -EX_PEER when it is malformed. */
struct wire_piece { enum wire_bulk what; uint64_t offset; const uint8_t *data; size_t len; };
int wire_piece(const struct wire_msg *m, struct wire_piece *ret, struct err *err);

/*
 * The transport over descriptors, which it takes over (they may be the same socket). A receive or a send that makes no
 * progress for silence_ms fails with EX_TIMEOUT, as does one that would go on after the deadline.
 */
int wire_open(int in, int out, unsigned silence_ms, struct wire *ret, struct err *err);
void wire_deadline(struct wire *w, uint64_t at_ns);      /* CLOCK_MONOTONIC; 0: none */
/* A descriptor that becomes readable when the user wants an end (a signalfd): every wait then ends with EX_INTERRUPTED. It is
 * not read. -1: none. */
void wire_stop(struct wire *w, int stop_fd);
static inline void wire_done(struct wire *w)
{
        if (w->ops)
                w->ops->done(w->ctx);
        *w = (struct wire){0};
}
struct wire_counts { uint64_t sent, received; };         /* bytes, frames' own included */
struct wire_counts wire_counts(const struct wire *w);
