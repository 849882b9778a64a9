/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a corpus of netlink messages (fuzz.h): of each message every attribute left out, doubled, of every other type, of every
 * other length, nested ones too, with its frame put right or wrong; every byte of its head at its limits; the message cut at every
 * length. A variant is one message.
 */
#include <linux/netlink.h>

#include "tests/fuzz/fuzz.h"

#define HEAD sizeof(struct nlmsghdr)
#define ATTR sizeof(struct nlattr)

static size_t aligned(size_t n)
{
        return (n + 3) & ~(size_t)3;
}

/* The bytes behind the message's head that are no attributes, as linux/rtnetlink.h and its like have them: the length at which what
 * follows is a row of attributes to the end. */
static size_t fixed_part(const uint8_t *p, size_t n)
{
        for (size_t fixed = 0; fixed <= 64 && HEAD + fixed <= n; fixed += 4) {
                size_t at = HEAD + fixed;
                struct nlattr a;
                while (at + ATTR <= n) {
                        memcpy(&a, p + at, ATTR);
                        if (a.nla_len < ATTR || a.nla_len > n - at || (a.nla_type & NLA_TYPE_MASK) > 64)
                                break;
                        at += aligned(a.nla_len);
                }
                if (at >= n && fixed >= 4)
                        return fixed;
        }
        return n - HEAD;
}

static void put(struct fuzz_buf *b, const struct fuzz_sink *to, size_t length)
{
        uint32_t n = (uint32_t)length;

        if (b->n >= sizeof(n))
                memcpy(b->p, &n, sizeof(n));
        to->put(to->ctx, b->p, b->n);
}

struct attr { const uint8_t *msg; size_t n, at, outer; const struct fuzz_sink *to; };   /* outer: of the nest that it is in; 0: none */

/* fill: OWN, TEXT (one that ends), or a byte. */
enum { OWN = -1, TEXT = -2 };

static void payload(struct fuzz_buf *b, const struct attr *x, size_t len, size_t have, int fill)
{
        size_t own = fill == OWN ? (len < have ? len : have) : 0;

        fuzz_add(b, x->msg + x->at + ATTR, own);
        fuzz_fill(b, fill == OWN || fill == TEXT ? 'x' : (uint8_t)fill, len - own);
        if (fill == TEXT && len)
                b->p[b->n - 1] = '\0';
}

/* The message without it, and it at the end, where nothing pads it. */
static void moved(const struct attr *x, unsigned type, size_t len, int fill)
{
        struct nlattr a, now = {.nla_len = (uint16_t)(ATTR + len), .nla_type = (uint16_t)type};
        struct fuzz_buf b = {};

        memcpy(&a, x->msg + x->at, ATTR);
        size_t end = x->at + aligned(a.nla_len);
        fuzz_add(&b, x->msg, x->at);
        if (end < x->n)
                fuzz_add(&b, x->msg + end, x->n - end);
        fuzz_fill(&b, 0, aligned(b.n) - b.n);
        fuzz_add(&b, &now, ATTR);
        payload(&b, x, len, a.nla_len - ATTR, fill);
        put(&b, x->to, b.n);
        free(b.p);
}

/* The message with `len` bytes of payload, of `type`, `times` times in the place of the attribute; lengths around it are right. */
static void rebuilt(const struct attr *x, unsigned type, size_t len, int fill, unsigned times)
{
        struct nlattr a, outer;
        struct fuzz_buf b = {};

        memcpy(&a, x->msg + x->at, ATTR);
        size_t old = aligned(a.nla_len), have = a.nla_len - ATTR;
        fuzz_add(&b, x->msg, x->at);
        for (unsigned k = 0; k < times; k++) {
                struct nlattr now = {.nla_len = (uint16_t)(ATTR + len), .nla_type = (uint16_t)type};
                fuzz_add(&b, &now, ATTR);
                payload(&b, x, len, have, fill);
                fuzz_fill(&b, 0, aligned(ATTR + len) - (ATTR + len));
        }
        size_t grown = b.n - x->at;
        if (!x->outer && times == 1) { /* the last one, and it is not padded */
                size_t whole = b.n;
                put(&b, x->to, b.n);
                b.n = x->at + ATTR + len;
                put(&b, x->to, b.n);
                b.n = whole;
                memcpy(b.p, x->msg, sizeof(uint32_t));
        }
        if (x->at + old < x->n)
                fuzz_add(&b, x->msg + x->at + old, x->n - x->at - old);
        if (x->outer) {
                memcpy(&outer, b.p + x->outer, ATTR);
                outer.nla_len = (uint16_t)(outer.nla_len + grown - old);
                memcpy(b.p + x->outer, &outer, ATTR);
        }
        put(&b, x->to, b.n);
        if (b.n > x->at + ATTR && len % 4) { /* nothing pads the last one */
                b.n -= 4 - len % 4;
                put(&b, x->to, b.n);
        }
        free(b.p);
}

