/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all kinds share: copies for messages, the sentences of refusals and of hostile records, the table's search.
 *
 * A refusal names the process as its user knows it (its pid inside the container and its name), the thing, and what can
 * be done about it. Messages are freed by protobuf's own allocator, which is malloc: hence plain copies.
 */
#include "checkpoint/kind/kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"

char *kind_strdup(const char *s)
{
        return strdup(s);
}

void *kind_memdup(const void *p, size_t n)
{
        void *copy = malloc(n ? n : 1);

        if (copy && n)
                memcpy(copy, p, n);
        return copy;
}

void *kind_calloc(size_t n, size_t size)
{
        return calloc(n ? n : 1, size);
}

int kind_nomem(struct err *err)
{
        return err_set(err, EX_NOSPC, "cannot go on", "out of memory", "%s", "");
}

/* "process 12 (nginx) holds WHAT", for objects that belong to no process "it holds WHAT". */
static void holder(const struct facts *f, const char *what, char *ret, size_t size)
{
        if (f && f->shown_pid > 0)
                snprintf(ret, size, "process %d (%s) holds %s", (int)f->shown_pid, f->comm ? f->comm : "?", what);
        else
                snprintf(ret, size, "it holds %s", what);
}

int kind_refuse(const struct kind *k, const struct facts *f, struct err *err, const char *what, const char *remedy)
{
        char on[160], why[160];

        if (f && f->cls == CLS_FILE)
                snprintf(on, sizeof(on), "%s, descriptor %d: %s", k->stem, f->file.fd, f->file.link ? f->file.link : "?");
        else if (f && f->cls == CLS_MOUNT && f->mnt.m)
                snprintf(on, sizeof(on), "%s: %s", k->stem, f->mnt.m->target);
        else if (f && f->cls == CLS_LINK)
                snprintf(on, sizeof(on), "%s: %s", k->stem, f->link.name);
        else if (f && f->cls == CLS_VMA && f->vma.vma)
                snprintf(on, sizeof(on), "%s: 0x%llx %.100s", k->stem, (unsigned long long)f->vma.vma->start, f->vma.vma->name);
        else
                str_copy(on, sizeof(on), k->stem);
        holder(f, what, why, sizeof(why));
        int r = err_set(err, EX_UNSUPPORTED, "cannot checkpoint", why, "%s", on);
        if (remedy && remedy[0])
                err_remedy(err, "%s", remedy);
        return r;
}

int kind_bad(const struct kind *k, const struct record *r, struct err *err, const char *why)
{
        return err_set(err, EX_IMAGE, "the checkpoint image is refused", why, "record %s %llu", k->stem,
                       (unsigned long long)r->id);
}

const struct kind *kind_find(uint16_t number)
{
        size_t n, lo = 0;
        const struct kind *const *table = kind_table(&n);

        while (lo < n) {
                size_t mid = lo + (n - lo) / 2;
                if (table[mid]->number == number)
                        return table[mid];
                if (table[mid]->number < number)
                        lo = mid + 1;
                else
                        n = mid;
        }
        return NULL;
}
