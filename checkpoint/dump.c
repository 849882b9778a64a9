/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dump session.
 *
 *      NEW ──freeze──► STOPPED ──walk, claim──► WALKED ──quiesce──► QUIET ──read, pages──► READ ──park──► PARKED ──offer──► OFFERED
 *       │                 │                        │                  │                     │                │                │
 *       └─────────────────┴────────────────────────┴──────resume──────┴─────────────────────┴────────────────┘          kill, or resume
 *                                                                                                              when the answer was VOID
 *
 * Invariants, checked by dump_assert_state():
 *   1. From STOPPED to READ every thread has a tracee; from PARKED on none has.
 *   2. From STOPPED to PARKED the guard lives (where the subject has a cgroup); in OFFERED it does not.
 *   3. The network is blocked from QUIET to OFFERED, and a socket is in repair only there.
 *   4. session_resume() leads from every state to ENDED with the container running as it was.
 *
 * Not here: stopping (freeze.c), the walk (collect*.c), quiesce and cure (dump-quiet.c), records (dump-read.c), memory (pages.c), and
 * what is left to give back (dump-end.c).
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/pidfd.h"
#include "checkpoint/collect.h"
#include "checkpoint/cpu.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/freeze.h"

static void dump_assert_state(const struct dump *d)
{
        bool traced = d->state >= DUMP_STOPPED && d->state <= DUMP_READ;

        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++)
                        assert((d->task[i].thread[k].tracee != NULL) == traced);
        assert(d->state != DUMP_OFFERED || d->guard < 0);
        (void)traced;
}

static void stamp(const struct subject *s, const char *name)
{
        if (s->timers && name)
                timers_start(s->timers, name);
        else if (s->timers)
                timers_stop(s->timers);
}

#define DRAIN_NS UINT64_C(2000000000)

static int refuse_orphans(uint64_t n, struct err *err)
{
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint the container's network",
                "TCP connections that no program holds (not accepted yet, or closed with data still to send) did not go away in 2 s",
                "%llu", (unsigned long long)n);
        return err_remedy(err, "try again; a program that does not accept, or a client that does not read, holds them");
}

/* Connections that no descriptor reaches cannot be dumped: they are waited for while the container runs, and looked for again
 * once it stands still, because new ones come at any time. */
static int stop_drained(struct dump *d, unsigned ms, struct err *err)
{
        uint64_t end = now_ns() + DRAIN_NS, orphans = 0;

        for (;;) {
                int r = dump_orphans(d, &orphans, err);
                if (r >= 0 && orphans == 0) {
                        stamp(&d->s, "freeze");
                        r = dump_stop(d, ms, err);
                        if (r >= 0)
                                r = dump_orphans(d, &orphans, err);
                        if (r >= 0 && orphans == 0)
                                return 0;
                        (void)dump_unstop(d, NULL);
                }
                if (r < 0)
                        return r;
                if (now_ns() >= end)
                        return refuse_orphans(orphans, err);
                struct timespec pause = { .tv_nsec = 10000000 };
                nanosleep(&pause, NULL);
        }
}

/* A dump holds two descriptors of each process and one of each thread. */
static void want_files(void)
{
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &l);   /* else the one that is missing says so */
        }
}

int session_freeze(const struct subject *s, unsigned ms, struct dump **ret, struct err *err)
{
        struct dump *d = calloc(1, sizeof(*d));

        if (!d)
                return kind_nomem(err);
        d->s = *s;
        d->guard = d->guard_pidfd = -1;
        want_files();
        int r = cpu_flags_read(&d->cpu_flags, err);
        if (r >= 0)
                r = dump_fresh_settings(d, err);
        if (r >= 0 && s->cgroup_fd >= 0)
                r = guard_start(d, err);
        if (r >= 0)
                r = stop_drained(d, ms, err);
        if (r < 0) {
                guard_end(d);
                dump_free(d);
                return r;
        }
        r = executor_ptrace(dump_tracee, d, &d->ptrace, err);
        if (r < 0) {
                (void)session_resume(d, NULL);
                return r;
        }
        d->have_ptrace = true;
        dump_assert_state(d);
        *ret = d;
        return 0;
}

