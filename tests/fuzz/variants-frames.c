/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a stream of the wire between two nodes (wire.c, peer.c): a byte, then frames. Each frame left out, doubled, moved, of
 * another type, with each field of its head at its limits, its checksum right and wrong; each message through its descriptor, bulk
 * heads field by field. Sequence numbers are put right or left as they are.
 */
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "proto/record.h"
#include "tests/fuzz/message.h"

#define FRAMES 32

struct frame { uint32_t len, seq; uint16_t type, zero; const uint8_t *body; };
struct stream { struct frame f[FRAMES]; size_t n; uint8_t first; const struct fuzz_sink *to; };

static void le(struct fuzz_buf *b, uint64_t v, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                uint8_t c = (uint8_t)(v >> 8 * i);
                fuzz_add(b, &c, 1);
        }
}

static uint64_t get(const uint8_t *p, unsigned n)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < n; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}

/* told: the length that its head says. */
static void add(struct fuzz_buf *b, const struct frame *f, uint32_t told, bool crc_right)
{
        size_t at = b->n;

        le(b, told, 4);
        le(b, f->type, 2);
        le(b, f->zero, 2);
        le(b, f->seq, 4);
        fuzz_add(b, f->body, f->len);
        le(b, crc32c(0, b->p + at, b->n - at) + !crc_right, 4);
}

/* The stream with `with` in the place of frame `at`, `times` times. */
static void put(const struct stream *s, size_t at, const struct frame *with, unsigned times, bool renumber)
{
        struct fuzz_buf b = {};
        uint32_t seq = 0;

        fuzz_add(&b, &s->first, 1);
        for (size_t i = 0; i < s->n; i++)
                for (unsigned k = 0; k < (i == at ? times : 1); k++) {
                        struct frame f = i == at ? *with : s->f[i];
                        if (renumber && f.type != WIRE_MSG_BEAT)
                                f.seq = ++seq;
                        add(&b, &f, f.len, true);
                }
        s->to->put(s->to->ctx, b.p, b.n);
        free(b.p);
}

static void told(const struct stream *s, size_t at, uint32_t length, bool crc_right)
{
        struct fuzz_buf b = {};

        fuzz_add(&b, &s->first, 1);
        for (size_t i = 0; i < s->n; i++)
                add(&b, &s->f[i], i == at ? length : s->f[i].len, i == at ? crc_right : true);
        s->to->put(s->to->ctx, b.p, b.n);
        free(b.p);
}

static const ProtobufCMessageDescriptor *type_of(uint16_t type)
{
        static const ProtobufCMessageDescriptor *const types[] = {
                &gantry__wire_hello__descriptor, &gantry__wire_error__descriptor,   &gantry__wire_check__descriptor,     &gantry__wire_findings__descriptor,
                &gantry__wire_begin__descriptor, &gantry__wire_holes__descriptor,   &gantry__wire_round__descriptor,     &gantry__wire_ground__descriptor,
                &gantry__wire_image_end__descriptor, &gantry__wire_ok__descriptor,  &gantry__wire_ready__descriptor,     &gantry__wire_take__descriptor,
                &gantry__wire_running__descriptor,   &gantry__wire_gone__descriptor, &gantry__wire_ask__descriptor,      &gantry__wire_answer__descriptor,
        };

        return type >= MSG_HELLO && type <= MSG_ANSWER ? types[type - MSG_HELLO] : NULL;
}

struct place { const struct stream *s; size_t at; ProtobufCMessage *msg; };

static void changed(void *ctx)
{
        const struct place *x = ctx;
        struct frame f = x->s->f[x->at];
        size_t n;
        uint8_t *p = fuzz_pack(x->msg, &n);

        f.body = p;
        f.len = (uint32_t)n;
        put(x->s, x->at, &f, 1, false);
        free(p);
}

/* What it is, where, and its bytes. */
static void bulk(const struct stream *s, size_t at, const uint64_t *values, size_t n_values)
{
        static const unsigned place[] = {0, 4, 8}, width[] = {4, 4, 8};
        struct frame f = s->f[at];

        if (f.len < WIRE_BULK_HEAD)
                return;
        for (size_t k = 0; k < 3; k++)
                for (size_t i = 0; i < n_values; i++) {
                        uint8_t *p = fuzz_copy(s->f[at].body, f.len);
                        for (unsigned j = 0; j < width[k]; j++)
                                p[place[k] + j] = (uint8_t)(values[i] >> 8 * j);
                        f.body = p;
                        put(s, at, &f, 1, false);
                        free(p);
                }
        static const size_t lengths[] = {0, 1, 2, 511, 512, 2048, 4095, 4096, 4097, 8192, 16384, WIRE_BULK_MAX - 4096, WIRE_BULK_MAX, WIRE_BULK_MAX + 1};
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                struct fuzz_buf b = {};
                fuzz_add(&b, s->f[at].body, WIRE_BULK_HEAD);
                fuzz_fill(&b, 'd', lengths[i]);
                f.body = b.p;
                f.len = (uint32_t)b.n;
                put(s, at, &f, 1, false);
                free(b.p);
        }
        for (uint32_t len = 0; len < WIRE_BULK_HEAD; len++) { /* less than its head, and nothing behind it */
                f = s->f[at];
                f.body = fuzz_copy(s->f[at].body, len);
                f.len = len;
                put(s, at, &f, 1, false);
                free((void *)(uintptr_t)f.body);
        }
}

