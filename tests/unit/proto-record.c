/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record codec: round trips, golden frames, and everything that record_unpack() must refuse.
 *
 * The golden bytes are those of the first release of the format, made by Google's implementation and a bitwise CRC: a
 * change that breaks them breaks old images.
 */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "proto/alloc.h"
#include "proto/crc32c.h"
#include "proto/end.pb-c.h"
#include "proto/header.pb-c.h"
#include "proto/pages.pb-c.h"
#include "proto/record.h"
#include "proto/walk.h"

static const struct record_type rows[] = {
        {RECORD_HEADER, "header", &gantry__header__descriptor},
        {RECORD_END, "end", &gantry__end__descriptor},
        {RECORD_PAGES, "pages", &gantry__pages__descriptor},
        {40, "refused-thing", NULL},
};
static const struct record_types types = {rows, ELEMENTSOF(rows)};

static int unpack(uint16_t kind, uint16_t flags, const void *p, size_t n, struct err *err)
{
        struct record r = {};
        int res = record_unpack(&types, kind, flags, 7, p, n, &r, err);

        record_done(&r);
        return res;
}

/* Payload → message → frame → checks → message again. */
static void expect_frame(const struct record *r, const uint8_t *want, size_t n)
{
        _cleanup_free_ uint8_t *frame = NULL;
        struct record again = {};
        struct record_head h = {};
        struct err err = {};
        size_t len = 0;

        cr_assert_eq(record_pack(r, &frame, &len, &err), 0, "%s", err.why);
        cr_assert_eq(len, n);
        cr_assert(memcmp(frame, want, n) == 0, "the frame's bytes changed: old images would not load");
        cr_assert_eq(record_frame_check(&types, frame, len, &h, &err), 0);
        cr_assert_eq(h.kind, r->kind);
        cr_assert_eq(h.id, r->id);
        cr_assert_eq(h.len + RECORD_OVERHEAD, len);
        cr_assert_eq(record_unpack(&types, h.kind, h.flags, h.id, frame + RECORD_HEAD, h.len, &again, &err), 0);
        record_done(&again);
        cr_assert_null(again.msg);
}

Test(proto_record, crc32c_check_value)
{
        cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
        cr_assert_eq(crc32c_portable(0, "123456789", 9), 0xe3069283u);
        char text[300];
        for (unsigned i = 0; i < sizeof(text); i++)
                text[i] = (char)(i * 7);
        for (unsigned n = 0; n < sizeof(text); n++)
                cr_assert_eq(crc32c(0, text, n), crc32c_portable(0, text, n));
        cr_assert_eq(crc32c(crc32c(0, text, 100), text + 100, 200), crc32c(0, text, 300));
}

Test(proto_record, golden_header)
{
        static const uint8_t golden[] = {
                0x26, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x0a, 0x05, 0x30, 0x2e, 0x31, 0x2e, 0x30, 0x12, 0x04, 0x36, 0x2e, 0x31,
                0x38, 0x22, 0x03, 0x61, 0x76, 0x78, 0x2a, 0x0c, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35,
                0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x32, 0x04, 0x62, 0x61, 0x73, 0x65, 0x9f, 0x6f,
                0x98, 0x7b,
        };
        Gantry__Header m = GANTRY__HEADER__INIT;
        char cpu[] = "avx", *cpus[] = {cpu}, version[] = "0.1.0", kernel[] = "6.18", uuid[] = "0123456789ab",
             parent[] = "base";
        m.version = version;
        m.kernel = kernel;
        m.cpu = cpus;
        m.n_cpu = 1;
        m.uuid = uuid;
        m.parent = parent;
        expect_frame(&(struct record){RECORD_HEADER, 0, 0, &m.base}, golden, sizeof(golden));
}

Test(proto_record, golden_end)
{
        static const uint8_t golden[] = {
                0x11, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x0a, 0x04, 0x08, 0x01, 0x10, 0x01, 0x10, 0x03, 0x18, 0x80, 0x20, 0x22,
                0x04, 0xde, 0xad, 0xbe, 0xef, 0x98, 0x78, 0xc0, 0x85,
        };
        Gantry__End m = GANTRY__END__INIT;
        Gantry__End__Count one = GANTRY__END__COUNT__INIT, *counts[] = {&one};
        uint8_t sha[4] = {0xde, 0xad, 0xbe, 0xef};
        one.kind = 1;
        one.count = 1;
        m.counts = counts;
        m.n_counts = 1;
        m.runs = 3;
        m.pages_bytes = 4096;
        m.sha256 = (ProtobufCBinaryData){sizeof(sha), sha};
        expect_frame(&(struct record){RECORD_END, 0, 0, &m.base}, golden, sizeof(golden));
}

