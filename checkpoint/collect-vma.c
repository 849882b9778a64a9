/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, memory: every entry of smaps becomes a VMA object (VmFlags stand nowhere else); the memory objects behind
 * MAP_SHARED|MAP_ANONYMOUS mappings become SHM objects, once per (dev, ino), with their size.
 *
 * A mapping keeps its open file description when the descriptor is closed, and the description its lock or lease, which no fdinfo shows
 * then. /proc/locks names those by the file, as the mapping does.
 *
 * Read before the agent is mapped into anybody, so that it is in no dump.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

struct walk { struct dump *d; size_t task; struct err *err; };

static int shm_of(struct walk *w, const struct proc_vma *v, const struct dump_obj *mapper, uint64_t *ret)
{
        struct dump *d = w->d;
        uint64_t dev = makedev(v->major, v->minor);

        for (size_t i = 0; i < d->n_obj; i++)
                if (d->obj[i]->o.cls == CLS_SHM && d->obj[i]->ino == v->ino && d->obj[i]->dev == dev) {
                        *ret = d->obj[i]->o.id;
                        return 0;
                }
        struct dump_obj *x = dump_add(d, CLS_SHM);
        if (!x)
                return kind_nomem(w->err);
        x->task = w->task;
        x->ino = v->ino;
        x->dev = dev;
        x->mapper = mapper;
        *ret = x->o.id;
        return 0;
}

static int read_locks(struct dump *d, struct err *err)
{
        _cleanup_close_ int proc = path_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0, err);
        size_t len = 0;

        return proc < 0 ? proc : proc_read(proc, "locks", &d->locks, &len, err);
}

static int stat_mapping(struct walk *w, struct dump_obj *x)
{
        char name[80];
        const struct proc_vma *v = x->vma;

        snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)v->start, (unsigned long long)v->end);
        if (fstatat(w->d->task[w->task].procfd, name, &x->o.facts.vma.st, AT_NO_AUTOMOUNT) < 0 && errno != ENOENT)
                return err_sys(w->err, EX_FAIL, errno, "cannot look at a mapped file", "process %d, %s",
                               (int)w->d->task[w->task].vpid, v->name);
        return 0;
}

static int each_vma(void *ctx, const struct proc_vma *v)
{
        struct walk *w = ctx;
        struct dump_obj *x = dump_add(w->d, CLS_VMA);

        if (!x)
                return kind_nomem(w->err);
        x->task = w->task;
        size_t size = offsetof(struct proc_vma, name) + strlen(v->name) + 1;   /* nobody looks behind the name */
        x->vma = malloc(size);
        if (!x->vma)
                return kind_nomem(w->err);
        memcpy(x->vma, v, size);
        x->o.facts.vma.vma = x->vma;
        x->o.facts.vma.mm = w->d->task[w->task].mm;
        w->d->stats.vmas++;
        if (v->ino == 0)
                return 0;
        x->o.facts.vma.locked = proc_locks_name(w->d->locks, v->major, v->minor, v->ino);
        int r = stat_mapping(w, x);
        if (r < 0)
                return r;
        x->o.facts.vma.path = v->name[0] == '/' ? x->vma->name : NULL;
        if (v->shared && str_starts(v->name, "/dev/zero"))
                return shm_of(w, v, x, &x->o.facts.vma.shm);
        return 0;
}

int dump_walk_vmas(struct dump *d, size_t task, struct err *err)
{
        struct walk w = { d, task, err };
        int q = d->locks ? 0 : read_locks(d, err);

        if (q < 0)
                return q;
        d->task[task].vma_from = d->n_obj;
        int r = proc_smaps_read(d->task[task].procfd, each_vma, &w, err);
        d->task[task].vma_to = d->n_obj;
        return r;
}

const struct dump_obj *dump_next_vma(const struct dump *d, size_t task, size_t *at)
{
        while (*at < d->task[task].vma_to) {
                const struct dump_obj *x = d->obj[(*at)++];
                if (x->o.cls == CLS_VMA)
                        return x;
        }
        return NULL;
}
