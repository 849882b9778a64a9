/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages of the wire by number. A generated type is known here and in the files that speak it; nothing above this
 * floor sees one.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include "base/err.h"
#include "migrate/wire.h"

#define PROTOCOL_VERSION 1u
#define PROTOCOL_TOKEN 36u       /* characters of a token: a random uuid as text */

enum msg_type {
        MSG_HELLO = WIRE_MSG_FIRST,
        MSG_ERROR = 17,
        MSG_CHECK = 18,
        MSG_FINDINGS = 19,
        MSG_BEGIN = 20,
        MSG_HOLES = 21,
        MSG_ROUND = 22,
        MSG_GROUND = 23,
        MSG_IMAGE_END = 24,
        MSG_OK = 25,
        MSG_READY = 26,
        MSG_TAKE = 27,
        MSG_RUNNING = 28,
        MSG_GONE = 29,
        MSG_ASK = 30,
        MSG_ANSWER = 31,
};

const char *msg_name(uint16_t type);                      /* "WireHello"; "bulk", "unknown" */

/* Is this frame what its type says? Pure: length caps, canonical bytes, no unknown field, no invented `local`. */
int msg_check(const struct wire_msg *m, struct err *err);

int msg_send(struct wire *w, enum msg_type type, const ProtobufCMessage *m, struct err *err);
int msg_send_ok(struct wire *w, enum msg_type step, struct err *err);
/* The error goes over as it is; failures to send it are not told: the connection ends anyway. */
void msg_send_error(struct wire *w, const struct err *e);
/* The relay's own, as a whole frame for the process behind it; caller frees. */
int msg_local_error(const struct err *e, uint32_t seq, uint8_t **ret, size_t *ret_len, struct err *err);

/* The next frame, whatever it is. A WireError becomes *err and its code is returned. *ret_m is NULL for bulk. */
int msg_recv(struct wire *w, struct wire_msg *ret_frame, ProtobufCMessage **ret_m, struct err *err);
/* After a call on this wire failed with r: a send that met a closed connection gives its place to the error that the other
 * side has sent before, if there is one. */
int msg_reason(struct wire *w, int r, struct err *err);
/* The next message must be of this type; caller frees with msg_free. */
int msg_expect(struct wire *w, enum msg_type type, ProtobufCMessage **ret, struct err *err);
int msg_expect_ok(struct wire *w, enum msg_type step, struct err *err);
void msg_free(ProtobufCMessage *m);
int msg_unexpected(const struct wire_msg *m, const char *when, struct err *err);   /* -EX_PEER */

#define CLEANUP_MSG __attribute__((cleanup(msg_freep)))
static inline void msg_freep(void *p)
{
        msg_free(*(ProtobufCMessage **)p);
}
