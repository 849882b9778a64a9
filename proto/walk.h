/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at a message through its descriptor: what the checker and the printer share. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include "base/err.h"

/* Messages may nest this deep, the outermost included; a descriptor that could go deeper (or round) is refused. */
#define WALK_DEPTH 8

struct walk_elems {
        const char *at; /* first element */
        size_t n, size; /* 0: the field is absent */
};

/* The elements of one field: 0 or 1 of a single one, all of a repeated one. */
struct walk_elems walk_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);
/* A submessage or string element, which is stored as a pointer. */
const void *walk_pointer(const char *elem);
uint32_t walk_u32(const char *elem);
uint64_t walk_u64(const char *elem);
ProtobufCBinaryData walk_bytes(const char *elem);

/* Unknown fields and enum values outside their type, at any depth: fills `ret` with what and where, returns false. */
bool walk_check(const ProtobufCMessage *m, char *ret, size_t size);
/* Can messages of this type nest deeper than WALK_DEPTH? */
bool walk_bounded(const ProtobufCMessageDescriptor *d);
