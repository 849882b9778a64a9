/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that move page bytes between tasks and buffers: pread and pwrite on /proc/PID/mem (any protection), or on the
 * file behind a shared memory object, 1 MiB at a time.
 *
 * One wait-free queue of liburcu carries work to the threads. Results are taken in the order in which work was put, so
 * that an image of an unchanged tree has the same bytes each time: each move has a slot in a ring, and the taker waits for
 * the oldest. The ring's length bounds memory.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu/wfcqueue.h>

#include "base/err.h"
#include "base/sys.h"
#include "checkpoint/pages-int.h"

#define RING 16
#define BUFFER ((size_t)PAGE_BYTES * RUN_MAX_PAGES)

struct slot {
        struct cds_wfcq_node node;
        struct move mv;
        sem_t done;
        bool stop;
};

struct movers {
        struct cds_wfcq_head head;
        struct cds_wfcq_tail tail;
        sem_t work;
        struct slot ring[RING];
        size_t first, count;       /* oldest slot under way, and how many are */
        pthread_t thread[8];
        unsigned n_thread;
        uint8_t *spare[RING + 2];
        size_t n_spare;
};

static int move_bytes(const struct move *mv)
{
        size_t left = (size_t)mv->pages * PAGE_BYTES, done = 0;

        while (left > 0) {
                off_t off = (off_t)(mv->file_off + done);
                int64_t n = mv->write ? sys_pwrite(mv->fd, mv->buf + done, left, off) : sys_pread(mv->fd, mv->buf + done, left, off);
                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? (int)n : -EIO;
                done += (size_t)n;
                left -= (size_t)n;
        }
        return 0;
}

static void *mover(void *arg)
{
        struct movers *m = arg;

        for (;;) {
                while (sem_wait(&m->work) < 0)
                        ;
                struct cds_wfcq_node *node = cds_wfcq_dequeue_blocking(&m->head, &m->tail);
                if (!node)
                        continue;
                struct slot *s = caa_container_of(node, struct slot, node);
                if (s->stop) {
                        free(s);
                        return NULL;
                }
                s->mv.error = move_bytes(&s->mv);
                sem_post(&s->done);
        }
}

int movers_new(unsigned threads, struct movers **ret, struct err *err)
{
        struct movers *m = calloc(1, sizeof(*m));

        if (!m)
                return err_sys(err, EX_NOSPC, ENOMEM, "cannot start the page movers", "%s", "");
        cds_wfcq_init(&m->head, &m->tail);
        sem_init(&m->work, 0, 0);
        for (size_t i = 0; i < RING; i++)
                sem_init(&m->ring[i].done, 0, 0);
        for (unsigned i = 0; i < threads && i < 8; i++) {
                int r = pthread_create(&m->thread[i], NULL, mover, m);
                if (r) {
                        movers_free(m);
                        return err_sys(err, EX_NOSPC, r, "cannot start the page movers", "thread %u", i);
                }
                m->n_thread++;
        }
        *ret = m;
        return 0;
}

uint8_t *movers_buffer(struct movers *m)
{
        if (m->n_spare)
                return m->spare[--m->n_spare];
        void *p = NULL;
        return posix_memalign(&p, PAGE_BYTES, BUFFER) == 0 ? p : NULL;
}

void movers_give(struct movers *m, uint8_t *buf)
{
        if (buf && m->n_spare < RING + 2)
                m->spare[m->n_spare++] = buf;
        else
                free(buf);
}

size_t movers_pending(const struct movers *m)
{
        return m->count;
}

/* The caller keeps fewer than RING under way: it takes before it puts more. */
int movers_put(struct movers *m, const struct move *mv, struct err *err)
{
        if (m->count == RING)
                return err_set(err, EX_FAIL, "cannot queue pages", "the ring is full", "%s", "");
        struct slot *s = &m->ring[(m->first + m->count) % RING];
        s->mv = *mv;
        if (!s->mv.buf && !(s->mv.buf = movers_buffer(m)))
                return err_sys(err, EX_NOSPC, ENOMEM, "cannot queue pages", "%s", "");
        cds_wfcq_node_init(&s->node);
        m->count++;
        cds_wfcq_enqueue(&m->head, &m->tail, &s->node);
        sem_post(&m->work);
        return 0;
}

int movers_get(struct movers *m, struct move *ret, struct err *err)
{
        if (m->count == 0)
                return 0;
        struct slot *s = &m->ring[m->first];
        while (sem_wait(&s->done) < 0)
                ;
        m->first = (m->first + 1) % RING;
        m->count--;
        *ret = s->mv;
        if (s->mv.error < 0) {
                movers_give(m, s->mv.buf);
                return err_sys(err, EX_FAIL, s->mv.error, s->mv.write ? "cannot write memory" : "cannot read memory",
                               "memory %llu at %#llx", (unsigned long long)s->mv.mem, (unsigned long long)s->mv.addr);
        }
        return 1;
}

void movers_free(struct movers *m)
{
        struct move mv;

        if (!m)
                return;
        while (m->count) {
                if (movers_get(m, &mv, NULL) == 1)
                        movers_give(m, mv.buf);
        }
        for (unsigned i = 0; i < m->n_thread; i++) {
                struct slot *stop = calloc(1, sizeof(*stop));
                if (!stop)
                        return;   /* the threads stay; the process is out of memory */
                stop->stop = true;
                cds_wfcq_node_init(&stop->node);
                cds_wfcq_enqueue(&m->head, &m->tail, &stop->node);
                sem_post(&m->work);
        }
        for (unsigned i = 0; i < m->n_thread; i++)
                pthread_join(m->thread[i], NULL);
        for (size_t i = 0; i < m->n_spare; i++)
                free(m->spare[i]);
        for (size_t i = 0; i < RING; i++)
                sem_destroy(&m->ring[i].done);
        sem_destroy(&m->work);
        cds_wfcq_destroy(&m->head, &m->tail);
        free(m);
}
