/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all kinds of mappings share (vma.h): VmFlags to bits and back to calls.
 *
 * Every letter pair that fs/proc/task_mmu.c of 6.1 to 6.18 can print is in one table: restored by a call, implied by the
 * others, or refused by name; a pair that the table does not know is refused as well. Facts it rests on: MAP_NORESERVE
 * only where `nr` was set, or the mapping loses `ac`; a private mapping that counts (`ac`) without being writable is made
 * writable, filled, and protected in PH_ATTR, as the program once did; MAP_GROWSDOWN mappings end where smaps says, the
 * gap below is the kernel's own; MAP_DROPPABLE (6.11) brings dc-like advice of its own (wf, dd, nr). Protection keys stand beside
 * the flags; the kernel itself uses one for memory that can only be executed, whenever such a mapping is made.
 *
 * Not here: the content, which the session fills in, and user faults, which have a kind of their own.
 */
#include "checkpoint/kind/vma.h"

#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* 6.11 */
#endif

enum fate { RESTORED, IMPLIED, REFUSED };
static const struct row { const char pair[3]; enum fate fate; uint32_t bit; const char *what; } rows[] = {
        {"rd", IMPLIED, 0, NULL}, /* r, w, x and s come from the head line */
        {"wr", IMPLIED, 0, NULL},
        {"ex", IMPLIED, 0, NULL},
        {"sh", IMPLIED, 0, NULL},
        {"mr", IMPLIED, 0, NULL}, /* follow from the descriptor's mode and the mount */
        {"mw", RESTORED, VMA_MAYWRITE, NULL},
        {"me", IMPLIED, 0, NULL},
        {"ms", IMPLIED, 0, NULL},
        {"sd", IMPLIED, 0, NULL}, /* soft dirty: a tracker's bit */
        {"gd", RESTORED, VMA_GROWSDOWN, NULL},
        {"lo", RESTORED, VMA_LOCKED, NULL},
        {"lf", RESTORED, VMA_LOCKONFAULT, NULL},
        {"sr", RESTORED, VMA_SEQUENTIAL, NULL},
        {"rr", RESTORED, VMA_RANDOM, NULL},
        {"dc", RESTORED, VMA_DONTFORK, NULL},
        {"wf", RESTORED, VMA_WIPEONFORK, NULL},
        {"dd", RESTORED, VMA_DONTDUMP, NULL},
        {"ac", RESTORED, VMA_ACCOUNT, NULL},
        {"nr", RESTORED, VMA_NORESERVE, NULL},
        {"hg", RESTORED, VMA_HUGEPAGE, NULL},
        {"nh", RESTORED, VMA_NOHUGEPAGE, NULL},
        {"mg", RESTORED, VMA_MERGEABLE, NULL},
        {"dp", RESTORED, VMA_DROPPABLE, NULL},
        {"de", REFUSED, 0, "a mapping of a driver that must not grow"},
        {"pf", REFUSED, 0, "a mapping of raw page frames"},
        {"io", REFUSED, 0, "a mapping of device memory"},
        {"mm", REFUSED, 0, "a mapping of mixed pages"},
        {"ht", REFUSED, 0, "huge pages of hugetlbfs"},
        {"sf", REFUSED, 0, "a synchronous mapping of persistent memory"},
        {"ar", REFUSED, 0, "an architecture's own kind of mapping"},
        {"mt", REFUSED, 0, "tagged memory"},
        {"bt", REFUSED, 0, "memory with branch targets"},
        {"um", REFUSED, 0, "memory under userfaultfd"},
        {"uw", REFUSED, 0, "memory under userfaultfd"},
        {"ui", REFUSED, 0, "memory under userfaultfd"},
        {"ss", REFUSED, 0, "a shadow stack"},
        {"sl", REFUSED, 0, "memory sealed by mseal()"},
        {"gu", REFUSED, 0, "memory with guard pages"},
};

static const struct row *find(const char *pair)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].pair[0] == pair[0] && rows[i].pair[1] == pair[1])
                        return &rows[i];
        return NULL;
}

static int flags_of(const struct kind *k, const struct facts *f, uint32_t *ret, struct err *err)
{
        char what[96];
        uint32_t bits = 0;

        for (const char *p = f->vma.vma->flags; *p; p += strcspn(p, " "), p += *p == ' ') {
                const struct row *row = strcspn(p, " ") == 2 ? find(p) : NULL;
                if (!row) {
                        snprintf(what, sizeof(what), "a mapping with the unknown property \"%.2s\"", p);
                        return kind_refuse(k, f, err, what, "Use a newer version of this program");
                }
                if (row->fate == REFUSED)
                        return kind_refuse(k, f, err, row->what, NULL);
                bits |= row->bit;
        }
        const struct proc_vma *v = f->vma.vma;
        if (f->vma.locked)
                return kind_refuse(k, f, err, "a mapping of a file with a lock or a lease", "Let the program release the lock");
        if (v->pkey && (v->r || v->w || !v->x))
                return kind_refuse(k, f, err, "memory under a protection key (pkey_mprotect)", "Start the program without protection keys");
        *ret = bits;
        return 0;
}

int vma_refuse(const struct kind *k, const struct facts *f, struct err *err)
{
        uint32_t bits;

        return flags_of(k, f, &bits, err);
}

