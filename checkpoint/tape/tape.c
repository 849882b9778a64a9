/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tapes: building them, and what all executors need to know of one.
 *
 * A tape is made before it is played and is played as a whole, so building never reports: a bad use or a failed
 * allocation marks the tape, and play refuses it. That keeps the kinds, which only build, free of error paths.
 *
 * A result is judged the same way by all executors (tape_entry_ok): a value of -4095…-1 is a failure, as in the
 * kernel's own ABI. The agent in the target makes the same judgement with the same fields (agent.S).
 *
 * Not here: how a tape is run (exec_*.c), how it is printed (tape-print.c).
 */
#include "checkpoint/tape/tape.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/tape/tape-int.h"

/* Makes room for one more element; false marks the tape. */
static bool grow(struct tape *t, void **array, size_t n, size_t *cap, size_t size)
{
        if (n < *cap)
                return true;
        size_t want = *cap ? *cap * 2 : 16;
        void *p = realloc(*array, want * size);
        if (!p) {
                t->bad = true;
                return false;
        }
        *array = p;
        *cap = want;
        return true;
}

/* A pointer to a typed array handed to grow(): the alias rules want the detour through void. */
#define GROW(t, array, n, cap)                                                                               \
        ({                                                                                                   \
                void *_p = (array);                                                                          \
                bool _ok = grow((t), &_p, (n), &(cap), sizeof(*(array)));                                    \
                (array) = _p;                                                                                \
                _ok;                                                                                         \
        })

struct tape *tape_new(struct actor who)
{
        struct tape *t = calloc(1, sizeof(*t));

        if (t)
                t->who = who;
        return t;
}

void tape_free(struct tape *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->n_labels; i++)
                free(t->labels[i]);
        free(t->labels);
        free(t->e);
        free(t->data);
        free(t->relocs);
        free(t->chunks);
        free(t->needs);
        free(t->need_fds);
        free(t->keeps);
        free(t->keep_offs);
        free(t);
}

struct actor tape_actor(const struct tape *t)
{
        return t->who;
}

uint32_t tape_data(struct tape *t, const void *src, size_t len)
{
        size_t padded = (len + 15) & ~(size_t)15;

        if (!padded)
                padded = 16; /* an address of its own, also for an empty value */
        if (t->bad || len > TAPE_DATA_MAX || t->data_len + padded > TAPE_DATA_MAX ||
            !GROW(t, t->chunks, t->n_chunks, t->cap_chunks)) {
                t->bad = true;
                return 0;
        }
        if (t->data_len + padded > t->data_cap) {
                size_t cap = t->data_cap ? t->data_cap : 1024;
                while (cap < t->data_len + padded)
                        cap *= 2;
                uint8_t *p = realloc(t->data, cap);
                if (!p) {
                        t->bad = true;
                        return 0;
                }
                t->data = p;
                t->data_cap = cap;
        }
        uint32_t off = (uint32_t)t->data_len;
        memset(t->data + off, 0, padded);
        if (src && len)
                memcpy(t->data + off, src, len);
        t->chunks[t->n_chunks++] = (struct tape_chunk){ off, (uint32_t)len, !src };
        t->data_len += padded;
        return off;
}

uint32_t tape_str(struct tape *t, const char *s)
{
        return tape_data(t, s, strlen(s) + 1);
}

static void need(struct tape *t, uint64_t object)
{
        for (size_t i = 0; i < t->n_needs; i++)
                if (t->needs[i] == object)
                        return;
        if (!GROW(t, t->needs, t->n_needs, t->cap_needs) || !GROW(t, t->need_fds, t->n_needs, t->cap_need_fds))
                return;
        t->needs[t->n_needs] = object;
        t->need_fds[t->n_needs++] = -1;
}

static bool arg_good(struct tape *t, struct arg a)
{
        switch (a.type) {
        case ARG_IMM:
                return true;
        case ARG_FD:
                need(t, a.v);
                return !t->bad;
        case ARG_RET:
                return a.v < t->n;
        case ARG_DATA:
                return a.v < t->data_len;
        case ARG_OUT:
                return a.v < t->data_len && a.v % 4 == 0;
        default:
                return false;
        }
}

