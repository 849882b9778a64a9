/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fields of messages: bytes that are text, a message under construction, and the record made of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "checkpoint/kind/kind.h"

/* A message that is not part of a record yet: freed on every way out that does not hand it over by field_record(). */
static inline void message_drop(ProtobufCMessage **m)
{
        if (*m)
                protobuf_c_message_free_unpacked(*m, NULL);
}
#define _cleanup_message_ __attribute__((cleanup(message_drop)))

/* Makes the record of kind k and object o out of *guard, which becomes NULL. Returns 0. */
int field_record(const struct kind *k, const struct obj *o, ProtobufCMessage **guard, struct record *ret);

int field_set(ProtobufCBinaryData *b, const void *p, size_t n, struct err *err);     /* a copy */
int field_set_text(ProtobufCBinaryData *b, const char *s, struct err *err);          /* without its NUL */
/* At least one and at most max bytes, none of them NUL. */
bool field_is_text(const ProtobufCBinaryData *b, size_t max);
/* The same, beginning with '/' and shorter than PATH_MAX. */
bool field_is_path(const ProtobufCBinaryData *b);
/* As a C string into the tape's data area. */
uint32_t field_tape(struct tape *t, const ProtobufCBinaryData *b);
/* As a C string; false where it does not fit. */
bool field_copy(const ProtobufCBinaryData *b, char *ret, size_t size);
