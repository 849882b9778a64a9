/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages by descriptor: reading any field of any message, and the two things protobuf-c does not refuse by itself,
 * unknown fields (kept aside silently) and enum values outside their type (protobuf-c 1.4.1 stores any integer).
 *
 * The recursion goes down a descriptor tree that walk_bounded() has held to WALK_DEPTH, never down input.
 */
#include "proto/walk.h"

#include <stdio.h>
#include <string.h>

const void *walk_pointer(const char *elem)
{
        const void *p;

        memcpy(&p, elem, sizeof(p));
        return p;
}

uint32_t walk_u32(const char *elem)
{
        uint32_t v;

        memcpy(&v, elem, sizeof(v));
        return v;
}

uint64_t walk_u64(const char *elem)
{
        uint64_t v;

        memcpy(&v, elem, sizeof(v));
        return v;
}

ProtobufCBinaryData walk_bytes(const char *elem)
{
        ProtobufCBinaryData v;

        memcpy(&v, elem, sizeof(v));
        return v;
}

static size_t elem_size(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_ENUM:
        default:
                return 4;
        }
}

struct walk_elems walk_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        const char *base = (const char *)m;
        const char *at = base + f->offset;
        struct walk_elems e = {.at = at, .n = 1, .size = elem_size(f->type)};

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                memcpy(&e.n, base + f->quantifier_offset, sizeof(e.n));
                e.at = walk_pointer(at);
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
                e.n = walk_u32(base + f->quantifier_offset) == f->id;
        } else if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING) {
                /* protobuf-c points an absent string at its default value */
                const void *p = walk_pointer(at);
                e.n = p && (f->label == PROTOBUF_C_LABEL_REQUIRED || p != f->default_value);
        } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
                protobuf_c_boolean has;
                memcpy(&has, base + f->quantifier_offset, sizeof(has));
                e.n = has ? 1 : 0;
        }
        return e;
}

/* Each level puts its message's name before what the inner one found: "Pages.Run.what: 7 is no What". */
static bool check_at(const ProtobufCMessage *m, unsigned depth, char *ret, size_t size);

static bool check_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, unsigned depth, char *ret,
                        size_t size)
{
        struct walk_elems e = walk_field(m, f);

        for (size_t i = 0; i < e.n; i++) {
                const char *at = e.at + i * e.size;
                if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                        if (!check_at(walk_pointer(at), depth + 1, ret, size))
                                return false;
                } else if (f->type == PROTOBUF_C_TYPE_ENUM) {
                        const ProtobufCEnumDescriptor *type = f->descriptor;
                        int32_t v = (int32_t)walk_u32(at);
                        if (!protobuf_c_enum_descriptor_get_value(type, v)) {
                                snprintf(ret, size, "field %s.%s: %d is no %s", m->descriptor->short_name, f->name,
                                         v, type->short_name);
                                return false;
                        }
                }
        }
        return true;
}

static bool check_at(const ProtobufCMessage *m, unsigned depth, char *ret, size_t size)
{
        const ProtobufCMessageDescriptor *d = m->descriptor;

        if (depth > WALK_DEPTH) {
                snprintf(ret, size, "message %s nests too deep", d->short_name);
                return false;
        }
        if (m->n_unknown_fields) {
                snprintf(ret, size, "unknown field %u in %s", m->unknown_fields[0].tag, d->short_name);
                return false;
        }
        for (unsigned i = 0; i < d->n_fields; i++)
                if (!check_field(m, &d->fields[i], depth, ret, size))
                        return false;
        return true;
}

bool walk_check(const ProtobufCMessage *m, char *ret, size_t size)
{
        return check_at(m, 1, ret, size);
}

static bool bounded_at(const ProtobufCMessageDescriptor *d, unsigned depth)
{
        if (depth > WALK_DEPTH)
                return false;
        for (unsigned i = 0; i < d->n_fields; i++)
                if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
                    !bounded_at(d->fields[i].descriptor, depth + 1))
                        return false;
        return true;
}

bool walk_bounded(const ProtobufCMessageDescriptor *d)
{
        return bounded_at(d, 1);
}
