/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared anonymous memory: one object of the kernel's own tmpfs, mapped by relatives that inherited it.
 *
 * The object is made once (PH_MAKE) by the task of the first mapping that was dumped: mmap(MAP_SHARED | MAP_ANONYMOUS) of
 * its whole size, whose /proc/PID/map_files entry the session opens; every mapping then maps this descriptor, and is
 * again "/dev/zero (deleted)". Pages follow by object, once. MAP_NORESERVE is a property of the object.
 * Not here: POSIX shared memory (a file on a tmpfs), memfds, SysV segments.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-shmem.pb-c.h"

#define NAME_MAX_SHMEM 79

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_SHMEM);
}

static int refuse(const struct facts *f, struct err *err)
{
        if (!f->vma.shm)
                return kind_refuse(&kind_vma_shmem, f, err, "shared memory whose object is unknown", NULL);
        return vma_refuse(&kind_vma_shmem, f, err);
}

/* The first mapping of an object that is taken makes it at restore: remembered beside the object. */
static int first(struct dump *d, uint64_t shm, bool *ret, struct err *err)
{
        const struct obj *o = dump_obj(d, shm);
        void **slot = o ? dump_slot(d, o) : NULL;

        if (!slot)
                return err_set(err, EX_FAIL, "cannot checkpoint shared memory", "its object was not found", "object %llu",
                               (unsigned long long)shm);
        *ret = !*slot;
        if (!*slot)
                *slot = kind_calloc(1, 1);
        return *slot ? 0 : kind_nomem(err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct vma_area a;
        bool makes;
        int r = vma_take(&kind_vma_shmem, o, &a, err);

        (void)fd;
        (void)t;
        if (r < 0)
                return r;
        r = first(d, o->facts.vma.shm, &makes, err);
        if (r < 0)
                return r;
        Gantry__VmaShmem *m = KIND_NEW(Gantry__VmaShmem, gantry__vma_shmem__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        VMA_INTO(m, a);
        m->offset = o->facts.vma.vma->pgoff;
        m->shm = o->facts.vma.shm;
        m->size = ((uint64_t)o->facts.vma.st.st_size + 4095) & ~UINT64_C(4095);
        m->makes = makes;
        const char *name = o->facts.vma.vma->name;
        size_t n = strlen(name), p = strlen("[anon_shmem:");
        if (str_starts(name, "[anon_shmem:") && n > p + 1 && n - p - 1 <= NAME_MAX_SHMEM) {
                r = field_set(&m->name, name + p, n - p - 1, err);
                if (r < 0)
                        return r;
                m->has_name = true;
        }
        return field_record(&kind_vma_shmem, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaShmem *m = (const Gantry__VmaShmem *)r->msg;
        struct vma_area a = VMA_OF(m);
        uint64_t end;

        (void)need;
        if (!m->shm)
                return kind_bad(&kind_vma_shmem, r, err, "it belongs to no object");
        if (!m->size || m->size % 4096 || m->size > VMA_TOP)
                return kind_bad(&kind_vma_shmem, r, err, "the size of its object is impossible");
        if (m->offset % 4096 || __builtin_add_overflow(m->offset, m->end - m->start, &end) || end > INT64_MAX)
                return kind_bad(&kind_vma_shmem, r, err, "its place in the object is impossible");
        if (m->has_name && !field_is_text(&m->name, NAME_MAX_SHMEM))
                return kind_bad(&kind_vma_shmem, r, err, "its name is not one");
        return vma_check(&kind_vma_shmem, r, &a, err);
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaShmem *m = (const Gantry__VmaShmem *)r->msg;

        (void)err;
        if (!m->makes)
                return 0;
        struct tape *t = vma_tape(rs, m->mm);
        int map = MAP_SHARED | MAP_ANONYMOUS | (m->flags & VMA_NORESERVE ? MAP_NORESERVE : 0);
        tape_label(t, "make shared memory %llu (vma-shmem %llu)", (unsigned long long)m->shm, (unsigned long long)r->id);
        uint32_t e = TAPE(t, __NR_mmap, A_IMM(0), A_IMM(m->size), A_IMM(PROT_READ | PROT_WRITE), A_IMM(map), A_IMM(-1),
                          A_IMM(0));
        restore_keep_map(rs, t, e, m->size, m->shm);
        return 0;
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaShmem *m = (const Gantry__VmaShmem *)r->msg;
        struct vma_area a = VMA_OF(m);
        struct tape *t = vma_tape(rs, m->mm);

        (void)err;
        tape_label(t, "map shared memory %llu (vma-shmem %llu)", (unsigned long long)m->shm, (unsigned long long)r->id);
        vma_map(t, &a, MAP_SHARED, A_FD(m->shm), m->offset);
        if (m->has_name) {
                char name[NAME_MAX_SHMEM + 1];
                if (field_copy(&m->name, name, sizeof(name)))
                        vma_name(t, &a, name);
        }
        return 0;
}

static int plan_lock(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaShmem *m = (const Gantry__VmaShmem *)r->msg;
        struct vma_area a = VMA_OF(m);

        (void)err;
        if (a.flags & VMA_LOCKED)
                vma_lock(vma_tape(rs, m->mm), &a);
        return 0;
}

const struct kind kind_vma_shmem = {
        .stem = "vma-shmem",
        .number = KIND_VMA_SHMEM,
        .cls = CLS_VMA,
        .msg = &gantry__vma_shmem__descriptor,
        .pages = PAGES_SHM,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_MEMORY] = plan_memory, [PH_LABEL] = plan_lock},
};
