/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fields of messages (field.h). Names and paths are bytes in records, because the kernel promises no encoding; whoever
 * uses one as a C string has asked first whether it is one.
 */
#include "checkpoint/kind/field.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int field_record(const struct kind *k, const struct obj *o, ProtobufCMessage **guard, struct record *ret)
{
        *ret = (struct record){.kind = k->number, .id = o->id, .msg = TAKE_PTR(*guard)};
        return 0;
}

int field_set(ProtobufCBinaryData *b, const void *p, size_t n, struct err *err)
{
        uint8_t *copy = kind_memdup(p, n);

        if (!copy)
                return kind_nomem(err);
        *b = (ProtobufCBinaryData){.len = n, .data = copy};
        return 0;
}

int field_set_text(ProtobufCBinaryData *b, const char *s, struct err *err)
{
        return field_set(b, s, strlen(s), err);
}

bool field_is_text(const ProtobufCBinaryData *b, size_t max)
{
        return b->len && b->len <= max && !memchr(b->data, '\0', b->len);
}

bool field_is_path(const ProtobufCBinaryData *b)
{
        return field_is_text(b, PATH_MAX - 1) && b->data[0] == '/';
}

uint32_t field_tape(struct tape *t, const ProtobufCBinaryData *b)
{
        _cleanup_free_ char *s = malloc(b->len + 1);

        if (!s)
                return tape_data(t, NULL, SIZE_MAX); /* no memory: the tape turns bad */
        if (b->len)
                memcpy(s, b->data, b->len);
        s[b->len] = '\0';
        return tape_data(t, s, b->len + 1);
}

bool field_copy(const ProtobufCBinaryData *b, char *ret, size_t size)
{
        if (b->len >= size)
                return false;
        if (b->len)
                memcpy(ret, b->data, b->len);
        ret[b->len] = '\0';
        return true;
}