static void one(const struct stream *s, size_t at)
{
        static const uint64_t values[] = {0, 1, 2, 3, 4, 15, 16, 17, 31, 32, 255, 256, 4095, 4096, 4097, 0x7fff, 0x8000, 0xffff, 0x10000, 1048575, 1048576, 1048577, 1048591, 1048592, 1048593,
                                          2097152, 16773120, 16777216, 0x7fffffff, 0x80000000, 0xfffffff4, 0xffffffff, 0x100000000, 0x7ffffffffff00000, 0x7fffffffffeff000, 0x7ffffffffff01000,
                                          0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff};
        struct frame f = s->f[at];
        const ProtobufCMessageDescriptor *d = type_of(f.type);

        put(s, at, &f, 0, false);
        put(s, at, &f, 0, true);
        put(s, at, &f, 2, false);
        put(s, at, &f, 2, true);
        told(s, at, f.len, false);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                told(s, at, (uint32_t)values[i], true);
                f = s->f[at];
                f.type = (uint16_t)values[i];
                put(s, at, &f, 1, true);
                f = s->f[at];
                f.zero = (uint16_t)values[i];
                put(s, at, &f, 1, true);
                f = s->f[at];
                f.seq = (uint32_t)values[i];
                put(s, at, &f, 1, false);
        }
        for (uint16_t type = 0; type < 40; type++) { /* and as what else it could be, empty and seeming to be numbered */
                f = s->f[at];
                f.type = type;
                put(s, at, &f, 1, true);
                f.seq = 0;
                put(s, at, &f, 1, false);
                f.len = 0;
                put(s, at, &f, 1, false);
                f.seq = s->f[at].seq;
                put(s, at, &f, 1, true);
        }
        for (uint32_t more = 0; more <= WIRE_BULK_HEAD + 1; more += WIRE_BULK_HEAD / 2 - 7) { /* more than a message, and than a frame, may have */
                struct fuzz_buf b = {};
                fuzz_fill(&b, 'x', WIRE_BULK_MAX + more);
                f = s->f[at];
                f.body = b.p;
                f.len = (uint32_t)b.n;
                put(s, at, &f, 1, true);
                free(b.p);
        }
        ProtobufCMessage *m = d ? protobuf_c_message_unpack(d, NULL, s->f[at].len, s->f[at].body) : NULL;
        if (m) {
                struct place x = {s, at, m};
                fuzz_message(m, 3, changed, &x);
                protobuf_c_message_free_unpacked(m, NULL);
        }
        if (s->f[at].type == WIRE_MSG_BULK)
                bulk(s, at, values, sizeof(values) / sizeof(values[0]));
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        struct stream *s = calloc(1, sizeof(*s));
        size_t at = 1;

        FUZZ_CHECK(s);
        if (!n) {
                free(s);
                return;
        }
        s->first = seed[0];
        s->to = to;
        while (s->n < FRAMES && n - at >= WIRE_HEAD + WIRE_CRC) {
                struct frame f = {.len = (uint32_t)get(seed + at, 4), .type = (uint16_t)get(seed + at + 4, 2), .zero = (uint16_t)get(seed + at + 6, 2),
                                  .seq = (uint32_t)get(seed + at + 8, 4), .body = seed + at + WIRE_HEAD};
                if (f.len > n - at - WIRE_HEAD - WIRE_CRC)
                        break;
                s->f[s->n++] = f;
                at += WIRE_HEAD + f.len + WIRE_CRC;
        }
        for (size_t i = 0; i < s->n; i++)
                one(s, i);
        for (unsigned first = 0; first < 256; first += 5) { /* pieces of every size */
                uint8_t *p = fuzz_copy(seed, n);
                p[0] = (uint8_t)first;
                to->put(to->ctx, p, n);
                free(p);
        }
        free(s);
        (void)most;
}
