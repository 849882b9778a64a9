/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of record_unpack() and what stands on it. Input: u16 kind, u16 flags (little-endian), payload.
 *
 * Whatever is accepted must pack to the bytes it came from, have no field that is unknown and no enum value without a name, pass
 * the check of its own frame, and be printable. The frame, cut or changed anywhere, does not.
 */
#include "base/str.h"
#include "checkpoint/image.h"
#include "checkpoint/session.h"
#include "proto/record.h"
#include "proto/walk.h"
#include "tests/fuzz/fuzz.h"

/* By the descriptor alone, in another way than proto/walk.c's own check. */
static void check_known(const ProtobufCMessage *m)
{
        FUZZ_CHECK(m->n_unknown_fields == 0);
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                struct walk_elems e = walk_field(m, f);
                for (size_t k = 0; k < e.n; k++) {
                        const char *at = e.at + k * e.size;
                        if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                                check_known(walk_pointer(at));
                        if (f->type == PROTOBUF_C_TYPE_STRING)
                                FUZZ_CHECK(walk_pointer(at) && strlen(walk_pointer(at)) <= RECORD_MAX);
                        if (f->type == PROTOBUF_C_TYPE_BYTES)
                                FUZZ_CHECK(!walk_bytes(at).len || walk_bytes(at).data);
                        if (f->type != PROTOBUF_C_TYPE_ENUM)
                                continue;
                        const ProtobufCEnumDescriptor *d = f->descriptor;
                        unsigned named = 0;
                        for (unsigned v = 0; v < d->n_values; v++)
                                named += d->values[v].value == (int)walk_u32(at);
                        FUZZ_CHECK(named);
                }
        }
}

static void check_frame(const struct record_types *types, const struct record *r, const uint8_t *payload, size_t n)
{
        struct record_head h;
        uint8_t *frame = NULL;
        size_t len = 0;

        FUZZ_CHECK(record_pack(r, &frame, &len, NULL) == 0 && len == n + RECORD_OVERHEAD && memcmp(frame + RECORD_HEAD, payload, n) == 0);
        FUZZ_CHECK(record_frame_check(types, frame, len, &h, NULL) == 0 && h.kind == r->kind && h.id == 7 && h.flags == r->flags && h.len == n);
        for (size_t cut = 0; cut < len; cut += len / 16 + 1) {
                uint8_t *part = fuzz_copy(frame, cut);
                FUZZ_CHECK(record_frame_check(types, part, cut, &h, NULL) == -EX_IMAGE);
                free(part);
        }
        for (size_t at = 0; at < len; at += len / 64 + 1) {
                frame[at] ^= 0x10;
                FUZZ_CHECK(record_frame_check(types, frame, len, &h, NULL) == -EX_IMAGE);
                frame[at] ^= 0x10;
        }
        frame[6] |= 2; /* a flag that nobody knows, under a checksum that is right; a length above the limit */
        uint32_t crc = crc32c(0, frame, len - RECORD_CRC);
        memcpy(frame + len - RECORD_CRC, &crc, RECORD_CRC);
        FUZZ_CHECK(record_frame_check(types, frame, len, &h, NULL) == -EX_IMAGE);
        frame[3] = 0x80;
        FUZZ_CHECK(record_frame_check(types, frame, len, &h, NULL) == -EX_IMAGE);
        free(frame);
}

static void with(const struct record_types *types, const uint8_t *data, size_t size)
{
        uint16_t kind = (uint16_t)(data[0] | data[1] << 8), flags = (uint16_t)(data[2] | data[3] << 8);
        uint8_t *payload = fuzz_copy(data + 4, size - 4);
        const struct record_type *type = record_type_find(types, kind);
        struct record r = {};
        struct err err = {};
        struct strbuf text = {};
        int res = record_unpack(types, kind, flags, 7, payload, size - 4, &r, &err);

        FUZZ_CHECK(res == 0 || res == -EX_IMAGE || (res == 1 && (flags & RECORD_OPTIONAL) && (!type || !type->msg)));
        FUZZ_CHECK(res >= 0 ? !err.code : err.code == EX_IMAGE && err.why[0]);
        if (res >= 0)
                FUZZ_CHECK(!(flags & ~RECORD_OPTIONAL) && size - 4 <= RECORD_MAX);
        if (res == 0) {
                FUZZ_CHECK(r.msg && r.kind == kind && r.flags == flags && r.id == 7);
                check_known(r.msg);
                check_frame(types, &r, payload, size - 4);
                record_json(&text, types, &r);
                FUZZ_CHECK(text.s && text.s[0] == '{' && text.s[text.len - 1] == '}' && strlen(text.s) == text.len);
                strbuf_done(&text);
        } else {
                FUZZ_CHECK(!r.msg);
        }
        record_done(&r);
        free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 4)
                return 0;
        with(image_record_types(), data, size);
        with(session_record_types(), data, size);
        return 0;
}
