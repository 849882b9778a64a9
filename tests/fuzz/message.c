/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of protobuf messages (message.h).
 *
 * protobuf-c's structures are walked by the offsets of their descriptors, as proto/walk.c does for reading. What is put into a
 * field lives here until it is taken out again, so that freeing the message afterwards frees what it had. What packs is
 * protobuf-c itself: ids, lengths and order are right, and only what the fields say is not.
 */
#include "tests/fuzz/message.h"

#include "proto/walk.h"

struct walk { size_t most; void (*each)(void *ctx); void *ctx; };

uint8_t *fuzz_pack(const ProtobufCMessage *m, size_t *ret_n)
{
        *ret_n = protobuf_c_message_get_packed_size(m);
        uint8_t *p = malloc(*ret_n + 1);

        if (!p)
                abort();
        protobuf_c_message_pack(m, p);
        return p;
}

static void message(const struct walk *w, ProtobufCMessage *m);

/* ---- one value ---- */

static void number(const struct walk *w, char *at, size_t size, ProtobufCType type)
{
        static const uint64_t values[] = {
                0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 20, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 511, 512, 0777, 01000, 07777, 010000, 0100644, 0140755, 020666, 060600,
                1000, 1001, 4095, 4096, 4097, 8192, 32767, 32768, 65535, 65536, 65537, 262144, 1048575, 1048576, 1048577, 4194303, 4194304, 4194305, 67108864,
                268435456, 268435457, 999999999, 1000000000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000, 0x7ffffffff000, 0x7fffffffffff,
                0x800000000000, 0x7ffffffffffff000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000, 0xfffffffffffffffe, 0xffffffffffffffff,
        };
        uint64_t old = 0, v;

        memcpy(&old, at, size);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) + 8; i += w->most > 1 ? 1 : 3) {
                size_t k = i - sizeof(values) / sizeof(values[0]);
                v = i < sizeof(values) / sizeof(values[0]) ? values[i] : k < 4 ? old + (k < 2 ? 1 : 4096) * (k % 2 ? UINT64_MAX : 1) : old ^ UINT64_C(1) << (k - 4) * 9;
                if (type == PROTOBUF_C_TYPE_BOOL)
                        v = !old;
                if (size == 4)
                        v &= UINT32_MAX;
                if (v == old)
                        continue;
                memcpy(at, &v, size);
                w->each(w->ctx);
                if (type == PROTOBUF_C_TYPE_BOOL)
                        break;
        }
        memcpy(at, &old, size);
}

static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17, 23, 24, 28, 31, 32, 63, 64, 65, 72, 79, 80, 107, 108, 109, 127, 128, 129,
                                 255, 256, 511, 512, 513, 1024, 1025, 4094, 4095, 4096, 4097, 8192, 65535, 65536, 65537};

static void string(const struct walk *w, char *at)
{
        static char *const texts[] = {(char *)(uintptr_t)"", (char *)(uintptr_t)"/", (char *)(uintptr_t)"..", (char *)(uintptr_t)"ro", (char *)(uintptr_t)"=", (char *)(uintptr_t)"source=",
                                      (char *)(uintptr_t)"a,b", (char *)(uintptr_t)"%s%n", (char *)(uintptr_t)"size=1", (char *)(uintptr_t)"bind:", (char *)(uintptr_t)"\xff"};
        char *old;

        memcpy(&old, at, sizeof(void *));
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                memcpy(at, &texts[i], sizeof(void *));
                w->each(w->ctx);
        }
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                size_t n = old ? strlen(old) : 0;
                char *s = fuzz_string("", 0), *grown = realloc(s, lengths[i] + 1);
                FUZZ_CHECK(grown);
                for (size_t k = 0; k < lengths[i]; k++)
                        grown[k] = k < n ? old[k] : '7';
                grown[lengths[i]] = '\0';
                memcpy(at, &grown, sizeof(void *));
                w->each(w->ctx);
                free(grown);
        }
        memcpy(at, &old, sizeof(void *));
}

