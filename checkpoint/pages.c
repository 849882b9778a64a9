/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PAGES: memory flows from its source (a task's private pages, or a shared object once) through the zero filter to the
 * session's sink. The kind of a mapping says what of it counts: nothing, its private pages, all pages, or the object behind.
 *
 * Bytes come through /proc/PID/mem, which reads any protection and needs no help of the task; movers read ahead, this
 * thread filters and puts. A task that has little is read by this thread: to hand it over takes longer. Clean pages of files are never stored: they are in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/pages-int.h"

#define READERS 2
#define AHEAD 12
#define LITTLE 64u   /* pages */

static bool zero_page(const uint8_t *p)
{
        const uint64_t *w = (const uint64_t *)(const void *)p;

        for (size_t i = 0; i < PAGE_BYTES / 8; i += 8)
                if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] | w[i + 7])
                        return false;
        return true;
}

/* One finished buffer, cut into runs of data; pages that are zero are not stored: a fresh mapping has them. */
static int put_runs(struct dump *d, const struct move *mv, struct err *err)
{
        for (uint32_t i = 0; i < mv->pages;) {
                uint32_t n = 0;
                while (i < mv->pages && zero_page(mv->buf + (size_t)i * PAGE_BYTES)) {
                        d->stats.zero_pages++;
                        i++;
                }
                while (i + n < mv->pages && !zero_page(mv->buf + (size_t)(i + n) * PAGE_BYTES))
                        n++;
                if (n == 0)
                        continue;
                struct run run = { .mem = mv->mem, .addr = mv->addr + (uint64_t)i * PAGE_BYTES, .pages = n, .what = RUN_DATA };
                int r = d->sink->put(d->sink_ctx, &run, mv->buf + (size_t)i * PAGE_BYTES, err);
                if (r < 0)
                        return r;
                d->stats.pages += n;
                d->stats.bytes += (uint64_t)n * PAGE_BYTES;
                i += n;
        }
        return 0;
}

static int take(struct dump *d, struct movers *m, struct err *err)
{
        struct move mv;
        int r = movers_get(m, &mv, err);

        if (r <= 0)
                return r;
        r = put_runs(d, &mv, err);
        movers_give(m, mv.buf);
        return r;
}

/* Queues [start, end) of one object; addr = offset of what the run's address means. */
static int move_span(struct dump *d, struct movers *m, uint64_t mem, int fd, struct span s, struct err *err)
{
        while (s.start < s.end) {
                uint64_t pages = (s.end - s.start) / PAGE_BYTES;
                struct move mv = { .mem = mem, .addr = s.start, .fd = fd, .file_off = s.start,
                                   .pages = (uint32_t)(pages < RUN_MAX_PAGES ? pages : RUN_MAX_PAGES) };
                while (movers_pending(m) >= AHEAD) {
                        int r = take(d, m, err);
                        if (r < 0)
                                return r;
                }
                int r = movers_put(m, &mv, err);
                if (r < 0)
                        return r;
                s.start += (uint64_t)mv.pages * PAGE_BYTES;
        }
        return 0;
}