void tape_reloc(struct tape *t, uint32_t off, unsigned width, struct arg a)
{
        if (t->bad || (width != 4 && width != 8) || (size_t)off + width > t->data_len || a.type == ARG_RET ||
            a.type == ARG_OUT || !arg_good(t, a) || !GROW(t, t->relocs, t->n_relocs, t->cap_relocs)) {
                t->bad = true;
                return;
        }
        t->relocs[t->n_relocs++] = (struct tape_reloc){ off, width, a };
}

uint32_t tape_call(struct tape *t, long nr, unsigned n, const struct arg args[])
{
        bool good = !t->bad && n <= TAPE_ARGS && nr >= 0 && nr < 0xffff && t->n < TAPE_ENTRIES_MAX;

        for (unsigned i = 0; good && i < n; i++)
                good = arg_good(t, args[i]);
        if (!good || !GROW(t, t->e, t->n, t->cap)) {
                t->bad = true;
                return 0;
        }
        struct tape_entry *e = &t->e[t->n];
        *e = (struct tape_entry){ .nr = nr, .n = n, .ret = INT64_MIN, .label = (uint32_t)t->n_labels };
        for (unsigned i = 0; i < n; i++)
                e->a[i] = args[i];
        return (uint32_t)t->n++;
}

static struct tape_entry *entry_of(struct tape *t, uint32_t entry)
{
        if (t->bad || entry >= t->n) {
                t->bad = true;
                return NULL;
        }
        return &t->e[entry];
}

void tape_may_fail(struct tape *t, uint32_t entry, int errno_ok)
{
        struct tape_entry *e = entry_of(t, entry);

        if (!e)
                return;
        if (errno_ok < 0 || errno_ok > 4095) {
                t->bad = true;
                return;
        }
        e->may_fail = true;
        e->errno_ok = errno_ok;
}

void tape_expect(struct tape *t, uint32_t entry, int64_t want)
{
        struct tape_entry *e = entry_of(t, entry);

        if (!e)
                return;
        e->expected = true;
        e->want = want;
}

static void keep(struct tape *t, uint32_t entry, uint64_t object, struct tape_keep_off where)
{
        if (!entry_of(t, entry) || !GROW(t, t->keeps, t->n_keeps, t->cap_keeps) ||
            !GROW(t, t->keep_offs, t->n_keeps, t->cap_keep_offs))
                return;
        t->keep_offs[t->n_keeps] = where;
        t->keeps[t->n_keeps++] = (struct tape_fd){ .entry = entry, .object = object, .fd = -1 };
}

void tape_keep_fd(struct tape *t, uint32_t entry, uint64_t object)
{
        keep(t, entry, object, (struct tape_keep_off){ 0 });
}

void tape_keep_out(struct tape *t, uint32_t entry, uint32_t off, uint64_t object)
{
        if ((size_t)off + 4 > t->data_len) {
                t->bad = true;
                return;
        }
        keep(t, entry, object, (struct tape_keep_off){ true, off });
}

void tape_label(struct tape *t, const char *fmt, ...)
{
        char *text = NULL;
        va_list ap;

        if (t->bad || !GROW(t, t->labels, t->n_labels, t->cap_labels))
                return;
        va_start(ap, fmt);
        int r = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (r < 0) {
                t->bad = true;
                return;
        }
        t->labels[t->n_labels++] = text;
}

int64_t tape_ret(const struct tape *t, uint32_t entry)
{
        return entry < t->n ? t->e[entry].ret : INT64_MIN;
}

const void *tape_out(const struct tape *t, uint32_t off)
{
        return off < t->data_len ? t->data + off : NULL;
}

bool tape_bad(const struct tape *t)
{
        return t->bad;
}

size_t tape_len(const struct tape *t)
{
        return t->n;
}

