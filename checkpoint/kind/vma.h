/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all kinds of mappings share: where one is, its protection, the bits of VmFlags that a restore has to bring about,
 * and the calls that do. Each kind's message carries these fields under the same names.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "checkpoint/kind/kind.h"

/* Bits of the message field `flags`; numbers are part of the format. */
enum {
        VMA_ACCOUNT = 1u << 0,    /* ac: counted against the commit limit, also when it is not writable now */
        VMA_NORESERVE = 1u << 1,  /* nr */
        VMA_GROWSDOWN = 1u << 2,  /* gd */
        VMA_LOCKED = 1u << 3,     /* lo */
        VMA_LOCKONFAULT = 1u << 4, /* lf */
        VMA_SEQUENTIAL = 1u << 5, /* sr */
        VMA_RANDOM = 1u << 6,     /* rr */
        VMA_DONTFORK = 1u << 7,   /* dc */
        VMA_WIPEONFORK = 1u << 8, /* wf */
        VMA_DONTDUMP = 1u << 9,   /* dd */
        VMA_HUGEPAGE = 1u << 10,  /* hg */
        VMA_NOHUGEPAGE = 1u << 11, /* nh */
        VMA_MERGEABLE = 1u << 12, /* mg */
        VMA_MAYWRITE = 1u << 13,  /* mw: mprotect() may make it writable */
        VMA_DROPPABLE = 1u << 14, /* dp */
        VMA_ALL = (1u << 15) - 1,
};

struct vma_area { uint64_t mm, start, end; uint32_t prot, flags; };
#define VMA_OF(m) ((struct vma_area){(m)->mm, (m)->start, (m)->end, (m)->prot, (m)->flags})
#define VMA_INTO(m, a)                                                                                       \
        do {                                                                                                 \
                (m)->mm = (a).mm;                                                                            \
                (m)->start = (a).start;                                                                      \
                (m)->end = (a).end;                                                                          \
                (m)->prot = (a).prot;                                                                        \
                (m)->flags = (a).flags;                                                                      \
        } while (0)

/* From facts. <0 (EX_UNSUPPORTED) names a VmFlags pair that a restore cannot bring about. */
int vma_take(const struct kind *k, const struct obj *o, struct vma_area *ret, struct err *err);
/* The refusal half of it, for kind.refuse. */
int vma_refuse(const struct kind *k, const struct facts *f, struct err *err);
/* Hostile input: alignment, order, the user's half of the address space, unknown bits. */
int vma_check(const struct kind *k, const struct record *r, const struct vma_area *a, struct err *err);

/* mmap() at its place (MAP_FIXED_NOREPLACE) with `map` (MAP_PRIVATE …), then advice. One of vma_protects() stays writable until
 * vma_protect() in PH_ATTR, when its pages are there. `fd` A_IMM(-1) for none. */
void vma_map(struct tape *t, const struct vma_area *a, unsigned map, struct arg fd, uint64_t offset);
bool vma_protects(const struct vma_area *a);
void vma_protect(struct tape *t, const struct vma_area *a);
/* mlock, after pages are filled and RLIMIT_MEMLOCK is set; nothing if it is not locked. */
void vma_lock(struct tape *t, const struct vma_area *a);
/* The tape of this phase of the task that makes this mm's mappings. */
struct tape *vma_tape(struct restore *rs, uint64_t mm);
/* "[anon:NAME]": PR_SET_VMA_ANON_NAME where the kernel has it (5.17, CONFIG_ANON_VMA_NAME). */
void vma_name(struct tape *t, const struct vma_area *a, const char *name);

/* The largest address a mapping may end at (47 bits; 57-bit mappings are refused by check). */
#define VMA_TOP UINT64_C(0x7ffffffff000)