static void bytes(const struct walk *w, char *at)
{
        static const char *const texts[] = {"/", "/..", "/../x", "/x/../y", "/x/..", "//", "x", ".", "..", "a/b", "/a//b", "user.x", "cgroup.procs", "1", "max", "-"};
        static const int fills[] = {-1, 0, 0xff, 'x'};
        ProtobufCBinaryData old, now;

        memcpy(&old, at, sizeof(old));
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                now = (ProtobufCBinaryData){strlen(texts[i]), (uint8_t *)(uintptr_t)texts[i]};
                memcpy(at, &now, sizeof(now));
                w->each(w->ctx);
        }
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]) + 3; i++) {
                size_t k = i - sizeof(lengths) / sizeof(lengths[0]);
                size_t n = i < sizeof(lengths) / sizeof(lengths[0]) ? lengths[i] : k == 0 ? old.len + 1 : k == 1 ? old.len - 1 : old.len;
                if (n == SIZE_MAX)
                        continue;
                for (size_t f = 0; f < (n > 64 ? 1 : sizeof(fills) / sizeof(fills[0])); f++) {
                        uint8_t *p = fuzz_array(n, 1);
                        for (size_t j = 0; j < n; j++)
                                p[j] = fills[f] >= 0 ? (uint8_t)fills[f] : j < old.len ? old.data[j] : 'y';
                        now = (ProtobufCBinaryData){n, p};
                        memcpy(at, &now, sizeof(now));
                        w->each(w->ctx);
                        free(p);
                }
        }
        for (size_t j = 0; j < old.len; j += old.len / 32 + 1) { /* a NUL, a slash, another byte */
                static const uint8_t odd[] = {0, '/', '\n', ' ', 0xff};
                for (size_t k = 0; k < sizeof(odd); k++) {
                        uint8_t *p = fuzz_copy(old.data, old.len);
                        p[j] = odd[k];
                        now = (ProtobufCBinaryData){old.len, p};
                        memcpy(at, &now, sizeof(now));
                        w->each(w->ctx);
                        free(p);
                }
        }
        memcpy(at, &old, sizeof(old));
}

static void value(const struct walk *w, char *at, const ProtobufCFieldDescriptor *f, size_t size)
{
        ProtobufCMessage *sub;

        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
                string(w, at);
                break;
        case PROTOBUF_C_TYPE_BYTES:
                bytes(w, at);
                break;
        case PROTOBUF_C_TYPE_MESSAGE:
                memcpy(&sub, at, sizeof(sub));
                message(w, sub);
                break;
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_BOOL:
        case PROTOBUF_C_TYPE_ENUM:
        default:
                number(w, at, size, f->type);
                break;
        }
}

/* ---- presence and number ---- */

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
        /* the size of an element, whether there is one or not */
        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
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

/* An element that has nothing but what is required; caller frees *ret_owned. */
static void empty(const ProtobufCFieldDescriptor *f, char *at, void **ret_owned)
{
        static uint8_t nothing[1];
        const ProtobufCMessageDescriptor *d = f->descriptor;
        ProtobufCBinaryData none = {0, nothing};
        char *text = (char *)(uintptr_t)"";

        *ret_owned = NULL;
        memset(at, 0, size_of(f));
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                *ret_owned = fuzz_array(1, d->sizeof_message);
                d->message_init(*ret_owned);
                for (unsigned i = 0; i < d->n_fields; i++) { /* required texts and messages may not be missing when it is packed */
                        const ProtobufCFieldDescriptor *g = &d->fields[i];
                        if (g->label == PROTOBUF_C_LABEL_REQUIRED && g->type == PROTOBUF_C_TYPE_STRING)
                                memcpy((char *)*ret_owned + g->offset, &text, sizeof(text));
                }
                memcpy(at, ret_owned, sizeof(void *));
        } else if (f->type == PROTOBUF_C_TYPE_STRING) {
                memcpy(at, &text, sizeof(text));
        } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
                memcpy(at, &none, sizeof(none));
        }
}

