/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces of a restore: a place for the agent that is free in every memory of the image and in the stub, the
 * clearing of what the stub had mapped itself, and the filling of pages.
 *
 * Pages are written through /proc/PID/mem, which takes any protection (also r-x and PROT_NONE), by movers; shared objects
 * through the descriptor that their first mapping gave.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/pages-int.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/tree.pb-c.h"

#define WRITERS 2
#define AHEAD 12

static bool overlaps(const Gantry__Tree *m, uint64_t start, uint64_t end)
{
        for (size_t i = 0; i < m->n_mm; i++)
                for (size_t k = 0; k + 1 < m->mm[i]->n_span; k += 2)
                        if (m->mm[i]->span[k] < end && start < m->mm[i]->span[k + 1])
                                return true;
        return false;
}

/* From 256 GiB upwards in steps: far from executables, heaps, and from where mmap and stacks go. */
int space_choose_agent(struct restore *rs, struct err *err)
{
        const Gantry__Tree *m = (const Gantry__Tree *)(const void *)rs->tree->msg;

        for (uint64_t at = UINT64_C(0x4000000000); at < UINT64_C(0x500000000000); at += UINT64_C(0x1000000000))
                if (!overlaps(m, at, at + AGENT_ROOM)) {
                        rs->agent_addr = at;
                        return 0;
                }
        return err_set(err, EX_UNSUPPORTED, "cannot restore the container", "no address is free in all of its processes", "%s", "");
}

struct clear { struct tape *t; uint64_t start, len; };

static int each_map(void *ctx, const struct proc_vma *v)
{
        struct clear *c = ctx;

        if (v->start >= c->start && v->end <= c->start + c->len)
                return 0;
        if (str_starts(v->name, "[vdso]") || str_starts(v->name, "[vvar") || str_starts(v->name, "[vsyscall]"))
                return 0;
        TAPE(c->t, SYS_munmap, A_IMM(v->start), A_IMM(v->end - v->start));
        return 0;
}

/* Only the agent and the kernel's own areas stay; vma-vdso moves those to where they were. */
int space_clear(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                struct clear c = { .t = restore_tape(rs, (struct actor){ ACTOR_TASK, t->id }) };
                tracee_agent_range(t->thread[0].tracee, &c.start, &c.len);
                tape_label(c.t, "clear the address space");
                int r = proc_smaps_read(t->procfd, each_map, &c, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- pages ---- */

struct fill { struct restore *rs; struct movers *m; uint64_t mem; int fd; bool own; };

/* The descriptor behind a run's memory; -1: bytes that a kind reads by itself. */
static int target_of(struct fill *f, uint64_t mem, struct err *err)
{
        if (f->mem == mem)
                return 0;
        /* What is under way still uses the old descriptor. */
        while (movers_pending(f->m)) {
                struct move mv;
                int r = movers_get(f->m, &mv, err);
                if (r < 0)
                        return r;
                movers_give(f->m, mv.buf);
        }
        if (f->own)
                fd_close(f->fd);
        f->own = false;
        f->fd = -1;
        f->mem = mem;
        for (size_t i = 0; i < f->rs->n_task; i++)
                if (f->rs->task[i].mm == mem) {
                        f->fd = path_open(f->rs->task[i].procfd, "mem", O_RDWR, 0, err);
                        f->own = true;
                        return f->fd < 0 ? f->fd : 0;
                }
        if (!restore_record(f->rs, mem))
                f->fd = object_fd(f->rs, mem);   /* a shared memory object has no record of its own */
        return 0;
}

static int fill_run(struct fill *f, const struct run *run, uint8_t *buf, struct err *err)
{
        int r = target_of(f, run->mem, err);

        if (r < 0 || f->fd < 0 || run->what == RUN_ZERO) {
                movers_give(f->m, buf);
                return r;
        }
        while (movers_pending(f->m) >= AHEAD) {
                struct move mv;
                r = movers_get(f->m, &mv, err);
                if (r < 0) {
                        movers_give(f->m, buf);
                        return r;
                }
                movers_give(f->m, mv.buf);
        }
        struct move mv = { .mem = run->mem, .addr = run->addr, .pages = run->pages, .fd = f->fd, .write = true, .buf = buf,
                           .file_off = run->addr };
        return movers_put(f->m, &mv, err);
}

static int fill_all(struct fill *f, void *src, struct err *err)
{
        for (;;) {
                struct run run = {};
                uint8_t *buf = movers_buffer(f->m);
                if (!buf)
                        return kind_nomem(err);
                int r = image_page_source.next(src, &run, buf, (size_t)PAGE_BYTES * RUN_MAX_PAGES, err);
                if (r <= 0) {
                        movers_give(f->m, buf);
                        return r;
                }
                r = fill_run(f, &run, buf, err);
                if (r < 0)
                        return r;
        }
}

int fill_pages(struct restore *rs, struct err *err)
{
        struct fill f = { .rs = rs, .fd = -1 };
        void *src = NULL;
        int r = image_pages_new(rs->img, &src, err);

        if (r < 0)
                return r;
        r = movers_new(WRITERS, &f.m, err);
        if (r >= 0)
                r = fill_all(&f, src, err);
        while (r >= 0 && movers_pending(f.m)) {
                struct move mv;
                r = movers_get(f.m, &mv, err);
                if (r >= 0)
                        movers_give(f.m, mv.buf);
        }
        movers_free(f.m);
        if (f.own)
                fd_close(f.fd);
        image_page_source.done(src);
        return r < 0 ? r : 0;
}
