/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record codec (proto/record.h, docs/FORMAT.md): messages to frames and payloads to messages.
 *
 * Unpacking is where hostile bytes meet protobuf-c 1.4.1, which nests without limit, allocates 71 times what it reads
 * and keeps unknown fields and enum values without a word (style.md, item 18). Hence: a length cap, descriptors that
 * cannot nest deep, a budget, a walk over the result, and the rule that a payload is *canonical*: exactly the bytes that
 * packing the message gives. That refuses duplicate fields, overlong numbers and strings with a NUL inside, each
 * of which would be a loss that nobody notices.
 *
 * Packing refuses the same things, so that a dump does not write what no restore would take.
 * What the fields mean is each kind's check().
 */
#include "proto/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/alloc.h"
#include "proto/walk.h"

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

void record_head_put(uint8_t p[RECORD_HEAD], const struct record_head *h)
{
        put_le(p, h->len, 4);
        put_le(p + 4, h->kind, 2);
        put_le(p + 6, h->flags, 2);
        put_le(p + 8, h->id, 8);
}

struct record_head record_head_get(const uint8_t p[RECORD_HEAD])
{
        return (struct record_head){
                .len = (uint32_t)get_le(p, 4),
                .kind = (uint16_t)get_le(p + 4, 2),
                .flags = (uint16_t)get_le(p + 6, 2),
                .id = get_le(p + 8, 8),
        };
}

const struct record_type *record_type_find(const struct record_types *t, uint16_t kind)
{
        size_t lo = 0, hi = t->n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (t->at[mid].kind == kind)
                        return &t->at[mid];
                if (t->at[mid].kind < kind)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return NULL;
}

int record_types_check(const struct record_types *t, struct err *err)
{
        for (size_t i = 0; i < t->n; i++) {
                const struct record_type *type = &t->at[i];
                if (i && t->at[i - 1].kind >= type->kind)
                        return err_set(err, EX_FAIL, "cannot use the table of kinds", "it is not ascending",
                                       "%s", type->stem);
                if (type->msg && !walk_bounded(type->msg))
                        return err_set(err, EX_FAIL, "cannot use the table of kinds",
                                       "its message can nest without bound", "%s", type->stem);
        }
        return 0;
}

void record_done(struct record *r)
{
        if (r->msg)
                protobuf_c_message_free_unpacked(r->msg, NULL);
        *r = (struct record){};
}

int record_refuse(const struct record_types *types, uint16_t kind, uint64_t id, const char *why, struct err *err)
{
        const struct record_type *type = types ? record_type_find(types, kind) : NULL;

        if (type)
                return err_set(err, EX_IMAGE, "the checkpoint image is refused", why, "record %s %llu", type->stem,
                               (unsigned long long)id);
        return err_set(err, EX_IMAGE, "the checkpoint image is refused", why, "record of kind %u, id %llu", kind,
                       (unsigned long long)id);
}

static int cannot_pack(const struct record *r, const char *why, struct err *err)
{
        return err_set(err, EX_FAIL, "cannot write a record", why, "%s %llu",
                       r->msg ? r->msg->descriptor->short_name : "empty", (unsigned long long)r->id);
}

int record_pack(const struct record *r, uint8_t **ret, size_t *ret_len, struct err *err)
{
        char why[128];

        if (!r->msg || !protobuf_c_message_check(r->msg))
                return cannot_pack(r, "a required field is missing", err);
        if (!walk_check(r->msg, why, sizeof(why)))
                return cannot_pack(r, why, err);
        size_t len = protobuf_c_message_get_packed_size(r->msg);
        if (len > RECORD_MAX)
                return cannot_pack(r, "it is larger than 1 MiB", err);
        uint8_t *p = malloc(RECORD_OVERHEAD + len);
        if (!p)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot write a record", "%zu bytes", len);
        record_head_put(p, &(struct record_head){(uint32_t)len, r->kind, r->flags, r->id});
        protobuf_c_message_pack(r->msg, p + RECORD_HEAD);
        put_le(p + RECORD_HEAD + len, crc32c(0, p, RECORD_HEAD + len), RECORD_CRC);
        *ret = p;
        *ret_len = RECORD_OVERHEAD + len;
        return 0;
}

int record_frame_check(const struct record_types *types, const uint8_t *p, size_t n, struct record_head *ret,
                       struct err *err)
{
        if (n < RECORD_HEAD)
                return err_set(err, EX_IMAGE, "the checkpoint image is refused", "it ends within a record's head",
                               "records");
        struct record_head h = record_head_get(p);
        if (h.len > RECORD_MAX)
                return record_refuse(types, h.kind, h.id, "its length is above 1 MiB", err);
        if (n < RECORD_OVERHEAD + (size_t)h.len)
                return record_refuse(types, h.kind, h.id, "the image ends within it", err);
        if (get_le(p + RECORD_HEAD + h.len, RECORD_CRC) != crc32c(0, p, RECORD_HEAD + h.len))
                return record_refuse(types, h.kind, h.id, "checksum differs", err);
        if (h.flags & ~RECORD_OPTIONAL)
                return record_refuse(types, h.kind, h.id, "unknown flags", err);
        *ret = h;
        return 0;
}

/* Is the payload what packing the message gives? */
static bool is_canonical(const ProtobufCMessage *m, const uint8_t *payload, size_t len)
{
        if (protobuf_c_message_get_packed_size(m) != len)
                return false;
        _cleanup_free_ uint8_t *again = malloc(len + 1);
        return again && protobuf_c_message_pack(m, again) == len && memcmp(again, payload, len) == 0;
}

int record_unpack(const struct record_types *types, uint16_t kind, uint16_t flags, uint64_t id, const uint8_t *payload,
                  size_t len, struct record *ret, struct err *err)
{
        const struct record_type *type = record_type_find(types, kind);
        char why[128];

        if (flags & ~RECORD_OPTIONAL)
                return record_refuse(types, kind, id, "unknown flags", err);
        if (len > RECORD_MAX)
                return record_refuse(types, kind, id, "its length is above 1 MiB", err);
        if (!type || !type->msg) {
                if (flags & RECORD_OPTIONAL)
                        return 1;
                record_refuse(types, kind, id, "this version does not know its kind", err);
                return err_remedy(err, "use the version that made the image, or a newer one");
        }
        struct budget budget;
        budget_init(&budget, len);
        ProtobufCAllocator alloc = budget_allocator(&budget);
        ProtobufCMessage *m = protobuf_c_message_unpack(type->msg, &alloc, len, payload);
        if (!m)
                return record_refuse(types, kind, id,
                                     budget.spent ? "it needs more memory than its size allows"
                                                  : "its bytes are no such message",
                                     err);
        struct record r = {.kind = kind, .flags = flags, .id = id, .msg = m};
        int res = 0;
        if (!walk_check(m, why, sizeof(why)))
                res = record_refuse(types, kind, id, why, err);
        else if (!is_canonical(m, payload, len))
                res = record_refuse(types, kind, id, "its bytes are not in canonical form", err);
        if (res < 0) {
                record_done(&r);
                return res;
        }
        *ret = r;
        return 0;
}
