/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tape as text, one call a line; what golden tests compare and people read:
 *
 *      # open /var/log/messages (fd-file 31)
 *      0 openat(-100, "/var/log/messages", 1, 0) keep 31
 *      1 dup3(r0, 17, 0x80000) = 17
 *      2 close(r0) may fail EBADF
 *
 * r0 is the result of entry 0, fd#31 the descriptor of object 31, out[8] a place for eight bytes, o48 the int at data
 * offset 48, hex:… a value of the data area, with the addresses and descriptors that are filled in at play. Numbers
 * are decimal while small. The text depends on the tape alone: no address and no descriptor number of a run is in it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "checkpoint/tape/tape-int.h"

#define HEX_SHOWN 64u

static void print_number(struct strbuf *b, uint64_t v)
{
        int64_t s = (int64_t)v;

        if (s > -4096 && s < 4096)
                strbuf_addf(b, "%" PRId64, s);
        else if ((v & 0xffffffff00000000u) == 0 && (int32_t)v < 0 && (int32_t)v > -4096)
                strbuf_addf(b, "%d", (int32_t)v); /* an int that was not sign-extended: AT_FDCWD */
        else
                strbuf_addf(b, "0x%" PRIx64, v);
}

static void print_plain(struct strbuf *b, struct arg a)
{
        if (a.type == ARG_RET)
                strbuf_addf(b, "r%" PRIu64, a.v);
        else if (a.type == ARG_FD)
                strbuf_addf(b, "fd#%" PRIu64, a.v);
        else if (a.type == ARG_OUT)
                strbuf_addf(b, "o%" PRIu64, a.v);
        else if (a.type == ARG_DATA)
                strbuf_addf(b, "&%" PRIu64, a.v);
        else
                print_number(b, a.v);
}

/* Text is printed as such when it is a whole C string; an empty one is indistinguishable from a zero byte. */
static bool printable(const uint8_t *p, size_t len)
{
        if (len < 2 || p[len - 1] != '\0')
                return false;
        for (size_t i = 0; i + 1 < len; i++)
                if (p[i] < 0x20 || p[i] > 0x7e)
                        return false;
        return true;
}

static void print_relocs(struct strbuf *b, const struct tape *t, const struct tape_chunk *c)
{
        for (size_t i = 0; i < t->n_relocs; i++) {
                const struct tape_reloc *r = &t->relocs[i];
                if (r->off < c->off || r->off >= c->off + c->len)
                        continue;
                strbuf_addf(b, " +%u:", r->off - c->off);
                print_plain(b, r->a);
        }
}

static void print_data(struct strbuf *b, const struct tape *t, uint64_t off)
{
        for (size_t i = 0; i < t->n_chunks; i++) {
                const struct tape_chunk *c = &t->chunks[i];

                if (c->off != off)
                        continue;
                const uint8_t *p = t->data + c->off;
                if (c->out) {
                        strbuf_addf(b, "out[%u]", c->len);
                } else if (printable(p, c->len)) {
                        strbuf_json(b, (const char *)p);
                } else {
                        strbuf_adds(b, "hex:");
                        for (uint32_t k = 0; k < c->len && k < HEX_SHOWN; k++)
                                strbuf_addf(b, "%02x", p[k]);
                        if (c->len > HEX_SHOWN)
                                strbuf_addf(b, "…(%u)", c->len);
                }
                print_relocs(b, t, c);
                return;
        }
        strbuf_addf(b, "&%" PRIu64, off); /* inside of a chunk */
}

static void print_entry(struct strbuf *b, const struct tape *t, size_t i)
{
        const struct tape_entry *e = &t->e[i];
        const char *name = syscall_name(e->nr);

        if (name)
                strbuf_addf(b, "%zu %s(", i, name);
        else
                strbuf_addf(b, "%zu syscall_%ld(", i, e->nr);
        for (unsigned k = 0; k < e->n; k++) {
                strbuf_adds(b, k ? ", " : "");
                if (e->a[k].type == ARG_DATA)
                        print_data(b, t, e->a[k].v);
                else
                        print_plain(b, e->a[k]);
        }
        strbuf_adds(b, ")");
        if (e->expected)
                strbuf_addf(b, " = %" PRId64, e->want);
        if (e->may_fail)
                strbuf_addf(b, " may fail%s%s", e->errno_ok ? " " : "",
                            e->errno_ok ? strerrorname_np(e->errno_ok) : "");
        for (size_t k = 0; k < t->n_keeps; k++) {
                if (t->keeps[k].entry != i)
                        continue;
                strbuf_addf(b, " keep %" PRIu64, t->keeps[k].object);
                if (t->keep_offs[k].out)
                        strbuf_addf(b, " at o%u", t->keep_offs[k].off);
        }
        strbuf_adds(b, "\n");
}

char *tape_print(const struct tape *t)
{
        static const char *const actors[] = { "self", "ns", "task", "thread" };
        _cleanup_strbuf_ struct strbuf b = { 0 };
        uint32_t label = 0;

        strbuf_addf(&b, "tape of %s %" PRIu64 ", %zu calls%s\n", actors[t->who.type], t->who.id, t->n,
                    t->bad ? ", BAD" : "");
        for (size_t i = 0; i < t->n; i++) {
                if (t->e[i].label && t->e[i].label != label)
                        strbuf_addf(&b, "# %s\n", t->labels[t->e[i].label - 1]);
                label = t->e[i].label;
                print_entry(&b, t, i);
        }
        return strbuf_take(&b);
}
