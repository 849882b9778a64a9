/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a row of records (records.h): each left out, doubled, under another's id or none; each message through its descriptor.
 * In a long row, which is that of a whole tree, only what the planners read is taken apart: single records have files of their own.
 */
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/session.h"
#include "checkpoint/types.h"
#include "tests/fuzz/message.h"
#include "tests/fuzz/records.h"

#define LONG_ROW 16u

struct row { struct record_head head[512]; const uint8_t *payload[512]; size_t n; const struct fuzz_sink *to; };
struct place { const struct row *row; size_t at; ProtobufCMessage *msg; };

/* The row with the record at `at` `times` times, as `head` and `payload` say. */
static void put(const struct row *r, size_t at, struct record_head head, const uint8_t *payload, size_t n, unsigned times)
{
        struct fuzz_buf b = {};

        for (size_t i = 0; i < r->n; i++) {
                if (i != at)
                        fuzz_record_add(&b, r->head[i], r->payload[i], r->head[i].len);
                for (unsigned k = 0; i == at && k < times; k++)
                        fuzz_record_add(&b, head, payload, n);
        }
        r->to->put(r->to->ctx, b.p, b.n);
        free(b.p);
}

static void changed(void *ctx)
{
        const struct place *x = ctx;
        size_t n;
        uint8_t *p = fuzz_pack(x->msg, &n);

        if (n <= RECORD_MAX)
                put(x->row, x->at, x->row->head[x->at], p, n, 1);
        free(p);
}

static void ids(const struct row *r, size_t at)
{
        struct record_head h = r->head[at];
        uint64_t last = 0;

        for (size_t i = at % (r->n / 8 + 1); i < r->n; i += r->n / 8 + 1) {
                if (r->head[i].id == last || i == at)
                        continue;
                last = h.id = r->head[i].id;
                put(r, at, h, r->payload[at], h.len, 1);
        }
        static const uint64_t odd[] = {0, 1, UINT64_C(0x100000001), OBJECT_CONSOLE, UINT64_MAX};
        for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
                h.id = odd[i];
                put(r, at, h, r->payload[at], h.len, 1);
        }
        /* one more of it, of an object that nobody has */
        struct fuzz_buf b = {};
        for (size_t i = 0; i < r->n; i++) {
                fuzz_record_add(&b, r->head[i], r->payload[i], r->head[i].len);
                h = r->head[i];
                h.id = 4711;
                if (i == at)
                        fuzz_record_add(&b, h, r->payload[i], h.len);
        }
        r->to->put(r->to->ctx, b.p, b.n);
        free(b.p);
}

static bool for_planners(uint16_t kind)
{
        return kind == RECORD_TREE || kind == RECORD_MOUNTS || kind == KIND_CG_DIR || kind == KIND_NS_USER || kind == KIND_TASK_FILES;
}

static void one(const struct row *r, size_t at, bool whole, size_t most)
{
        const struct record_head *h = &r->head[at];
        struct record rec = {};
        bool again = at && r->head[at - 1].kind == h->kind && at > 1 && r->head[at - 2].kind == h->kind;

        if (again && whole) /* two of a kind in a long row are enough */
                return;
        put(r, at, *h, r->payload[at], h->len, 0);
        put(r, at, *h, r->payload[at], h->len, 2);
        if (whole || r->n > 1)
                ids(r, at);
        for (unsigned flags = 1; flags <= 2; flags++) {
                struct record_head other = *h;
                other.flags = (uint16_t)flags;
                put(r, at, other, r->payload[at], h->len, 1);
        }
        if (whole && !for_planners(h->kind))
                return;
        if (record_unpack(session_record_types(), h->kind, h->flags, h->id, r->payload[at], h->len, &rec, NULL) != 0)
                return;
        struct place x = {r, at, rec.msg};
        fuzz_message(rec.msg, most, changed, &x);
        record_done(&rec);
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        struct row *r = calloc(1, sizeof(*r));
        size_t at = 0;

        FUZZ_CHECK(r);
        r->to = to;
        while (r->n < 512 && fuzz_record_next(seed, n, &at, &r->head[r->n], &r->payload[r->n]))
                r->n++;
        /* what a fuzzer has cut has its whole ones taken apart */
        bool whole = r->n > LONG_ROW;
        for (size_t i = 0; i < r->n; i++)
                one(r, i, whole, whole ? 1 : most > 1000 ? 3 : 2);
        free(r);
}
