/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree record of a dump: who is whose child, in which session and group, with which threads and tables, and where each
 * memory's mappings lie (a restore must find a place for its agent that is free in all of them).
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/tree.h"
#include "proto/tree.pb-c.h"

static int add_spans(struct dump *d, size_t task, Gantry__Tree__Mm *m)
{
        size_t cap = 0, at = d->task[task].vma_from;

        for (const struct dump_obj *x; (x = dump_next_vma(d, task, &at));) {
                if (x->vma->start >= UINT64_C(0xffff800000000000))
                        continue;
                if (m->n_span && m->span[m->n_span - 1] == x->vma->start) {
                        m->span[m->n_span - 1] = x->vma->end;
                        continue;
                }
                if (m->n_span + 2 > cap) {
                        cap = cap ? cap * 2 : 32;
                        uint64_t *grown = realloc(m->span, cap * sizeof(*grown));
                        if (!grown)
                                return -EX_NOSPC;
                        m->span = grown;
                }
                m->span[m->n_span++] = x->vma->start;
                m->span[m->n_span++] = x->vma->end;
        }
        return 0;
}

static Gantry__Tree__Task *task_message(const struct dump_task *t)
{
        Gantry__Tree__Task *m = KIND_NEW(Gantry__Tree__Task, gantry__tree__task__init);

        if (!m)
                return NULL;
        m->id = t->id;
        m->pid = (uint32_t)t->vpid;
        m->parent = t->parent;
        m->pgid = (uint32_t)t->vpgid;
        m->sid = (uint32_t)t->vsid;
        m->exit_signal = (uint32_t)t->thread[0].stat.exit_signal;
        m->mm = t->mm;
        m->files = t->files;
        m->fs = t->fs;
        m->sighand = t->sighand;
        m->cgroup = t->cgroup;
        m->has_stop_signal = m->has_stop_told = t->stop_signal != 0;
        m->stop_signal = (uint32_t)t->stop_signal;
        m->stop_told = t->stop_told;
        m->comm.len = strlen(t->thread[0].stat.comm);
        m->comm.data = kind_memdup(t->thread[0].stat.comm, m->comm.len);
        m->thread = calloc(t->n_thread, sizeof(*m->thread));
        if (!m->thread)
                return m;
        for (size_t k = 0; k < t->n_thread; k++) {
                Gantry__Tree__Thread *th = KIND_NEW(Gantry__Tree__Thread, gantry__tree__thread__init);
                if (!th)
                        return m;
                th->id = t->thread[k].id;
                th->tid = (uint32_t)t->thread[k].vtid;
                th->has_cgroup = t->thread[k].cgroup != t->cgroup;
                th->cgroup = t->thread[k].cgroup;
                m->thread[m->n_thread++] = th;
        }
        return m;
}

static Gantry__Tree__Dead *dead_message(const struct dump *d, const struct dump_dead *x)
{
        Gantry__Tree__Dead *m = KIND_NEW(Gantry__Tree__Dead, gantry__tree__dead__init);

        if (!m)
                return NULL;
        m->pid = (uint32_t)x->vpid;
        m->parent = d->task[x->parent].id;
        m->pgid = (uint32_t)x->vpgid;
        m->sid = (uint32_t)x->vsid;
        m->exit_signal = (uint32_t)x->exit_signal;
        m->status = (uint32_t)x->status;
        m->has_cgroup = x->cgroup != 0;
        m->cgroup = x->cgroup;
        m->comm.len = strlen(x->comm);
        m->comm.data = kind_memdup(x->comm, m->comm.len);
        m->uid = kind_memdup(x->uid, sizeof(x->uid));
        m->gid = kind_memdup(x->gid, sizeof(x->gid));
        m->n_uid = m->uid ? 3 : 0;
        m->n_gid = m->gid ? 3 : 0;
        return m;
}

static int add_dead(const struct dump *d, Gantry__Tree *m, struct err *err)
{
        m->dead = calloc(d->n_dead ? d->n_dead : 1, sizeof(*m->dead));
        for (size_t i = 0; m->dead && i < d->n_dead; i++) {
                Gantry__Tree__Dead *x = dead_message(d, &d->dead[i]);
                if (!x)
                        return kind_nomem(err);
                m->dead[m->n_dead++] = x;
                if (!x->n_uid || !x->n_gid || (x->comm.len && !x->comm.data))
                        return kind_nomem(err);
        }
        return m->dead ? 0 : kind_nomem(err);
}

/* A tree that nobody can rebuild is refused while it still runs, and not when its memory has been copied. */
int tree_check(const struct dump *d, struct err *err)
{
        size_t n = d->n_task + d->n_dead;
        _cleanup_free_ struct plan_task *p = calloc(n ? n : 1, sizeof(*p));
        struct tree_plan plan = {};

        if (!p)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++) {
                const struct dump_task *t = &d->task[i];
                p[i] = (struct plan_task){ (uint32_t)t->vpid, (uint32_t)t->vpgid, (uint32_t)t->vsid, t->parent_at,
                                           t->thread[0].stat.exit_signal };
        }
        for (size_t i = 0; i < d->n_dead; i++) {
                const struct dump_dead *x = &d->dead[i];
                p[d->n_task + i] = (struct plan_task){ (uint32_t)x->vpid, (uint32_t)x->vpgid, (uint32_t)x->vsid, x->parent, x->exit_signal };
        }
        int r = tree_plan(p, n, &plan, err);
        tree_plan_done(&plan);
        return r;
}

int tree_record(struct dump *d, struct record *ret, struct err *err)
{
        Gantry__Tree *m = KIND_NEW(Gantry__Tree, gantry__tree__init);

        if (!m)
                return kind_nomem(err);
        *ret = (struct record){ .kind = RECORD_TREE, .msg = &m->base };
        m->task = calloc(d->n_task, sizeof(*m->task));
        m->mm = calloc(d->n_task, sizeof(*m->mm));
        if (!m->task || !m->mm)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++) {
                Gantry__Tree__Task *t = task_message(&d->task[i]);
                if (!t)
                        return kind_nomem(err);
                m->task[m->n_task++] = t;
                Gantry__Tree__Mm *mm = KIND_NEW(Gantry__Tree__Mm, gantry__tree__mm__init);
                if (!mm)
                        return kind_nomem(err);
                mm->id = d->task[i].mm;
                m->mm[m->n_mm++] = mm;
                if (t->n_thread != d->task[i].n_thread || add_spans(d, i, mm) < 0)
                        return kind_nomem(err);
        }
        return add_dead(d, m, err);
}
