/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The main stack: a private anonymous mapping that grows down, called [stack] because the mm's start_stack lies in it.
 *
 * A mapping made with MAP_GROWSDOWN is the same thing to the kernel; where it started from is task-mm's. Its guard gap
 * is not enforced against mappings at fixed places, so the order of restoring does not matter.
 */
#include <sys/mman.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-stack.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_STACK);
}

static int refuse(const struct facts *f, struct err *err)
{
        return vma_refuse(&kind_vma_stack, f, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct vma_area a;
        int r = vma_take(&kind_vma_stack, o, &a, err);

        (void)d;
        (void)fd;
        (void)t;
        if (r < 0)
                return r;
        Gantry__VmaStack *m = KIND_NEW(Gantry__VmaStack, gantry__vma_stack__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        VMA_INTO(m, a);
        return field_record(&kind_vma_stack, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaStack *m = (const Gantry__VmaStack *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)need;
        return vma_check(&kind_vma_stack, r, &a, err);
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaStack *m = (const Gantry__VmaStack *)r->msg;
        struct vma_area a = VMA_OF(m);
        struct tape *t = vma_tape(rs, m->mm);

        (void)err;
        tape_label(t, "map the stack (vma-stack %llu)", (unsigned long long)r->id);
        vma_map(t, &a, MAP_PRIVATE | MAP_ANONYMOUS, A_IMM(-1), 0);
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaStack *m = (const Gantry__VmaStack *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (!vma_protects(&a))
                return 0;
        struct tape *t = vma_tape(rs, m->mm);
        tape_label(t, "protect what is filled (vma-stack %llu)", (unsigned long long)r->id);
        vma_protect(t, &a);
        return 0;
}

static int plan_lock(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaStack *m = (const Gantry__VmaStack *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (a.flags & VMA_LOCKED)
                vma_lock(vma_tape(rs, m->mm), &a);
        return 0;
}

const struct kind kind_vma_stack = {
        .stem = "vma-stack",
        .number = KIND_VMA_STACK,
        .cls = CLS_VMA,
        .msg = &gantry__vma_stack__descriptor,
        .pages = PAGES_ALL,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_MEMORY] = plan_memory, [PH_ATTR] = plan_attr, [PH_LABEL] = plan_lock},
};