static void one_attr(const struct attr *x)
{
        static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 18, 19, 20, 24, 31, 32, 33, 64, 255, 1024};
        static const int fills[] = {OWN, TEXT, 0, 0xff, 'A'};
        struct nlattr a;

        memcpy(&a, x->msg + x->at, ATTR);
        rebuilt(x, a.nla_type, a.nla_len - ATTR, OWN, 0);
        rebuilt(x, a.nla_type, a.nla_len - ATTR, OWN, 2);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
                for (size_t k = 0; k < sizeof(fills) / sizeof(fills[0]); k++) {
                        rebuilt(x, a.nla_type, lengths[i], fills[k], 1);
                        if (!x->outer)
                                moved(x, a.nla_type, lengths[i], fills[k]);
                }
        for (unsigned type = 0; type < 40; type++) {
                rebuilt(x, type, a.nla_len - ATTR, OWN, 1);
                rebuilt(x, type, 0, OWN, 1);
                rebuilt(x, type, 4, 0xff, 1);
        }
        rebuilt(x, 0x7fff, a.nla_len - ATTR, OWN, 1);
        rebuilt(x, a.nla_type | NLA_F_NESTED, a.nla_len - ATTR, OWN, 1);
        /* a length that lies, with the message as long as it was, and shorter by as much */
        for (int d = -4; d <= 4; d++) {
                struct fuzz_buf b = {};
                uint16_t len = (uint16_t)(a.nla_len + d);
                fuzz_add(&b, x->msg, x->n);
                memcpy(b.p + x->at, &len, sizeof(len));
                put(&b, x->to, b.n);
                if (d < 0) {
                        b.n = x->n - (size_t)-d;
                        put(&b, x->to, b.n);
                }
                free(b.p);
        }
}

static void attrs(const uint8_t *p, size_t n, size_t from, size_t to_at, size_t outer, const struct fuzz_sink *to)
{
        for (size_t at = from; at + ATTR <= to_at;) {
                struct attr x = {p, n, at, outer, to};
                struct nlattr a;
                memcpy(&a, p + at, ATTR);
                if (a.nla_len < ATTR || a.nla_len > to_at - at)
                        break;
                one_attr(&x);
                if (!outer && a.nla_len >= 2 * ATTR && ((a.nla_type & NLA_F_NESTED) || a.nla_len > 24 || (a.nla_type & NLA_TYPE_MASK) == 8))
                        attrs(p, n, at + ATTR, at + a.nla_len, at, to);
                at += aligned(a.nla_len);
        }
}

static void head(const uint8_t *p, size_t n, size_t fixed, const struct fuzz_sink *to)
{
        static const uint8_t values[] = {0, 1, 2, 3, 4, 7, 10, 16, 32, 33, 64, 127, 128, 129, 254, 255};
        struct fuzz_buf b = {};

        fuzz_add(&b, p, n);
        for (size_t at = 4; at < HEAD + fixed && at < n; at++) {
                uint8_t old = b.p[at];
                for (size_t i = 0; i < sizeof(values); i++) {
                        b.p[at] = values[i];
                        put(&b, to, n);
                }
                b.p[at] = old;
        }
        for (size_t len = n; len >= HEAD; len--) { /* cut, and saying so; and whole, with less of it told */
                b.n = len;
                put(&b, to, len);
                b.n = n;
                put(&b, to, len);
        }
        free(b.p);
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        for (size_t at = 0; at + HEAD <= n;) {
                uint32_t len;
                memcpy(&len, seed + at, sizeof(len));
                if (len < HEAD || len > n - at)
                        break;
                uint8_t *p = fuzz_copy(seed + at, len);
                size_t fixed = fixed_part(p, len);
                to->put(to->ctx, p, len);
                head(p, len, fixed, to);
                attrs(p, len, HEAD + fixed, len, 0, to);
                free(p);
                at += aligned(len);
        }
        fuzz_bytes(seed, n, most / 4 + 1, to);
}
