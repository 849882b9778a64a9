/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CHECK: an image that leaves something out is refused before anything is made.
 *
 * A dump writes, for every task, thread and table, one record of each kept kind of that class. One that is not there would
 * leave what the stub has in its place: no signal handlers, all capabilities that the container may have, no system call
 * filter. The same holds for objects that records point at: what the tree names has to be there.
 *
 * Where a container is restored (a subject with ids of its own), the image must bring its namespaces and mounts too: the ground has only
 * a copy of the node's mounts until the planner has moved into the container's root, and without a record it never would.
 *
 * Not here: objects of the closed world (files, mappings), whose number nobody knows beforehand.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/mounts.pb-c.h"
#include "proto/ns-user.pb-c.h"

static int need_record(const struct restore *rs, const struct kind *k, uint64_t id, const struct restore_task *t,
                       struct err *err)
{
        if (has_record(rs, k->number, id))
                return 0;
        return err_set(err, EX_IMAGE, "cannot restore the image", "a record is missing", "%s %llu of process %u", k->stem,
                       (unsigned long long)id, t->vpid);
}

static int check_kind(const struct restore *rs, const struct kind *k, const struct restore_task *t, struct err *err)
{
        int r = 0;

        switch (k->cls) {
        case CLS_TASK:
                return need_record(rs, k, t->id, t, err);
        case CLS_MM:
                return need_record(rs, k, t->mm, t, err);
        case CLS_FILES:
                return need_record(rs, k, t->files, t, err);
        case CLS_FS:
                return need_record(rs, k, t->fs, t, err);
        case CLS_SIGHAND:
                return need_record(rs, k, t->sighand, t, err);
        case CLS_THREAD:
                for (size_t i = 0; r >= 0 && i < t->n_thread; i++)
                        r = need_record(rs, k, t->thread[i].id, t, err);
                return r;
        case CLS_VMA:
        case CLS_SHM:
        case CLS_FILE:
        case CLS_NS:
        case CLS_MOUNT:
        case CLS_LINK:
        case CLS_NETNS:
        case CLS_CGROUP:
        case CLS_FILEPROP:
        case CLS_N:
        default:
                return 0;
        }
}

struct owner { uint64_t id; enum obj_class cls; };

static int by_owner(const void *a, const void *b)
{
        const struct owner *x = a, *y = b;

        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return x->cls < y->cls ? -1 : x->cls > y->cls;
}

/* The other way round: properties of a task or table that the tree does not have would be planned for nobody. */
static int check_owners(const struct restore *rs, struct err *err)
{
        size_t n = 0, threads = 0;

        for (size_t i = 0; i < rs->n_task; i++)
                threads += rs->task[i].n_thread;
        _cleanup_free_ struct owner *all = calloc(rs->n_task * 5 + threads + 1, sizeof(*all));
        if (!all)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_task; i++) {
                const struct restore_task *t = &rs->task[i];
                const struct owner own[] = { { t->id, CLS_TASK }, { t->mm, CLS_MM }, { t->files, CLS_FILES }, { t->fs, CLS_FS },
                                             { t->sighand, CLS_SIGHAND } };
                memcpy(all + n, own, sizeof(own));
                n += ELEMENTSOF(own);
                for (size_t k = 0; k < t->n_thread; k++)
                        all[n++] = (struct owner){ t->thread[k].id, CLS_THREAD };
        }
        qsort(all, n, sizeof(*all), by_owner);
        for (size_t i = 0; i < rs->n_rec; i++) {
                const struct kind *k = kind_find(rs->rec[i].kind);
                const struct owner want = { rs->rec[i].id, k ? k->cls : CLS_N };
                if (k && k->cls >= CLS_TASK && k->cls <= CLS_SIGHAND && !bsearch(&want, all, n, sizeof(*all), by_owner))
                        return err_set(err, EX_IMAGE, "cannot restore the image", "it is of nothing in the process tree", "record %s %llu",
                                       k->stem, (unsigned long long)want.id);
        }
        return 0;
}

static const struct record *first_of(const struct restore *rs, uint16_t kind)
{
        for (size_t i = 0; i < rs->n_rec; i++)
                if (rs->rec[i].kind == kind)
                        return &rs->rec[i];
        return NULL;
}

static int no_container(struct err *err, const char *lacks)
{
        err_set(err, EX_IMAGE, "cannot restore the image", "", "%s", lacks);
        err_why(err, "it has no record of this: it is no image of a container");
        return err_remedy(err, "take one with ctrctl checkpoint CT DIR; a tree that was taken by --pid is no container");
}

static int check_container(const struct restore *rs, const struct kind *const *table, size_t n, struct err *err)
{
        const struct record *r;

        for (size_t k = 0; k < n; k++)
                if (table[k]->cls == CLS_NS && table[k]->take && !first_of(rs, table[k]->number))
                        return no_container(err, table[k]->stem);
        r = first_of(rs, RECORD_MOUNTS);
        if (!r || ((const Gantry__Mounts *)(const void *)r->msg)->n_mount == 0)
                return no_container(err, "mounts");
        r = first_of(rs, KIND_NS_USER);
        uint32_t count = r ? ((const Gantry__NsUser *)(const void *)r->msg)->count : 0;
        if (count <= rs->s.ids->count)
                return 0;
        err_set(err, EX_IMAGE, "cannot restore the image", "it has more ids than this container", "%u ids", count);
        return err_remedy(err, "give the container as many: idmap in its ct.conf");
}

int complete_check(const struct restore *rs, struct err *err)
{
        size_t n;
        const struct kind *const *table = kind_table(&n);
        int q = check_owners(rs, err);

        if (q < 0)
                return q;
        if (rs->s.ids) {
                int r = check_container(rs, table, n, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = 0; k < n; k++) {
                        int r = table[k]->take && !table[k]->claim ? check_kind(rs, table[k], &rs->task[i], err) : 0;
                        if (r < 0)
                                return r;
                }
        return 0;
}
