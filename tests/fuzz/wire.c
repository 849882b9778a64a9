/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the wire's receiving side: the frame parser and the message check that the relay runs on what the other
 * node sends. The first byte chooses the size of the pieces in which the rest arrives; how it is cut must not matter. Each frame that
 * comes out is held against the bytes that went in, and what was broken once stays so.
 */
#include "migrate/msg.h"
#include "migrate/wire.h"
#include "migrate/wire.pb-c.h"
#include "proto/record.h"
#include "tests/fuzz/fuzz.h"

static uint64_t get(const uint8_t *p, unsigned n)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < n; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}

/* The frame at *at is one that may come after number *seq, and it is this one. */
static void check_frame(const struct wire_msg *m, const uint8_t *data, size_t size, size_t *at, uint32_t *seq)
{
        const uint8_t *p = data + *at;

        FUZZ_CHECK(size - *at >= WIRE_HEAD + WIRE_CRC);
        size_t len = (size_t)get(p, 4);
        FUZZ_CHECK(len <= WIRE_PAYLOAD_MAX && size - *at >= WIRE_HEAD + len + WIRE_CRC && len == m->len && memcmp(m->body, p + WIRE_HEAD, len) == 0);
        FUZZ_CHECK(get(p + 4, 2) == m->type && get(p + 6, 2) == 0 && get(p + 8, 4) == m->seq);
        FUZZ_CHECK(get(p + WIRE_HEAD + len, 4) == crc32c(0, p, WIRE_HEAD + len));
        if (m->type == WIRE_MSG_BEAT)
                FUZZ_CHECK(!len && !m->seq);
        else
                FUZZ_CHECK(m->seq == ++*seq && (m->type == WIRE_MSG_BULK || (m->type >= WIRE_MSG_FIRST && len <= WIRE_BULK_MAX)));
        *at += WIRE_HEAD + len + WIRE_CRC;
}

/* What the check of a message lets through; its body in memory of exactly its size. */
static int check_message(const struct wire_msg *m)
{
        struct wire_msg exact = *m;
        struct wire_piece piece;
        struct err err = {};
        uint8_t *body = fuzz_copy(m->body, m->len);

        exact.body = body;
        int r = msg_check(&exact, &err);
        FUZZ_CHECK(r == 0 ? !err.code : r == -EX_PEER && err.code == EX_PEER && err.why[0]);
        if (r == 0 && m->type == WIRE_MSG_BULK) {
                FUZZ_CHECK(m->len >= WIRE_BULK_HEAD && get(body, 4) < WIRE_BULKS && get(body + 4, 4) == 0);
                FUZZ_CHECK(wire_piece(&exact, &piece, NULL) == 0 && piece.what == get(body, 4) && piece.offset == get(body + 8, 8));
                FUZZ_CHECK(piece.data == body + WIRE_BULK_HEAD && piece.len == m->len - WIRE_BULK_HEAD && piece.len <= WIRE_BULK_MAX);
                FUZZ_CHECK(piece.offset <= INT64_MAX && piece.len <= INT64_MAX - piece.offset);
        }
        if (r == 0 && m->type == MSG_ERROR) {
                Gantry__WireError *e = gantry__wire_error__unpack(NULL, m->len, body);
                FUZZ_CHECK(e && !e->has_local);
                gantry__wire_error__free_unpacked(e, NULL);
        }
        free(body);
        return r;
}

/* Frames accepted before the end or the first refusal. */
static unsigned run(const uint8_t *data, size_t size, size_t piece)
{
        static struct wire_parser once; /* its buffer is megabytes */
        struct wire_msg m;
        unsigned n = 0;
        uint32_t seq = 0;
        size_t seen = 0;
        int r = 0;

        FUZZ_CHECK(once.buf || wire_parser_init(&once, NULL) == 0);
        struct wire_parser p = {.buf = once.buf};
        for (size_t at = 0; at < size && r >= 0; at += piece) {
                size_t room, take = size - at < piece ? size - at : piece;
                void *to = wire_parser_room(&p, &room);
                if (room < take)
                        break;
                memcpy(to, data + at, take);
                wire_parser_fed(&p, take);
                while ((r = wire_parser_next(&p, &m, NULL)) == 1) {
                        check_frame(&m, data, size, &seen, &seq);
                        if (check_message(&m) < 0)
                                break;
                        n++;
                }
                if (r == 1)
                        break;
        }
        if (r < 0)
                for (int i = 0; i < 3; i++)
                        FUZZ_CHECK(wire_parser_next(&p, &m, NULL) == -EX_PEER);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        FUZZ_CHECK(run(data + 1, size - 1, 1 + data[0]) == run(data + 1, size - 1, size));
        return 0;
}
