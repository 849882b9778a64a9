/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wire between two nodes: length-capped, sequence-numbered, checksummed protobuf messages, with bulk bytes (disk blocks,
 * page runs, record frames) beside them. docs/PROTOCOL.md is the page. The first transport is one ssh stream; data
 * connections can come behind the same operations.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct wire_msg { uint16_t type; uint32_t seq; const void *body; size_t len; };  /* body: a packed protobuf message */
enum wire_bulk { WIRE_DISK, WIRE_PAGES, WIRE_RECORDS };

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
