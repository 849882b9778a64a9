/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The areas that the kernel maps beside every program: [vvar], [vvar_vclock] (6.13), [vdso]; and [vsyscall], which is fixed.
 *
 * They are never dumped and cannot be made: every task has its kernel's, and mremap() takes each to where the program
 * knows it from its auxiliary vector (tried on 6.18 and 6.1, area by area). So the code must be the same: its hash and the
 * sizes are compared before anything is made. An area whose place is still taken by another one waits at a scratch place
 * (PH_SPACE) and goes on from there (PH_MEMORY, before other mappings: this kind's number is lower).
 *
 * Not here: another node's vdso under this program (a proxy for each function). Such a restore is refused by the
 * names of both kernels. A program that wrote into its own copy is refused at dump.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/vma-vdso.pb-c.h"

typedef Gantry__VmaVdso__Area area_id;
#define VDSO GANTRY__VMA_VDSO__AREA__VDSO
#define VSYSCALL GANTRY__VMA_VDSO__AREA__VSYSCALL
#define VDSO_MAX (64u << 10)

static const struct { const char *name; area_id area; } areas[] = {
        {"[vvar]", GANTRY__VMA_VDSO__AREA__VVAR},
        {"[vvar_vclock]", GANTRY__VMA_VDSO__AREA__VVAR_VCLOCK},
        {"[vdso]", VDSO},
        {"[vsyscall]", VSYSCALL},
};

static area_id area_of(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(areas); i++)
                if (str_eq(areas[i].name, name))
                        return areas[i].area;
        return 0;
}

static const char *name_of(area_id area)
{
        for (size_t i = 0; i < ELEMENTSOF(areas); i++)
                if (areas[i].area == area)
                        return areas[i].name;
        return "?";
}

static uint64_t fnv1a(const void *p, size_t n)
{
        const uint8_t *b = p;
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < n; i++)
                h = (h ^ b[i]) * UINT64_C(0x100000001b3);
        return h;
}

/* Ours: the same pages as every 64-bit program's of this kernel. NULL where there is none. */
static const void *own_code(void)
{
        uintptr_t at = getauxval(AT_SYSINFO_EHDR);

        return (const void *)at; /* NOLINT: an address given by the kernel */
}

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_VMA_VDSO);
}

static int refuse(const struct facts *f, struct err *err)
{
        const struct proc_vma *v = f->vma.vma;
        area_id area = area_of(v->name);

        if (!area)
                return kind_refuse(&kind_vma_vdso, f, err, "an unknown mapping of the kernel's own",
                                   "Use a newer version of this program");
        if (area == VDSO && (v->end - v->start > VDSO_MAX || !own_code()))
                return kind_refuse(&kind_vma_vdso, f, err, "a [vdso] of an unexpected size", NULL);
        return 0;
}

