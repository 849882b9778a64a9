/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private anonymous mappings: heap, arenas, thread stacks, guard areas, MAP_DROPPABLE memory.
 *
 * [heap] is an ordinary one whose place brk() knows (task-mm tells it the new mm). Only pages that exist are dumped, so a
 * reservation of terabytes costs nothing. Locking comes after the pages are in and RLIMIT_MEMLOCK is set: in PH_LABEL.
 * Not here: copy-on-write sharing with relatives, which the page filters find.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-anon.pb-c.h"

#define NAME_MAX_ANON 79 /* ANON_VMA_NAME_MAX_LEN without its NUL */

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_ANON);
}

static int refuse(const struct facts *f, struct err *err)
{
        return vma_refuse(&kind_vma_anon, f, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct vma_area a;
        int r = vma_take(&kind_vma_anon, o, &a, err);

        (void)d;
        (void)fd;
        (void)t;
        if (r < 0)
                return r;
        Gantry__VmaAnon *m = KIND_NEW(Gantry__VmaAnon, gantry__vma_anon__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        VMA_INTO(m, a);
        const char *name = o->facts.vma.vma->name;
        size_t n = strlen(name), p = strlen("[anon:");
        if (str_starts(name, "[anon:") && n > p + 1 && n - p - 1 <= NAME_MAX_ANON) {
                r = field_set(&m->name, name + p, n - p - 1, err);
                if (r < 0)
                        return r;
                m->has_name = true;
        }
        return field_record(&kind_vma_anon, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaAnon *m = (const Gantry__VmaAnon *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)need;
        if (m->has_name && !field_is_text(&m->name, NAME_MAX_ANON))
                return kind_bad(&kind_vma_anon, r, err, "its name is not one");
        return vma_check(&kind_vma_anon, r, &a, err);
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaAnon *m = (const Gantry__VmaAnon *)r->msg;
        struct vma_area a = VMA_OF(m);
        struct tape *t = vma_tape(rs, m->mm);

        (void)err;
        tape_label(t, "map private memory (vma-anon %llu)", (unsigned long long)r->id);
        vma_map(t, &a, MAP_PRIVATE | MAP_ANONYMOUS, A_IMM(-1), 0);
        if (m->has_name) {
                char name[NAME_MAX_ANON + 1];
                if (field_copy(&m->name, name, sizeof(name)))
                        vma_name(t, &a, name);
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaAnon *m = (const Gantry__VmaAnon *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (!vma_protects(&a))
                return 0;
        struct tape *t = vma_tape(rs, m->mm);
        tape_label(t, "protect what is filled (vma-anon %llu)", (unsigned long long)r->id);
        vma_protect(t, &a);
        return 0;
}

static int plan_lock(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaAnon *m = (const Gantry__VmaAnon *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (a.flags & VMA_LOCKED)
                vma_lock(vma_tape(rs, m->mm), &a);
        return 0;
}

const struct kind kind_vma_anon = {
        .stem = "vma-anon",
        .number = KIND_VMA_ANON,
        .cls = CLS_VMA,
        .msg = &gantry__vma_anon__descriptor,
        .pages = PAGES_ALL,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_MEMORY] = plan_memory, [PH_ATTR] = plan_attr, [PH_LABEL] = plan_lock},
};
