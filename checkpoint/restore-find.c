/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a restore has, found by its id: tasks by their own id or by that of a table that they use, the tracee behind an actor, records,
 * and our descriptors of objects that have been made. All other parts of a restore stand on this one.
 *
 * Ids of records come from the image and are sparse, so records and objects are lists sorted by id; tasks are few enough to be walked.
 *
 * Not here: what a kind asks for beyond a lookup (restore-kind.c), and how descriptors come and go (deliver.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "checkpoint/restore-int.h"

/* ---- tasks ---- */

struct restore_task *restore_task_find(struct restore *rs, uint64_t id)
{
        for (size_t i = 0; i < rs->n_task; i++)
                if (rs->task[i].id == id)
                        return &rs->task[i];
        return NULL;
}

struct restore_task *restore_task_of(struct restore *rs, uint64_t o)
{
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                if (t->id == o || t->mm == o || t->files == o || t->fs == o || t->sighand == o)
                        return t;
                for (size_t k = 0; k < t->n_thread; k++)
                        if (t->thread[k].id == o)
                                return t;
        }
        return NULL;
}

struct tracee *restore_tracee(void *ctx, struct actor who)
{
        struct restore *rs = ctx;

        if (who.type == ACTOR_NS)
                return rs->task[0].thread[0].tracee;
        for (size_t i = 0; who.type == ACTOR_TASK && i < rs->n_temp; i++)
                if (who.id == TREE_TEMP + rs->temp[i].vpid)
                        return rs->temp[i].tracee;
        struct restore_task *t = restore_task_of(rs, who.id);
        if (!t)
                return NULL;
        for (size_t k = 0; who.type == ACTOR_THREAD && k < t->n_thread; k++)
                if (t->thread[k].id == who.id)
                        return t->thread[k].tracee;
        return who.type == ACTOR_TASK ? t->thread[0].tracee : NULL;
}

/* ---- records ---- */

bool has_record(const struct restore *rs, uint16_t kind, uint64_t id)
{
        size_t lo = 0, hi = rs->n_rec;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                const struct record *r = &rs->rec[rs->by_id[mid]];
                if (r->id < id || (r->id == id && r->kind < kind))
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (lo == rs->n_rec || rs->rec[rs->by_id[lo]].id != id)
                return false;
        return !kind || rs->rec[rs->by_id[lo]].kind == kind;
}

const struct record *restore_record(struct restore *rs, uint64_t object)
{
        size_t lo = 0, hi = rs->n_rec;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (rs->rec[rs->by_id[mid]].id < object)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < rs->n_rec && rs->rec[rs->by_id[lo]].id == object; lo++)
                if (rs->rec[rs->by_id[lo]].kind >= 16)
                        return &rs->rec[rs->by_id[lo]];
        return NULL;
}

/* ---- objects ---- */

static size_t object_at(const struct restore *rs, uint64_t id)
{
        size_t lo = 0, hi = rs->n_object;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (rs->object[mid].id < id)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

int object_fd(const struct restore *rs, uint64_t id)
{
        size_t at = object_at(rs, id);

        return at < rs->n_object && rs->object[at].id == id ? rs->object[at].fd : -1;
}

int restore_fd(struct restore *rs, uint64_t object, struct err *err)
{
        int fd = object_fd(rs, object);

        if (fd < 0)
                return err_set(err, EX_IMAGE, "cannot restore an object", "it was not made before it was needed", "object %llu",
                               (unsigned long long)object);
        return fd;
}

int object_put(struct restore *rs, uint64_t id, int fd, struct err *err)
{
        size_t at = object_at(rs, id);

        if (at < rs->n_object && rs->object[at].id == id) {
                fd_close(rs->object[at].fd);
                rs->object[at].fd = fd;
                return 0;
        }
        struct restore_object *grown = realloc(rs->object, (rs->n_object + 1) * sizeof(*grown));
        if (!grown) {
                fd_close(fd);
                return kind_nomem(err);
        }
        rs->object = grown;
        memmove(grown + at + 1, grown + at, (rs->n_object - at) * sizeof(*grown));
        grown[at] = (struct restore_object){ id, fd };
        rs->n_object++;
        return 0;
}
