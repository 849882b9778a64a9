/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one printer: any record as a JSON object, by its descriptor alone, so that `ctrctl image show` knows every kind
 * from the day its .proto exists.
 *
 *      {"kind":"fd-pipe","id":17,"optional":false,"message":{…}}
 *
 * Fields stand under their .proto names, absent ones are left out. Numbers, 64-bit ones too, are JSON numbers; bytes
 * are a string of hex digits; an enum value is its name. A string that is not UTF-8 (a file name may be any bytes)
 * is printed as "hex:…", since JSON has no other place for it. Printing is for people and tests: nothing reads it back.
 */
#include "proto/record.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "proto/walk.h"

static void print_hex(struct strbuf *out, const uint8_t *p, size_t n)
{
        static const char digit[] = "0123456789abcdef";

        for (size_t i = 0; i < n; i++) {
                char two[2] = {digit[p[i] >> 4], digit[p[i] & 15]};
                strbuf_add(out, two, sizeof(two));
        }
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
        size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;

        if (n == 1)
                return 1;
        if (s[0] < 0xc2 || s[0] > 0xf4)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
                return 0;
        if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

static void print_string(struct strbuf *out, const char *s)
{
        const unsigned char *p = (const unsigned char *)s;

        while (*p) {
                size_t n = utf8_len(p);
                if (!n) {
                        strbuf_adds(out, "\"hex:");
                        print_hex(out, (const uint8_t *)s, strlen(s));
                        strbuf_adds(out, "\"");
                        return;
                }
                p += n;
        }
        strbuf_json(out, s);
}

static void print_double(struct strbuf *out, double v)
{
        if (isfinite(v))
                strbuf_addf(out, "%.17g", v);
        else
                strbuf_adds(out, "null");
}

static void print_enum(struct strbuf *out, const ProtobufCEnumDescriptor *type, int32_t v)
{
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, v);

        if (value)
                strbuf_json(out, value->name);
        else
                strbuf_addf(out, "%" PRId32, v);
}

static void print_message(struct strbuf *out, const ProtobufCMessage *m);

static void print_scalar(struct strbuf *out, const ProtobufCFieldDescriptor *f, const char *at)
{
        float single;
        double real;

        switch (f->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                strbuf_addf(out, "%" PRId32, (int32_t)walk_u32(at));
                break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                strbuf_addf(out, "%" PRIu32, walk_u32(at));
                break;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                strbuf_addf(out, "%" PRId64, (int64_t)walk_u64(at));
                break;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                strbuf_addf(out, "%" PRIu64, walk_u64(at));
                break;
        case PROTOBUF_C_TYPE_FLOAT:
                memcpy(&single, at, sizeof(single));
                print_double(out, (double)single);
                break;
        case PROTOBUF_C_TYPE_DOUBLE:
                memcpy(&real, at, sizeof(real));
                print_double(out, real);
                break;
        case PROTOBUF_C_TYPE_BOOL:
                strbuf_adds(out, walk_u32(at) ? "true" : "false");
                break;
        case PROTOBUF_C_TYPE_ENUM:
                print_enum(out, f->descriptor, (int32_t)walk_u32(at));
                break;
        case PROTOBUF_C_TYPE_STRING:
                print_string(out, walk_pointer(at));
                break;
        case PROTOBUF_C_TYPE_BYTES:
                strbuf_adds(out, "\"");
                print_hex(out, walk_bytes(at).data, walk_bytes(at).len);
                strbuf_adds(out, "\"");
                break;
        case PROTOBUF_C_TYPE_MESSAGE:
        default:
                print_message(out, walk_pointer(at));
                break;
        }
}

static void print_message(struct strbuf *out, const ProtobufCMessage *m)
{
        const char *sep = "";

        strbuf_adds(out, "{");
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                struct walk_elems e = walk_field(m, f);
                bool many = f->label == PROTOBUF_C_LABEL_REPEATED;
                if (!e.n)
                        continue;
                strbuf_adds(out, sep);
                strbuf_json(out, f->name);
                strbuf_adds(out, many ? ":[" : ":");
                for (size_t k = 0; k < e.n; k++) {
                        if (k)
                                strbuf_adds(out, ",");
                        print_scalar(out, f, e.at + k * e.size);
                }
                if (many)
                        strbuf_adds(out, "]");
                sep = ",";
        }
        strbuf_adds(out, "}");
}

void record_json(struct strbuf *out, const struct record_types *types, const struct record *r)
{
        const struct record_type *type = record_type_find(types, r->kind);

        strbuf_adds(out, "{\"kind\":");
        if (type)
                strbuf_json(out, type->stem);
        else
                strbuf_addf(out, "%u", r->kind);
        strbuf_addf(out, ",\"id\":%" PRIu64 ",\"optional\":%s", r->id, r->flags & RECORD_OPTIONAL ? "true" : "false");
        if (r->msg) {
                strbuf_adds(out, ",\"message\":");
                print_message(out, r->msg);
        }
        strbuf_adds(out, "}");
}