Test(proto_record, golden_pages)
{
        static const uint8_t golden[] = {
                0x31, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x0a, 0x1a, 0x08, 0x14, 0x10, 0x80, 0xa0, 0x80, 0x80, 0x80, 0xe0, 0x1f,
                0x18, 0x02, 0x20, 0x00, 0x28, 0x80, 0x40, 0x31, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45,
                0x23, 0x01, 0x0a, 0x13, 0x08, 0x15, 0x10, 0x80, 0x20, 0x18, 0x01, 0x20, 0x02, 0x38,
                0x14, 0x40, 0x80, 0xa0, 0x80, 0x80, 0x80, 0xe0, 0x1f, 0xe2, 0x49, 0xa1, 0x8b,
        };
        Gantry__Pages m = GANTRY__PAGES__INIT;
        Gantry__Pages__Run data = GANTRY__PAGES__RUN__INIT, same = GANTRY__PAGES__RUN__INIT,
                           *runs[] = {&data, &same};
        data.mem = 20;
        data.addr = 0x7f0000001000;
        data.pages = 2;
        data.what = GANTRY__PAGES__RUN__WHAT__DATA;
        data.has_offset = data.has_xxh3 = 1;
        data.offset = 8192;
        data.xxh3 = 0x0123456789abcdef;
        same.mem = 21;
        same.addr = 0x1000;
        same.pages = 1;
        same.what = GANTRY__PAGES__RUN__WHAT__SAME;
        same.has_same_mem = same.has_same_addr = 1;
        same.same_mem = 20;
        same.same_addr = 0x7f0000001000;
        m.runs = runs;
        m.n_runs = 2;
        expect_frame(&(struct record){RECORD_PAGES, 0, 5, &m.base}, golden, sizeof(golden));
}

Test(proto_record, unknown_kinds)
{
        struct err err = {};
        struct record r = {.id = 99};

        cr_assert_eq(unpack(500, 0, "", 0, &err), -EX_IMAGE);
        cr_assert(strstr(err.on, "500"));
        cr_assert_eq(record_unpack(&types, 500, RECORD_OPTIONAL, 7, (const uint8_t *)"", 0, &r, NULL), 1);
        cr_assert_eq(r.id, 99, "a skipped record must not be touched");
        cr_assert_eq(unpack(40, 0, "", 0, &err), -EX_IMAGE);
        cr_assert(strstr(err.on, "refused-thing 7"));
        cr_assert_eq(unpack(500, 2, "", 0, NULL), -EX_IMAGE, "an unknown flag changes the meaning");
}

Test(proto_record, hostile_payloads)
{
        static const struct { const char *why, *bytes; size_t n; uint16_t kind; } bad[] = {
                {"a required field is missing", "", 0, RECORD_HEADER},
                {"an unknown field", "\x0a\x01" "a\x12\x01" "b\x98\x06\x01", 9, RECORD_HEADER},
                {"a string with a NUL inside", "\x0a\x02" "a\0\x12\x01" "b", 7, RECORD_HEADER},
                {"a field twice", "\x0a\x01" "a\x0a\x01" "a\x12\x01" "b", 9, RECORD_HEADER},
                {"fields out of order", "\x12\x01" "b\x0a\x01" "a", 6, RECORD_HEADER},
                {"an overlong number", "\x10\x83\x00\x18\x00\x22\x00", 7, RECORD_END},
                {"a length past the end", "\x0a\x7f" "a", 3, RECORD_HEADER},
                {"an enum value without a name", "\x0a\x08\x08\x01\x10\x00\x18\x01\x20\x09", 10, RECORD_PAGES},
                {"an unknown field within", "\x0a\x0a\x08\x01\x10\x00\x18\x01\x20\x00\x78\x01", 12, RECORD_PAGES},
        };
        struct err err = {};

        cr_assert_eq(unpack(RECORD_HEADER, 0, "\x0a\x01" "a\x12\x01" "b", 6, &err), 0);
        cr_assert_eq(unpack(RECORD_END, 0, "\x10\x03\x18\x00\x22\x00", 6, &err), 0);
        cr_assert_eq(unpack(RECORD_PAGES, 0, "\x0a\x08\x08\x01\x10\x00\x18\x01\x20\x01", 10, &err), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                err = (struct err){};
                cr_assert_eq(unpack(bad[i].kind, 0, bad[i].bytes, bad[i].n, &err), -EX_IMAGE, "%s", bad[i].why);
                cr_assert(strstr(err.on, " 7"), "%s: the record is not named", bad[i].why);
        }
        cr_assert_eq(unpack(RECORD_HEADER, 0, bad[0].bytes, RECORD_MAX + 1u, &err), -EX_IMAGE);
}

