/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/smaps.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/procfs.h"
#include "base/str.h"

static const char text[] =
        "00400000-00452000 r-xp 00001000 fd:10 173521      /usr/bin/a b\\012c (deleted)\n"
        "Size:                328 kB\nKernelPageSize:        4 kB\nRss:                 100 kB\nAnonymous:             8 kB\n"
        "Swap:                  4 kB\nSwapPss:               1 kB\nTHPeligible:           0\nProtectionKey:         3\nVmFlags: rd ex mr mw me sd \n"
        "7f0000000000-7f0000001000 ---s 00000000 00:00 0 \n"
        "Rss:                   0 kB\nVmFlags: mr me\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
        "VmFlags: ex\n";

struct got {
        struct proc_vma v[8];
        size_t n;
        int answer;
};

static int keep(void *ctx, const struct proc_vma *v)
{
        struct got *g = ctx;

        if (g->n < ELEMENTSOF(g->v))
                g->v[g->n++] = *v;
        return g->answer;
}

Test(smaps, entries)
{
        struct got *g = calloc(1, sizeof(*g));
        struct err e = {};

        cr_assert_eq(proc_smaps_parse(text, strlen(text), keep, g, &e), 0, "%s", e.on);
        cr_assert_eq(g->n, 3);
        const struct proc_vma *v = &g->v[0];
        cr_assert_eq(v->start, 0x400000);
        cr_assert_eq(v->end, 0x452000);
        cr_assert_eq(v->pgoff, 0x1000);
        cr_assert_eq(v->major, 0xfd);
        cr_assert_eq(v->minor, 0x10);
        cr_assert_eq(v->ino, 173521);
        cr_assert(v->r && !v->w && v->x && !v->shared);
        cr_assert_eq(v->rss, 100 << 10);
        cr_assert_eq(v->anonymous, 8 << 10);
        cr_assert_eq(v->swap, 4 << 10);
        cr_assert_eq(v->pkey, 3);
        cr_assert_eq(g->v[1].pkey, 0);
        cr_assert_str_eq(v->name, "/usr/bin/a b\nc (deleted)");
        cr_assert_str_eq(v->flags, "rd ex mr mw me sd");
        cr_assert(proc_vma_flag(v, "rd") && proc_vma_flag(v, "sd") && proc_vma_flag(v, "mw"));
        cr_assert_not(proc_vma_flag(v, "wr"));
        cr_assert_not(proc_vma_flag(v, "d "));
        cr_assert(g->v[1].shared && !g->v[1].r);
        cr_assert_str_eq(g->v[1].name, "");
        cr_assert_eq(g->v[1].rss, 0);
        cr_assert_str_eq(g->v[2].name, "[vsyscall]");
        cr_assert_eq(g->v[2].end, 0xffffffffff601000);
        free(g);
}

Test(smaps, stops_when_told)
{
        struct got *g = calloc(1, sizeof(*g));

        g->answer = 5;
        cr_assert_eq(proc_smaps_parse(text, strlen(text), keep, g, NULL), 5);
        cr_assert_eq(g->n, 1);
        free(g);
}

Test(smaps, refuses)
{
        static const char *const bad[] = {
                "Rss: 1 kB\n",                                             /* no entry yet */
                "1000-1000 r--p 0 00:00 0 \n",                             /* empty */
                "2000-1000 r--p 0 00:00 0 \n",                             /* backwards */
                "2000-3000 r--p 0 00:00 0 \n1000-2000 r--p 0 00:00 0 \n",  /* out of order */
                "1000-3000 r--p 0 00:00 0 \n2000-4000 r--p 0 00:00 0 \n",  /* overlapping */
                "1000-2000 r--p 0 00:00 0 ",                               /* no end of line */
                "1000-2000 rwx 0 00:00 0 \n",
                "1000-2000 r--q 0 00:00 0 \n",
                "1000-2000 r--p 0 100000000:00 0 \n",
                "1000-2000 r--p 0 00:00 0 \nRss: x kB\n",
                "1000-2000 r--p 0 00:00 0 \nRss: 99999999999999999 kB\n",
                "1000-2000 r--p 0 00:00 0 \nRss: 1 MB\n",
                "10000000000000000-20000000000000000 r--p 0 00:00 0 \n",
        };
        struct got *g = calloc(1, sizeof(*g));

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_lt(proc_smaps_parse(bad[i], strlen(bad[i]), keep, g, NULL), 0, "%zu", i);
        free(g);
}

Test(smaps, names_have_a_limit)
{
        struct got *g = calloc(1, sizeof(*g));
        struct strbuf b = {};

        strbuf_adds(&b, "1000-2000 r--p 0 00:00 5 /");
        for (int i = 0; i < 4094; i++)
                strbuf_adds(&b, "\\012");
        strbuf_adds(&b, "\n");
        cr_assert_eq(proc_smaps_parse(b.s, b.len, keep, g, NULL), 0);
        cr_assert_eq(strlen(g->v[0].name), 4095);
        b.len--;
        strbuf_adds(&b, "y\n");
        cr_assert_lt(proc_smaps_parse(b.s, b.len, keep, g, NULL), 0, "a cut name would be another file");
        strbuf_done(&b);
        free(g);
}

struct want {
        uint64_t addr;
        int found;
};

static int find(void *ctx, const struct proc_vma *v)
{
        struct want *w = ctx;

        if (v->start <= w->addr && w->addr < v->end) {
                w->found++;
                cr_expect(v->shared);
                cr_expect(v->w);
                cr_expect(proc_vma_flag(v, "dc"), "%s", v->flags);
                cr_expect(strstr(v->name, "/memfd:a\nb (deleted)"), "%s", v->name);
                cr_expect_geq(v->rss, 4096);
        }
        return 0;
}

Test(smaps, own)
{
        struct err e = {};
        _cleanup_close_ int self = proc_open(getpid(), &e), fd = memfd_create("a\nb", MFD_CLOEXEC);

        cr_assert_eq(ftruncate(fd, 8192), 0);
        char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(p, MAP_FAILED);
        cr_assert_eq(madvise(p, 8192, MADV_DONTFORK), 0);
        p[0] = 1;
        struct want w = {.addr = (uint64_t)(uintptr_t)p};
        cr_assert_eq(proc_smaps_read(self, find, &w, &e), 0, "%s", e.on);
        cr_assert_eq(w.found, 1);
}
