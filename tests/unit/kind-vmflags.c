/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VmFlags: real mappings of this process go through dump and restore and show the same flags afterwards; pairs that cannot be
 * brought about are refused by name, as are unknown ones.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/procfs.h"
#include "proto/vma-anon.pb-c.h"
#include "tests/unit/harness.h"

#define SIZE (64u << 12)

struct search { uint64_t at; struct proc_vma *ret; };

static int each(void *ctx, const struct proc_vma *v)
{
        struct search *s = ctx;

        if (v->start <= s->at && s->at < v->end)
                *s->ret = *v;
        return 0;
}

static struct proc_vma look(const void *at)
{
        static struct proc_vma v;
        struct search s = {(uint64_t)(uintptr_t)at, &v};
        int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        v = (struct proc_vma){};
        cr_assert_eq(proc_smaps_read(fd, each, &s, NULL), 0);
        close(fd);
        return v;
}

static void round_trip(const char *what, int prot, int map, int advice, bool write)
{
        /* A wall on either side, so that no neighbour with the same flags melts into it. */
        char *p = mmap(NULL, SIZE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        struct kt *t = kt_new();

        p = mmap(p + 4096, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | map, -1, 0);
        cr_assert_neq(p, MAP_FAILED);
        if (advice)
                cr_assert_eq(madvise(p, SIZE, advice), 0, "%s", what);
        if (write)
                memset(p, 1, SIZE);
        cr_assert_eq(mprotect(p, SIZE, prot), 0);
        struct proc_vma before = look(p);
        struct facts f = {.cls = CLS_VMA, .vma = {.vma = &before, .mm = 99}};
        kt_add(t, &kind_vma_anon, &f);
        kt_dump(t);
        cr_assert_eq(munmap(p, SIZE), 0);
        kt_restore(t);
        /* The pages that the session would have filled in between keep what counts counted (vma.c). */
        struct proc_vma after = look(p);
        cr_assert_eq(after.start, before.start, "%s", what);
        cr_assert_eq(after.end, before.end, "%s", what);
        if (!(write && !(prot & PROT_WRITE)))
                cr_assert_str_eq(after.flags, before.flags, "%s", what);
        kt_free(t);
}

Test(kind_vmflags, round_trips)
{
        const int rw = PROT_READ | PROT_WRITE;

        round_trip("plain", rw, 0, 0, true);
        round_trip("noreserve", rw, MAP_NORESERVE, 0, true);
        round_trip("none", PROT_NONE, 0, 0, false);
        round_trip("grows down", rw, MAP_GROWSDOWN, 0, true);
        round_trip("nohugepage", rw, 0, MADV_NOHUGEPAGE, true);
        round_trip("dontfork", rw, 0, MADV_DONTFORK, true);
        round_trip("wipeonfork", rw, 0, MADV_WIPEONFORK, true);
        round_trip("dontdump", rw, 0, MADV_DONTDUMP, true);
        round_trip("sequential", rw, 0, MADV_SEQUENTIAL, false);
        round_trip("random", rw, 0, MADV_RANDOM, false);
        round_trip("read-only", PROT_READ, 0, 0, true);
        round_trip("code", PROT_READ | PROT_EXEC, 0, 0, true);
}

static int refused(const char *flags)
{
        struct proc_vma v = {.start = 0x10000000, .end = 0x10001000, .r = true, .w = true};
        struct facts f = {.cls = CLS_VMA, .comm = "x", .shown_pid = 5, .vma = {.vma = &v, .mm = 1}};
        struct err err = {};

        str_copy(v.flags, sizeof(v.flags), flags);
        int r = kind_vma_anon.refuse(&f, &err);
        cr_assert(r == 0 || err.why[0], "%s: no reason", flags);
        return r;
}

Test(kind_vmflags, refusals)
{
        static const char *const bad[] = {"sl", "gu", "um", "uw", "ui", "ss", "ht", "io", "pf", "de", "mm", "sf", "ar", "mt", "bt",
                                          "??", "zz", "rdx", "r"};

        cr_assert_eq(refused("rd wr mr mw me ac sd"), 0);
        cr_assert_eq(refused("rd wr ex sh mr mw me ms gd lo lf sr rr dc wf dd ac nr nh mg dp sd"), 0);
        cr_assert_eq(refused(""), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char flags[64];
                snprintf(flags, sizeof(flags), "rd wr %s sd", bad[i]);
                cr_assert_eq(refused(flags), -EX_UNSUPPORTED, "%s", flags);
        }
}

/* The kernel's own for memory that can only be executed comes back by itself. */
Test(kind_vmflags, protection_keys)
{
        struct proc_vma v = {.start = 0x10000, .end = 0x11000, .r = true, .pkey = 5, .flags = "rd mr mw me sd"};
        struct facts f = {.cls = CLS_VMA, .vma = {.vma = &v, .mm = 99}};

        cr_assert_eq(kind_vma_anon.refuse(&f, NULL), -EX_UNSUPPORTED);
        v.r = false;
        cr_assert_eq(kind_vma_anon.refuse(&f, NULL), -EX_UNSUPPORTED, "one that nobody may touch");
        v.x = true;
        cr_assert_eq(kind_vma_anon.refuse(&f, NULL), 0);
        v.x = false;
        v.pkey = 0;
        cr_assert_eq(kind_vma_anon.refuse(&f, NULL), 0);
}