/* 2 bytes of empty submessage cost 142 in protobuf-c: a payload of the greatest length must meet the budget. */
Test(proto_record, memory_is_bounded)
{
        _cleanup_free_ uint8_t *p = malloc(RECORD_MAX);
        struct budget b;
        struct err err = {};

        cr_assert_not_null(p);
        for (size_t i = 0; i < RECORD_MAX; i += 2) {
                p[i] = 0x0a;
                p[i + 1] = 0;
        }
        cr_assert_eq(unpack(RECORD_PAGES, 0, p, RECORD_MAX, &err), -EX_IMAGE);
        budget_init(&b, 10);
        ProtobufCAllocator a = budget_allocator(&b);
        cr_assert_null(a.alloc(a.allocator_data, 10 * BUDGET_FACTOR + BUDGET_BASE));
        cr_assert(b.spent);
        void *ok = a.alloc(a.allocator_data, 1000);
        cr_assert_not_null(ok);
        a.free(a.allocator_data, ok);
        cr_assert_lt(b.left, 10 * BUDGET_FACTOR + BUDGET_BASE - 1000);
}

Test(proto_record, packing_refuses_what_unpacking_would)
{
        Gantry__Pages m = GANTRY__PAGES__INIT;
        Gantry__Pages__Run run = GANTRY__PAGES__RUN__INIT, *runs[] = {&run};
        Gantry__Header h = GANTRY__HEADER__INIT;
        _cleanup_free_ uint8_t *frame = NULL;
        size_t len = 0;

        run.what = (Gantry__Pages__Run__What)9;
        m.runs = runs;
        m.n_runs = 1;
        cr_assert_eq(record_pack(&(struct record){RECORD_PAGES, 0, 0, &m.base}, &frame, &len, NULL), -EX_FAIL);
        cr_assert_eq(record_pack(&(struct record){RECORD_HEADER, 0, 0, &h.base}, &frame, &len, NULL), -EX_FAIL);
        Gantry__End e = GANTRY__END__INIT;
        _cleanup_free_ uint8_t *big = calloc(1, RECORD_MAX);
        e.sha256 = (ProtobufCBinaryData){RECORD_MAX, big};
        cr_assert_eq(record_pack(&(struct record){RECORD_END, 0, 0, &e.base}, &frame, &len, NULL), -EX_FAIL);
        cr_assert_null(frame);
}

Test(proto_record, frames_are_checked_bit_by_bit)
{
        Gantry__Pages m = GANTRY__PAGES__INIT;
        _cleanup_free_ uint8_t *frame = NULL;
        struct record_head h = {};
        size_t len = 0;

        cr_assert_eq(record_pack(&(struct record){RECORD_PAGES, RECORD_OPTIONAL, 5, &m.base}, &frame, &len, NULL), 0);
        cr_assert_eq(record_frame_check(&types, frame, len, &h, NULL), 0);
        for (size_t bit = 0; bit < len * 8; bit++) {
                frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
                cr_assert_eq(record_frame_check(&types, frame, len, &h, NULL), -EX_IMAGE, "bit %zu", bit);
                frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t n = 0; n < len; n++)
                cr_assert_eq(record_frame_check(&types, frame, n, &h, NULL), -EX_IMAGE, "cut at %zu", n);
}

Test(proto_record, tables_are_checked)
{
        static const struct record_type twice[] = {{5, "a", NULL}, {5, "b", NULL}};

        cr_assert_eq(record_types_check(&types, NULL), 0);
        cr_assert_eq(record_types_check(&(struct record_types){twice, 2}, NULL), -EX_FAIL);
        cr_assert_eq(record_type_find(&types, RECORD_PAGES)->kind, RECORD_PAGES);
        cr_assert_null(record_type_find(&types, 39));
}

/* A message that holds itself, as a careless .proto would make it: built by hand, no such .proto exists here. */
Test(proto_record, recursive_messages_are_refused)
{
        ProtobufCMessageDescriptor self = {.short_name = "Self", .n_fields = 1};
        ProtobufCFieldDescriptor field = {.name = "self", .type = PROTOBUF_C_TYPE_MESSAGE, .descriptor = &self};
        struct record_type row = {16, "self", &self};

        self.fields = &field;
        cr_assert_not(walk_bounded(&self));
        cr_assert_eq(record_types_check(&(struct record_types){&row, 1}, NULL), -EX_FAIL);
}
