/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private memory: heap, advice of every kind, protections, locks, reservations, pages far apart, names. */
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "tests/victim/smaps.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#define MIB (1ul << 20)

struct area { const char *what; size_t size; int prot, map, advice; bool write, lock, onfault; unsigned char *at; struct seen seen; };

static struct area areas[] = {
        {.what = "plain", .size = 3 * MIB, .prot = PROT_READ | PROT_WRITE, .write = true},
        {.what = "noreserve", .size = 64 * MIB, .prot = PROT_READ | PROT_WRITE, .map = MAP_NORESERVE, .write = true},
        {.what = "none", .size = MIB, .prot = PROT_NONE},
        {.what = "written, then read-only", .size = MIB, .prot = PROT_READ, .write = true},
        {.what = "written, then execute", .size = 65536, .prot = PROT_READ | PROT_EXEC, .write = true},
        {.what = "grows down", .size = MIB, .prot = PROT_READ | PROT_WRITE, .map = MAP_GROWSDOWN, .write = true},
        {.what = "no huge pages", .size = 4 * MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_NOHUGEPAGE, .write = true},
        {.what = "huge pages", .size = 4 * MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_HUGEPAGE, .write = true},
        {.what = "not in children", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_DONTFORK, .write = true},
        {.what = "wiped in children", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_WIPEONFORK, .write = true},
        {.what = "not in core dumps", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_DONTDUMP, .write = true},
        {.what = "sequential", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_SEQUENTIAL, .write = true},
        {.what = "random", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_RANDOM, .write = true},
        {.what = "mergeable", .size = MIB, .prot = PROT_READ | PROT_WRITE, .advice = MADV_MERGEABLE, .write = true},
        {.what = "locked", .size = 65536, .prot = PROT_READ | PROT_WRITE, .write = true, .lock = true},
        {.what = "locked on fault", .size = 65536, .prot = PROT_READ | PROT_WRITE, .lock = true, .onfault = true},
};
#define N (sizeof(areas) / sizeof(areas[0]))

static void build(struct area *a, unsigned seed)
{
        /* A guard on either side keeps neighbours from merging, whose flags would then be one. */
        a->at = mmap(NULL, a->size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        VICTIM_MUST(a->at != MAP_FAILED);
        a->at = mmap(a->at + 4096, a->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | a->map, -1, 0);
        VICTIM_MUST(a->at != MAP_FAILED);
        if (a->advice)
                VICTIM_MUST(madvise(a->at, a->size, a->advice) == 0);
        if (a->write)
                pattern_fill(a->at + 4096, 40000, seed);
        if (a->lock)
                VICTIM_MUST(mlock2(a->at, a->size, a->onfault ? MLOCK_ONFAULT : 0) == 0);
        if (a->prot != (PROT_READ | PROT_WRITE))
                VICTIM_MUST(mprotect(a->at, a->size, a->prot) == 0);
}

static bool zero(const unsigned char *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

static void verify(struct victim *v, struct area *a, unsigned seed)
{
        smaps_same(v, a->what, a->at, &a->seen);
        if (a->prot == PROT_NONE) {
                VICTIM_CHECK(v, mprotect(a->at, a->size, PROT_READ) == 0, "%s: mprotect: %s", a->what, strerror(errno));
                VICTIM_CHECK(v, zero(a->at, a->size), "%s: not empty", a->what);
                return;
        }
        VICTIM_CHECK(v, zero(a->at, 4096), "%s: its first page is not empty", a->what);
        if (a->write)
                VICTIM_CHECK(v, pattern_is(a->at + 4096, 40000, seed), "%s: the content differs", a->what);
        if (a->prot & PROT_WRITE) {
                a->at[a->size - 1] = 7;
                VICTIM_CHECK(v, a->at[a->size - 1] == 7, "%s: cannot be written", a->what);
        }
}

int main(int argc, char **argv)
{
        struct victim v;
        unsigned char *heap, *far;
        static unsigned char bss[300000];

        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < N; i++)
                build(&areas[i], i);
        VICTIM_MUST((heap = malloc(100000)));
        pattern_fill(heap, 100000, 77);
        pattern_fill(bss + 100000, 100000, 78);
        far = mmap(NULL, 1ul << 38, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        VICTIM_MUST(far != MAP_FAILED);
        for (unsigned i = 0; i < 16; i++)
                pattern_fill(far + ((size_t)i << 34), 4096, i);
        for (unsigned i = 0; i < N; i++)
                VICTIM_MUST(smaps_find(areas[i].at, &areas[i].seen));
        void *brk = sbrk(0);

        victim_wait(&v);

        VICTIM_CHECK(&v, sbrk(0) == brk, "the break moved");
        for (unsigned i = 0; i < N; i++)
                verify(&v, &areas[i], i);
        VICTIM_CHECK(&v, pattern_is(heap, 100000, 77), "the heap differs");
        VICTIM_CHECK(&v, pattern_is(bss + 100000, 100000, 78) && zero(bss, 100000), "the bss differs");
        for (unsigned i = 0; i < 16; i++)
                VICTIM_CHECK(&v, pattern_is(far + ((size_t)i << 34), 4096, i), "page %u of the large area differs", i);
        VICTIM_CHECK(&v, sbrk(1 << 20) == brk, "the break cannot grow");
        return victim_end(&v);
}