size_t tape_needs(const struct tape *t, const uint64_t **ret)
{
        *ret = t->needs;
        return t->n_needs;
}

size_t tape_keeps(const struct tape *t, const struct tape_fd **ret)
{
        *ret = t->keeps;
        return t->n_keeps;
}

void tape_set_fd(struct tape *t, uint64_t object, int fd)
{
        for (size_t i = 0; i < t->n_needs; i++)
                if (t->needs[i] == object)
                        t->need_fds[i] = fd;
}

int tape_begin(struct tape *t, struct err *err)
{
        if (t->bad)
                return err_set(err, EX_FAIL, "cannot play a tape", "it was built wrongly, or memory ran out", "%zu calls",
                               t->n);
        for (size_t i = 0; i < t->n_needs; i++)
                if (t->need_fds[i] < 0)
                        return err_set(err, EX_FAIL, "cannot play a tape", "its descriptor was not delivered",
                                       "object %llu", (unsigned long long)t->needs[i]);
        for (size_t i = 0; i < t->n; i++)
                t->e[i].ret = INT64_MIN;
        for (size_t i = 0; i < t->n_keeps; i++)
                t->keeps[i].fd = -1;
        return 0;
}

uint64_t tape_value(const struct tape *t, struct arg a, uint64_t data_addr)
{
        if (a.type == ARG_DATA)
                return data_addr + a.v;
        if (a.type != ARG_FD)
                return a.v;
        for (size_t i = 0; i < t->n_needs; i++)
                if (t->needs[i] == a.v)
                        return (uint64_t)(int64_t)t->need_fds[i];
        return UINT64_MAX; /* tape_begin() has seen to it that this is not reached */
}

void tape_relocate(const struct tape *t, uint8_t *data, uint64_t data_addr)
{
        for (size_t i = 0; i < t->n_relocs; i++) {
                const struct tape_reloc *r = &t->relocs[i];
                uint64_t v = tape_value(t, r->a, data_addr);
                memcpy(data + r->off, &v, r->width); /* little endian: the low half first */
        }
}

static bool is_error(int64_t ret)
{
        return ret < 0 && ret >= -4095;
}

bool tape_entry_ok(const struct tape_entry *e, int64_t ret)
{
        if (is_error(ret))
                return e->may_fail && (e->errno_ok == 0 || ret == -e->errno_ok);
        return !e->expected || ret == e->want;
}

void tape_finish(struct tape *t)
{
        for (size_t i = 0; i < t->n_keeps; i++) {
                int64_t ret = t->e[t->keeps[i].entry].ret;
                int32_t out;

                if (ret < 0)
                        continue; /* has not run, or failed */
                if (t->keep_offs[i].out)
                        memcpy(&out, t->data + t->keep_offs[i].off, sizeof(out));
                else
                        out = (int32_t)ret;
                t->keeps[i].fd = out;
        }
}

int tape_failed(const struct tape *t, size_t entry, struct err *err)
{
        const struct tape_entry *e = &t->e[entry];
        const char *label = e->label ? t->labels[e->label - 1] : "unnamed step";
        const char *name = syscall_name(e->nr);
        char number[32];

        if (!name) {
                snprintf(number, sizeof(number), "system call %ld", e->nr);
                name = number;
        }
        if (is_error(e->ret))
                return err_sys(err, EX_FAIL, (int)-e->ret, "a step inside the task failed", "%.110s: %s (entry %zu)",
                               label, name, entry);
        err_set(err, EX_FAIL, "a step inside the task failed", "", "%.110s: %s (entry %zu)", label, name, entry);
        return err_why(err, "it returned %lld, not %lld", (long long)e->ret, (long long)e->want);
}

int executor_play(const struct executor *x, struct tape *const t[], size_t n, struct err *err)
{
        return n ? x->ops->play(x->ctx, t, n, err) : 0;
}

void executor_done(struct executor *x)
{
        if (x->ops)
                x->ops->done(x->ctx);
        *x = (struct executor){ 0 };
}