int session_dump(struct dump *d, const struct record_sink *rs, const struct page_sink_ops *ps, void *ps_ctx, struct err *err)
{
        d->sink = ps;
        d->sink_ctx = ps_ctx;
        stamp(&d->s, "walk");
        int r = dump_walk(d, err);
        if (r >= 0)
                r = dump_claim(d, NULL, err);
        stamp(&d->s, "quiesce");
        if (r >= 0)
                r = dump_settle(d, err);
        if (r >= 0)
                r = dump_block(d, err);
        if (r >= 0)
                r = dump_quiesce(d, err);
        stamp(&d->s, "records");
        if (r >= 0)
                r = dump_records(d, rs, err);
        stamp(&d->s, "pages");
        if (r >= 0)
                r = dump_pages(d, err);
        stamp(&d->s, NULL);
        if (r < 0)
                return r;
        d->state = DUMP_READ;
        dump_assert_state(d);
        return 0;
}

int session_park_source(struct dump *d, struct err *err)
{
        int r = dump_agents_drop(d, err);

        if (r >= 0 && d->s.cgroup_fd >= 0)
                r = cgroup_freeze_write(d->s.cgroup_fd, err);
        if (r < 0)
                return r;
        d->frozen = true;
        r = dump_release(d, err);
        if (r < 0)
                return r;
        d->state = DUMP_PARKED;
        dump_assert_state(d);
        return 0;
}

int session_offer(struct dump *d, struct err *err)
{
        (void)err;
        guard_end(d);
        d->state = DUMP_OFFERED;
        dump_assert_state(d);
        return 0;
}

int session_resume(struct dump *d, struct err *err)
{
        if (!d)
                return 0;
        struct err first = {};
        int r = dump_cure(d, &first);
        int q = dump_release(d, r < 0 ? NULL : &first);
        if (q < 0)
                (void)subject_freeze_below(&d->s, NULL); /* nobody comes after us who would */
        if (r >= 0)
                r = q;
        q = subject_thaw(&d->s, d->blocked, r < 0 ? NULL : &first);
        if (r >= 0)
                r = q;
        guard_end(d);
        d->state = DUMP_ENDED;
        dump_free(d);
        if (r < 0 && err)
                *err = first;
        return r;
}

int session_cure(const struct subject *s, struct err *err)
{
        struct err first = {};
        int r = 0;

        if (s->outside && s->outside->network)
                r = s->outside->network(s->ctx, false, &first);
        int q = subject_repair_off(s, r < 0 ? NULL : &first);
        if (r >= 0)
                r = q;
        q = subject_freeze_below(s, r < 0 ? NULL : &first);
        if (r >= 0)
                r = q;
        q = subject_thaw(s, false, r < 0 ? NULL : &first);
        if (r >= 0)
                r = q;
        if (r < 0 && err)
                *err = first;
        return r;
}

int session_kill(const struct subject *s, struct dump *d, struct err *err)
{
        int r = 0;

        if (s->cgroup_fd >= 0)
                r = cgroup_kill(s->cgroup_fd, err);
        else
                (void)pidfd_signal(s->init_pidfd, SIGKILL, NULL);
        if (d) {
                dump_end_tasks(d); /* they are dying: nothing is played in them any more */
                guard_end(d);
                d->state = DUMP_ENDED;
                dump_free(d);
        }
        if (s->cgroup_fd < 0)
                pidfd_end(s->init_pidfd);
        /* A killed task must be thawed to die on v1; on v2 cgroup.kill is enough, and a leftover freeze would hold the next one. */
        if (s->cgroup_fd >= 0) {
                int q = cgroup_thaw(s->cgroup_fd, r < 0 ? NULL : err);
                if (r >= 0)
                        r = q;
        }
        return r;
}

int session_probe(const struct subject *s, struct findings *ret, struct err *err)
{
        /* What only the tasks know needs them to stand still; the walk does not. It is the same walk, over a short stop: the
         * tasks are let go before anything is asked of them. */
        struct dump *d = NULL;
        int r = session_freeze(s, 2000, &d, err);

        if (r < 0)
                return r;
        struct err e = {};
        r = dump_walk(d, &e);
        if (r >= 0)
                r = dump_claim(d, ret, &e);
        else
                r = findings_add(ret, &e);
        int q = session_resume(d, err);
        return r < 0 ? r : q;
}
