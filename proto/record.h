/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record codec: one protobuf message of one kind under one object id, framed as docs/FORMAT.md says.
 *
 * Outside input is hostile. record_unpack() is the only way from bytes to a message: a length cap, a budgeted allocator,
 * unknown fields refused by kind and field, enum ranges checked. It knows messages only through a table that its caller
 * gives (number → descriptor), so that this floor names no kind.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define RECORD_MAX (1u << 20)       /* bytes of one payload */
#define RECORD_OPTIONAL 1u          /* flag: a reader that does not know the kind may skip it, with a note */
#define FORMAT_VERSION 1u
#define FORMAT_ARCH_X86_64 62u      /* as in ELF */

/* Kinds of the image itself; container kinds start at 16 (checkpoint/kind/kinds.list). */
enum { RECORD_HEADER = 1, RECORD_END = 2, RECORD_PAGES = 3 };

struct record {
        uint16_t kind, flags;
        uint64_t id;
        ProtobufCMessage *msg;
};

struct record_type { uint16_t kind; const char *stem; const ProtobufCMessageDescriptor *msg; };
struct record_types { const struct record_type *at; size_t n; };   /* ascending by kind */
const struct record_type *record_type_find(const struct record_types *t, uint16_t kind);

/* Ascending, and no message that can nest without bound; to be asked once, before the table meets input. */
int record_types_check(const struct record_types *t, struct err *err);

/* Frees the message (allocated by record_unpack or by protobuf-c's own allocator) and clears the record. */
void record_done(struct record *r);

/* Frame bytes (u32 length, u16 kind, u16 flags, u64 id, payload, u32 CRC32C), appended; caller frees *ret. */
int record_pack(const struct record *r, uint8_t **ret, size_t *ret_len, struct err *err);
/* From payload bytes to a message. kind/flags/id as in the frame. 1: unknown kind with RECORD_OPTIONAL (ret untouched). */
int record_unpack(const struct record_types *types, uint16_t kind, uint16_t flags, uint64_t id, const uint8_t *payload,
                  size_t len, struct record *ret, struct err *err);

/* The fixed parts of a frame. */
#define RECORD_HEAD 16u
#define RECORD_CRC 4u
#define RECORD_OVERHEAD (RECORD_HEAD + RECORD_CRC)
struct record_head { uint32_t len; uint16_t kind, flags; uint64_t id; };
void record_head_put(uint8_t p[RECORD_HEAD], const struct record_head *h);
struct record_head record_head_get(const uint8_t p[RECORD_HEAD]);
/* A whole frame at p (n bytes may be more): length, checksum, flags; *ret on success. Nothing of the payload is parsed. */
int record_frame_check(const struct record_types *types, const uint8_t *p, size_t n, struct record_head *ret,
                       struct err *err);
/* EX_IMAGE, "record STEM ID: why". Returns -EX_IMAGE. */
int record_refuse(const struct record_types *types, uint16_t kind, uint64_t id, const char *why, struct err *err);
uint32_t crc32c(uint32_t seed, const void *p, size_t n);

struct record_sink { int (*put)(void *c, const struct record *r, struct err *e); void *c; };
struct record_source { int (*next)(void *c, struct record *ret, struct err *e); void *c; };  /* 1, 0 end, <0 error */

/* Any message as JSON, by its descriptor alone: bytes as hex, enums by name. */
struct strbuf;
void record_json(struct strbuf *out, const struct record_types *types, const struct record *r);
