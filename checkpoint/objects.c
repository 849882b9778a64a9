/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dump's table of objects, which every part of the walk adds to. An id is a place in it, from 1 on, so that ids rise in the
 * order of the walk and nothing has to be searched.
 */
#include <stdlib.h>

#include "base/parse.h"
#include "checkpoint/dump-int.h"

struct dump_obj *dump_add(struct dump *d, enum obj_class cls)
{
        if (d->n_obj == d->cap_obj) {
                size_t cap = d->cap_obj ? d->cap_obj * 2 : 256;
                struct dump_obj **grown = realloc(d->obj, cap * sizeof(*grown));
                if (!grown)
                        return NULL;
                d->obj = grown;
                d->cap_obj = cap;
        }
        struct dump_obj *x = calloc(1, sizeof(*x));
        if (!x)
                return NULL;
        x->o.cls = cls;
        x->o.id = d->n_obj + 1;
        x->o.facts.cls = cls;
        x->o.procfd = -1;
        x->fd = -1;
        d->obj[d->n_obj++] = x;
        return x;
}

struct dump_obj *dump_find(struct dump *d, uint64_t id)
{
        return id >= 1 && id <= d->n_obj ? d->obj[id - 1] : NULL;
}

size_t dump_threads(const struct dump *d)
{
        size_t n = 0;

        for (size_t i = 0; i < d->n_task; i++)
                n += d->task[i].n_thread;
        return n;
}

pid_t dump_innermost(const struct proc_kv *kv, size_t n_kv, const char *key, pid_t fallback)
{
        const char *v = proc_kv_get(kv, n_kv, key);
        uint64_t n = (uint64_t)fallback;

        while (v && *v) {
                uint64_t x;
                if (!scan_u64(&v, &x))
                        break;
                n = x;
                while (*v == '\t' || *v == ' ')
                        v++;
        }
        return (pid_t)n;
}