static void optional(const struct walk *w, char *base, const ProtobufCFieldDescriptor *f)
{
        bool pointer = f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING;
        char *at = base + f->offset, old[sizeof(ProtobufCBinaryData)];
        size_t size = size_of(f);
        protobuf_c_boolean has = 0, flipped;
        void *owned = NULL, *gone = NULL;

        memcpy(old, at, size);
        if (pointer)
                has = walk_pointer(at) != NULL && walk_pointer(at) != f->default_value;
        else
                memcpy(&has, base + f->quantifier_offset, sizeof(has));
        flipped = !has;
        if (has) {
                if (pointer)
                        memcpy(at, &gone, sizeof(gone));
        } else {
                empty(f, at, &owned);
        }
        if (!pointer)
                memcpy(base + f->quantifier_offset, &flipped, sizeof(flipped));
        w->each(w->ctx);
        if (!has)
                value(w, at, f, size);
        memcpy(at, old, size);
        if (!pointer)
                memcpy(base + f->quantifier_offset, &has, sizeof(has));
        free(owned);
        if (has)
                value(w, at, f, size);
}

static void repeated(const struct walk *w, char *base, const ProtobufCFieldDescriptor *f)
{
        static const size_t counts[] = {0, 1, 2, 3, 4, 5, 16, 17, 32, 33, 48, 49, 64, 65, 256, 257, 1024, 1025, 4096, 4097, 8193, 20000};
        size_t size = size_of(f), n, again;
        char *old, one[sizeof(ProtobufCBinaryData)];
        void *owned = NULL;

        memcpy(&n, base + f->quantifier_offset, sizeof(n));
        memcpy(&old, base + f->offset, sizeof(old));
        empty(f, one, &owned);
        for (size_t i = 0; i <= sizeof(counts) / sizeof(counts[0]); i++) {
                again = i < sizeof(counts) / sizeof(counts[0]) ? counts[i] : n + 1;
                if (again == n)
                        continue;
                char *now = fuzz_array(again, size);
                for (size_t k = 0; k < again; k++)
                        memcpy(now + k * size, n ? old + (k % n) * size : one, size);
                memcpy(base + f->offset, &now, sizeof(now));
                memcpy(base + f->quantifier_offset, &again, sizeof(again));
                w->each(w->ctx);
                free(now);
        }
        if (n >= 2) { /* without the first, and the first two in the other order */
                char *now = fuzz_copy(old, n * size);
                memcpy(now, old + size, size);
                memcpy(now + size, old, size);
                memcpy(base + f->offset, &now, sizeof(now));
                memcpy(base + f->quantifier_offset, &n, sizeof(n));
                w->each(w->ctx);
                memmove(now, old + size, (n - 1) * size);
                again = n - 1;
                memcpy(base + f->quantifier_offset, &again, sizeof(again));
                w->each(w->ctx);
                free(now);
        }
        if (!n) { /* one that is as empty as it can be, and all that it could say */
                char *now = fuzz_copy(one, size);
                again = 1;
                memcpy(base + f->offset, &now, sizeof(now));
                memcpy(base + f->quantifier_offset, &again, sizeof(again));
                value(w, now, f, size);
                free(now);
        }
        memcpy(base + f->offset, &old, sizeof(old));
        memcpy(base + f->quantifier_offset, &n, sizeof(n));
        free(owned);
        for (size_t i = 0; i < n; i++)
                if (i < w->most - 1 || i == n - 1)
                        value(w, old + i * size, f, size);
}

static void message(const struct walk *w, ProtobufCMessage *m)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                if (f->label == PROTOBUF_C_LABEL_REPEATED)
                        repeated(w, (char *)m, f);
                else if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
                        optional(w, (char *)m, f);
                else
                        value(w, (char *)m + f->offset, f, size_of(f));
        }
}

void fuzz_message(ProtobufCMessage *m, size_t most, void (*each)(void *ctx), void *ctx)
{
        const struct walk w = {most, each, ctx};

        message(&w, m);
}