int vma_take(const struct kind *k, const struct obj *o, struct vma_area *ret, struct err *err)
{
        const struct proc_vma *v = o->facts.vma.vma;
        struct vma_area a = {.mm = o->facts.vma.mm, .start = v->start, .end = v->end};
        int r = flags_of(k, &o->facts, &a.flags, err);

        if (r < 0)
                return r;
        a.prot = (v->r ? PROT_READ : 0u) | (v->w ? PROT_WRITE : 0u) | (v->x ? PROT_EXEC : 0u);
        *ret = a;
        return 0;
}

int vma_check(const struct kind *k, const struct record *r, const struct vma_area *a, struct err *err)
{
        if (!a->mm)
                return kind_bad(k, r, err, "it belongs to no address space");
        if (a->start >= a->end || a->start % 4096 || a->end % 4096)
                return kind_bad(k, r, err, "its addresses are not a range of pages");
        if (!a->start || a->end > VMA_TOP)
                return kind_bad(k, r, err, "its addresses are not a program's");
        if (a->prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
                return kind_bad(k, r, err, "unknown protection");
        if (a->flags & ~(uint32_t)VMA_ALL)
                return kind_bad(k, r, err, "unknown flags");
        if ((a->flags & VMA_LOCKONFAULT) && !(a->flags & VMA_LOCKED))
                return kind_bad(k, r, err, "locked on fault, but not locked");
        if ((a->flags & VMA_HUGEPAGE) && (a->flags & VMA_NOHUGEPAGE))
                return kind_bad(k, r, err, "huge pages both wished and refused");
        return 0;
}

static void advise(struct tape *t, const struct vma_area *a)
{
        static const struct { uint32_t bit; int advice; } advices[] = {
                {VMA_SEQUENTIAL, MADV_SEQUENTIAL}, {VMA_RANDOM, MADV_RANDOM},     {VMA_DONTFORK, MADV_DONTFORK},
                {VMA_WIPEONFORK, MADV_WIPEONFORK}, {VMA_DONTDUMP, MADV_DONTDUMP}, {VMA_HUGEPAGE, MADV_HUGEPAGE},
                {VMA_NOHUGEPAGE, MADV_NOHUGEPAGE}, {VMA_MERGEABLE, MADV_MERGEABLE},
        };

        for (size_t i = 0; i < ELEMENTSOF(advices); i++) {
                if (!(a->flags & advices[i].bit))
                        continue;
                if ((a->flags & VMA_DROPPABLE) && (advices[i].bit & (VMA_WIPEONFORK | VMA_DONTDUMP)))
                        continue; /* set by the kernel; madvise refuses to set them again */
                TAPE(t, __NR_madvise, A_IMM(a->start), A_IMM(a->end - a->start), A_IMM(advices[i].advice));
        }
}

/* Was writable once and counts since: it must be written into before its protection is lowered, or the kernel stops
 * counting an anonymous mapping (6.2 and later, where no page of it exists). */
bool vma_protects(const struct vma_area *a)
{
        return (a->flags & VMA_ACCOUNT) && !(a->prot & PROT_WRITE);
}

void vma_map(struct tape *t, const struct vma_area *a, unsigned map, struct arg fd, uint64_t offset)
{
        uint64_t len = a->end - a->start;
        bool private = (map & MAP_TYPE) == MAP_PRIVATE;
        uint32_t prot = private && vma_protects(a) ? PROT_READ | PROT_WRITE : a->prot;

        map |= MAP_FIXED_NOREPLACE;
        if (a->flags & VMA_NORESERVE)
                map |= MAP_NORESERVE;
        if (a->flags & VMA_GROWSDOWN)
                map |= MAP_GROWSDOWN;
        if (private && (a->flags & VMA_DROPPABLE))
                map = (map & ~(unsigned)MAP_TYPE) | MAP_DROPPABLE;
        uint32_t e = TAPE(t, __NR_mmap, A_IMM(a->start), A_IMM(len), A_IMM(prot), A_IMM(map), fd, A_IMM(offset));
        tape_expect(t, e, (int64_t)a->start);
        advise(t, a);
}

void vma_protect(struct tape *t, const struct vma_area *a)
{
        TAPE(t, __NR_mprotect, A_IMM(a->start), A_IMM(a->end - a->start), A_IMM(a->prot));
}

void vma_lock(struct tape *t, const struct vma_area *a)
{
        if (a->flags & VMA_LOCKED)
                TAPE(t, __NR_mlock2, A_IMM(a->start), A_IMM(a->end - a->start),
                     A_IMM(a->flags & VMA_LOCKONFAULT ? MLOCK_ONFAULT : 0));
}

struct tape *vma_tape(struct restore *rs, uint64_t mm)
{
        return restore_tape(rs, restore_owner(rs, mm));
}

void vma_name(struct tape *t, const struct vma_area *a, const char *name)
{
        uint32_t text = tape_str(t, name);
        uint32_t e = TAPE(t, __NR_prctl, A_IMM(PR_SET_VMA), A_IMM(PR_SET_VMA_ANON_NAME), A_IMM(a->start),
                          A_IMM(a->end - a->start), A_DATA(text));

        tape_may_fail(t, e, 22 /* EINVAL: the kernel keeps no names, so nobody could read it either */);
}