static int drain(struct dump *d, struct movers *m, struct err *err)
{
        while (movers_pending(m)) {
                int r = take(d, m, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static uint64_t span_pages(const struct spans *s)
{
        uint64_t n = 0;

        for (size_t i = 0; i < s->n; i++)
                n += (s->at[i].end - s->at[i].start) / PAGE_BYTES;
        return n;
}

/* Nothing is under way. */
static int read_little(struct dump *d, const struct move *from, const struct spans *s, struct err *err)
{
        struct move mv = *from;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n; i++) {
                size_t len = (size_t)(s->at[i].end - s->at[i].start), got = 0;
                mv.addr = s->at[i].start;
                mv.pages = (uint32_t)(len / PAGE_BYTES);
                r = fd_pread_full(mv.fd, mv.buf, len, (off_t)mv.addr, &got, err);
                if (r == 0)
                        r = put_runs(d, &mv, err);
                else if (r > 0)
                        r = err_sys(err, EX_FAIL, EIO, "cannot read memory", "0x%llx", (unsigned long long)(mv.addr + got));
        }
        return r < 0 ? r : 0;
}

static int read_spans(struct dump *d, struct movers *m, const struct move *from, const struct spans *s, struct err *err)
{
        int r = 0;

        if (span_pages(s) <= LITTLE) {
                struct move mv = *from;
                mv.buf = movers_buffer(m);
                if (!mv.buf)
                        return err_sys(err, EX_NOSPC, ENOMEM, "cannot read memory", "%s", "");
                r = read_little(d, &mv, s, err);
                movers_give(m, mv.buf);
                return r;
        }
        for (size_t i = 0; r >= 0 && i < s->n; i++)
                r = move_span(d, m, from->mem, from->fd, s->at[i], err);
        return r < 0 ? r : drain(d, m, err);
}

static int mm_pages(struct dump *d, size_t task, struct movers *m, struct shared *shared, struct err *err)
{
        struct spans spans = {};
        _cleanup_close_ int mem = path_open(d->task[task].procfd, "mem", O_RDONLY, 0, err);
        _cleanup_close_ int pagemap = mem < 0 ? -1 : path_open(d->task[task].procfd, "pagemap", O_RDONLY, 0, err);
        const struct move from = { .mem = d->task[task].mm, .fd = mem };

        if (mem < 0 || pagemap < 0)
                return mem < 0 ? mem : pagemap;
        int r = 0;
        size_t at = d->task[task].vma_from;
        for (const struct dump_obj *x; r >= 0 && (x = dump_next_vma(d, task, &at));) {
                if (!x->kind || (x->kind->pages != PAGES_ANON && x->kind->pages != PAGES_ALL))
                        continue;
                r = scan_pages(pagemap, x->vma->start, x->vma->end, x->kind->pages == PAGES_ANON && x->vma->ino,
                               &spans, err);
        }
        if (r >= 0 && d->n_task > 1)   /* nobody else could share it */
                r = shared_scan(shared, pagemap, &spans, err);
        if (r >= 0)
                r = read_spans(d, m, &from, &spans, err);
        free(spans.at);
        return r;
}

/* The object behind shared mappings, through the descriptor that map_files gives of any mapping of it. */
static int shm_object(struct dump *d, const struct dump_obj *shm, int flags, struct err *err)
{
        const struct dump_obj *x = shm->mapper;
        char name[80];

        snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)x->vma->start, (unsigned long long)x->vma->end);
        return path_open(d->task[x->task].procfd, name, flags, 0, err);
}

static int shm_pages(struct dump *d, const struct dump_obj *x, struct movers *m, struct err *err)
{
        _cleanup_close_ int fd = shm_object(d, x, O_RDONLY, err);
        off_t at = 0, end;

        if (fd < 0)
                return fd;
        while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
                end = lseek(fd, at, SEEK_HOLE);
                if (end < 0)
                        break;
                struct span s = { (uint64_t)at & ~(uint64_t)(PAGE_BYTES - 1),
                                  ((uint64_t)end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1) };
                int r = move_span(d, m, x->o.id, fd, s, err);
                if (r < 0)
                        return r;
                at = end;
        }
        return drain(d, m, err);
}

int dump_pages(struct dump *d, struct err *err)
{
        struct movers *m = NULL;
        struct shared shared;
        int r = shared_begin(&shared, err);

        if (r >= 0)
                r = movers_new(READERS, &m, err);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < d->n_obj; i++)
                if (d->obj[i]->o.cls == CLS_SHM)
                        r = shm_pages(d, d->obj[i], m, err);
        for (size_t i = 0; r >= 0 && i < d->n_task; i++)
                r = mm_pages(d, i, m, &shared, err);
        movers_free(m);
        d->stats.unshared_pages = shared_extra(&shared);
        shared_done(&shared);
        if (r >= 0 && d->sink->sync)
                r = d->sink->sync(d->sink_ctx, err);
        return r;
}