static int unchanged(const struct obj *o, size_t n, struct err *err)
{
        _cleanup_free_ uint8_t *theirs = malloc(n);
        size_t got;

        if (!theirs)
                return kind_nomem(err);
        _cleanup_close_ int mem = sys_openat(o->procfd, "mem", O_RDONLY, 0);
        if (mem < 0)
                return err_sys(err, EX_FAIL, mem, "cannot open in /proc", "%s", "mem");
        int r = fd_pread_full(mem, theirs, n, (off_t)o->facts.vma.vma->start, &got, err);
        if (r < 0)
                return r;
        if (r || memcmp(theirs, own_code(), n) != 0)
                return kind_refuse(&kind_vma_vdso, &o->facts, err, "a [vdso] that it has written into", NULL);
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct proc_vma *v = o->facts.vma.vma;
        struct utsname u;
        int r;

        (void)d;
        (void)fd;
        (void)t;
        Gantry__VmaVdso *m = KIND_NEW(Gantry__VmaVdso, gantry__vma_vdso__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->mm = o->facts.vma.mm;
        m->start = v->start;
        m->end = v->end;
        m->area = area_of(v->name);
        if (m->area == VDSO) {
                r = unchanged(o, v->end - v->start, err);
                if (r < 0)
                        return r;
                m->has_hash = true;
                m->hash = fnv1a(own_code(), v->end - v->start);
                if (uname(&u) == 0) {
                        r = field_set_text(&m->kernel, u.release, err);
                        if (r < 0)
                                return r;
                        m->has_kernel = true;
                }
        }
        return field_record(&kind_vma_vdso, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__VmaVdso *m = (const Gantry__VmaVdso *)r->msg;
        struct vma_area a = {.mm = m->mm, .start = m->start, .end = m->end};

        (void)need;
        if (m->has_kernel && !field_is_text(&m->kernel, 64))
                return kind_bad(&kind_vma_vdso, r, err, "the name of its kernel is not one");
        if (m->area == VSYSCALL)
                return 0;
        if (m->end - m->start > VDSO_MAX || (m->area == VDSO && !m->has_hash))
                return kind_bad(&kind_vma_vdso, r, err, "its size or hash is impossible");
        return vma_check(&kind_vma_vdso, r, &a, err);
}

static int other_kernel(const Gantry__VmaVdso *m, const char *why, struct err *err)
{
        struct utsname u;
        char theirs[72] = "?";

        if (m->has_kernel)
                (void)field_copy(&m->kernel, theirs, sizeof(theirs));
        (void)uname(&u);
        err_set(err, EX_KERNEL, "the programs were started under another kernel", why, "%s of %s, here %s",
                name_of(m->area), theirs, u.release);
        return err_remedy(err, "Restore on a node with the same kernel");
}

/* Where this area is now, in every stub. */
static int find(struct restore *rs, const Gantry__VmaVdso *m, uint64_t *ret, struct err *err)
{
        const struct vdso_place *p = restore_vdso(rs);

        for (size_t i = 0; i < p->n; i++) {
                if (!str_eq(p->at[i].name, name_of(m->area)))
                        continue;
                if (p->at[i].len != m->end - m->start)
                        return other_kernel(m, "the size of an area differs", err);
                *ret = p->at[i].start;
                return 0;
        }
        return other_kernel(m, "an area does not exist here", err);
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaVdso *m = (const Gantry__VmaVdso *)r->msg;
        uint64_t now;

        if (m->area == VSYSCALL)
                return 0;
        int r2 = find(rs, m, &now, err);
        if (r2 < 0)
                return r2;
        if (m->area == VDSO && (!own_code() || fnv1a(own_code(), m->end - m->start) != m->hash))
                return other_kernel(m, "its code differs", err);
        return 0;
}

/* Its final place is taken by one of the areas as they are now, itself included. */
static bool taken(const struct vdso_place *p, const Gantry__VmaVdso *m)
{
        for (size_t i = 0; i < p->n; i++)
                if (m->start < p->at[i].start + p->at[i].len && p->at[i].start < m->end)
                        return true;
        return false;
}

static uint64_t waiting_place(const struct vdso_place *p, uint64_t now)
{
        return p->scratch + (now - p->at[0].start);
}

static void move(struct restore *rs, const struct record *r, uint64_t from, uint64_t to)
{
        const Gantry__VmaVdso *m = (const Gantry__VmaVdso *)r->msg;
        struct tape *t = vma_tape(rs, m->mm);
        uint64_t len = m->end - m->start;

        tape_label(t, "move %s (vma-vdso %llu)", name_of(m->area), (unsigned long long)r->id);
        uint32_t e = TAPE(t, __NR_mremap, A_IMM(from), A_IMM(len), A_IMM(len), A_IMM(MREMAP_MAYMOVE | MREMAP_FIXED),
                          A_IMM(to));
        tape_expect(t, e, (int64_t)to);
}

static int plan_space(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaVdso *m = (const Gantry__VmaVdso *)r->msg;
        const struct vdso_place *p = restore_vdso(rs);
        uint64_t now;

        if (m->area == VSYSCALL)
                return 0;
        int r2 = find(rs, m, &now, err);
        if (r2 < 0)
                return r2;
        if (now != m->start)
                move(rs, r, now, taken(p, m) ? waiting_place(p, now) : m->start);
        return 0;
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__VmaVdso *m = (const Gantry__VmaVdso *)r->msg;
        const struct vdso_place *p = restore_vdso(rs);
        uint64_t now;

        if (m->area == VSYSCALL)
                return 0;
        int r2 = find(rs, m, &now, err);
        if (r2 < 0)
                return r2;
        if (now != m->start && taken(p, m))
                move(rs, r, waiting_place(p, now), m->start);
        return 0;
}

const struct kind kind_vma_vdso = {
        .stem = "vma-vdso",
        .number = KIND_VMA_VDSO,
        .cls = CLS_VMA,
        .msg = &gantry__vma_vdso__descriptor,
        .pages = PAGES_NONE,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground, [PH_SPACE] = plan_space, [PH_MEMORY] = plan_memory},
};
