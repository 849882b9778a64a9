/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * READ: the records of a dump, in the order in which a restore wants them: the header, the planners' (tree, mounts), then those of the
 * kinds by number and object.
 *
 * One record is a pair of an object and a kind that speaks of it. All kinds write their questions onto tapes first, which then play
 * side by side; the answers become records one after the other.
 *
 * Not here: memory (pages.c), and which kind speaks of a claimed object (CLAIM in collect.c).
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "checkpoint/cpu.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/image.h"
#include "checkpoint/mounts.h"

/* One record to be: an object and a kind that speaks of it. */
struct pair { struct dump_obj *x; const struct kind *k; struct tape *t; };

static bool speaks(const struct kind *k, const struct dump_obj *x)
{
        if (!k->take || k->cls != x->o.cls)
                return false;
        if (x->kind)
                return x->kind == k;
        return !k->claim || k->claim(&x->o.facts) == 1;
}

/* In order of kind number, then of object: the order of the records in the image. */
static int pairs_of(struct dump *d, struct pair **ret, size_t *ret_n, struct err *err)
{
        size_t n_kinds, n = 0, cap = 0;
        const struct kind *const *k = kind_table(&n_kinds);

        *ret = NULL;
        for (size_t i = 0; i < n_kinds; i++)
                for (size_t j = 0; j < d->n_obj; j++) {
                        if (!speaks(k[i], d->obj[j]))
                                continue;
                        if (n == cap) {
                                cap = cap ? cap * 2 : 512;
                                struct pair *grown = realloc(*ret, cap * sizeof(*grown));
                                if (!grown)
                                        return kind_nomem(err);
                                *ret = grown;
                        }
                        (*ret)[n++] = (struct pair){ .x = d->obj[j], .k = k[i] };
                }
        *ret_n = n;
        return 0;
}

static void pairs_free(struct pair *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                tape_free(p[i].t);
        free(p);
}

static int ask_all(struct dump *d, struct pair *p, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                if (!p[i].k->ask)
                        continue;
                bool thread = p[i].x->o.cls == CLS_THREAD;
                uint64_t task = d->task[p[i].x->task].id;
                p[i].t = tape_new((struct actor){ thread ? ACTOR_THREAD : ACTOR_TASK, thread ? p[i].x->o.id : task });
                if (!p[i].t)
                        return kind_nomem(err);
                tape_label(p[i].t, "ask %s %llu", p[i].k->stem, (unsigned long long)p[i].x->o.id);
                int r = p[i].k->ask(d, &p[i].x->o, p[i].t);
                if (r < 0)
                        return err_set(err, EX_FAIL, "cannot write a tape", "no memory", "%s", p[i].k->stem);
        }
        return 0;
}

/* All of them: those of a thread are played in one go. */
static int play_all(struct dump *d, struct pair *p, size_t n, struct err *err)
{
        _cleanup_free_ struct tape **t = calloc(n ? n : 1, sizeof(*t));
        size_t m = 0;

        if (!t)
                return kind_nomem(err);
        for (size_t i = 0; i < n; i++)
                if (p[i].t && tape_len(p[i].t) > 0)
                        t[m++] = p[i].t;
        return m ? executor_play(&d->ptrace, t, m, err) : 0;
}

static int take_one(struct dump *d, struct pair *p, const struct record_sink *rs, struct err *err)
{
        _cleanup_close_ int fd = -1;
        struct record rec = { .kind = p->k->number, .id = p->x->o.id };
        int r = dump_open(d, p->x, &fd, err);

        if (r >= 0)
                r = p->k->take(d, &p->x->o, fd, p->t, &rec, err);
        if (r == 0)
                r = rs->put(rs->c, &rec, err);
        if (r < 0)
                err_wrap(err, "cannot dump", "%s of process %d (%s)", p->k->stem, (int)p->x->o.facts.shown_pid,
                         p->x->o.facts.comm ? p->x->o.facts.comm : "");
        record_done(&rec);
        return r < 0 ? r : 0;
}

static int read_all(struct dump *d, const struct record_sink *rs, struct err *err)
{
        struct pair *p = NULL;
        size_t n = 0;
        int r = pairs_of(d, &p, &n, err);

        if (r >= 0)
                r = dump_agents(d, err);
        if (r >= 0)
                r = ask_all(d, p, n, err);
        if (r >= 0)
                r = play_all(d, p, n, err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = take_one(d, &p[i], rs, err);
        pairs_free(p, n);
        return r;
}

static int put_tree(struct dump *d, const struct record_sink *rs, struct err *err)
{
        struct record rec = {};
        int r = tree_record(d, &rec, err);

        if (r >= 0)
                r = rs->put(rs->c, &rec, err);
        record_done(&rec);
        return r;
}

static int put_header(struct dump *d, const struct record_sink *rs, struct err *err)
{
        const char *cpu[CPU_MAX];
        const struct image_meta meta = { .uuid = d->s.uuid, .cpu = cpu, .n_cpu = cpu_features(d->cpu_flags, cpu, CPU_MAX) };

        return image_header_put(rs, &meta, err);
}

int dump_records(struct dump *d, const struct record_sink *rs, struct err *err)
{
        int r = put_header(d, rs, err);

        if (r >= 0)
                r = put_tree(d, rs, err);
        if (r >= 0)
                r = mounts_records(d, rs, err);
        return r < 0 ? r : read_all(d, rs, err);
}
