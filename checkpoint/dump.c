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
 * Not here: stopping (freeze.c), the walk (collect*.c), memory (pages.c).
 */
#include <assert.h>
#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "checkpoint/cpu.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/image.h"
#include "checkpoint/kind/cgdir.h"

/* One record to be: an object and a kind that speaks of it. */
struct pair { struct dump_obj *x; const struct kind *k; struct tape *t; };

static void dump_assert_state(const struct dump *d)
{
        bool traced = d->state >= DUMP_STOPPED && d->state <= DUMP_READ;

        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++)
                        assert((d->task[i].thread[k].tracee != NULL) == traced);
        assert(d->state != DUMP_OFFERED || d->guard < 0);
        (void)traced;
}

static struct tracee *find_tracee(void *ctx, struct actor who)
{
        struct dump *d = ctx;
        struct dump_obj *x = dump_find(d, who.id);

        return x ? d->task[x->task].thread[x->thread].tracee : NULL;
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

int session_freeze(const struct subject *s, unsigned ms, struct dump **ret, struct err *err)
{
        struct dump *d = calloc(1, sizeof(*d));

        if (!d)
                return kind_nomem(err);
        d->s = *s;
        d->guard = d->guard_pidfd = -1;
        int r = dump_fresh_settings(d, err);
        if (r >= 0 && s->cgroup_fd >= 0)
                r = guard_start(d, err);
        if (r >= 0)
                r = stop_drained(d, ms, err);
        if (r < 0) {
                guard_end(d);
                dump_free(d);
                return r;
        }
        r = executor_ptrace(find_tracee, d, &d->ptrace, err);
        if (r < 0) {
                (void)session_resume(d, NULL);
                return r;
        }
        d->have_ptrace = true;
        dump_assert_state(d);
        *ret = d;
        return 0;
}

/* ---- the pairs ---- */

static bool speaks(const struct kind *k, const struct dump_obj *x)
{
        if (!k->take || k->cls != x->o.cls)
                return false;
        if (x->kind)
                return x->kind == k;
        return !k->claim || k->claim(&x->o.facts) == 1;
}

/* In order of kind number, then of object: the order of the records in the image. */
static int pairs_of(struct dump *d, struct pair **ret, size_t *ret_n, struct err *err)
{
        size_t n_kinds, n = 0, cap = 0;
        const struct kind *const *k = kind_table(&n_kinds);

        *ret = NULL;
        for (size_t i = 0; i < n_kinds; i++)
                for (size_t j = 0; j < d->n_obj; j++) {
                        if (!speaks(k[i], d->obj[j]))
                                continue;
                        if (n == cap) {
                                cap = cap ? cap * 2 : 512;
                                struct pair *grown = realloc(*ret, cap * sizeof(*grown));
                                if (!grown)
                                        return kind_nomem(err);
                                *ret = grown;
                        }
                        (*ret)[n++] = (struct pair){ .x = d->obj[j], .k = k[i] };
                }
        *ret_n = n;
        return 0;
}

static void pairs_free(struct pair *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                tape_free(p[i].t);
        free(p);
}

static int with_fd(struct dump *d, struct dump_obj *x, int *ret, struct err *err)
{
        *ret = -1;
        if (x->o.cls == CLS_MOUNT)
                *ret = mount_root_open(d, x, err);
        else if (x->o.cls == CLS_FILE)
                *ret = dump_dup(d, x, err);
        else
                return 0;
        return *ret < 0 && err_is_set(err) ? *ret : 0;
}

/* ---- QUIESCE and CURE ---- */

#define SETTLE_NS UINT64_C(5000000)

/* Before the port closes: what is in flight when it does would be lost, and come again only after a second. */
static int settle(struct dump *d, struct err *err)
{
        uint64_t end = now_ns() + SETTLE_NS;
        bool again = true;

        while (again) {
                again = false;
                for (size_t i = 0; i < d->n_obj; i++) {
                        struct dump_obj *x = d->obj[i];
                        if (!x->kind || !x->kind->settle)
                                continue;
                        _cleanup_close_ int fd = -1;
                        int r = with_fd(d, x, &fd, err);
                        if (r >= 0)
                                r = x->kind->settle(d, &x->o, fd, err);
                        if (r < 0)
                                return r;
                        again |= r == 1;
                }
                again = again && now_ns() < end;
        }
        return 0;
}

/* Every socket goes into repair before any is read: loopback connections go on while tasks stand still. */
static int quiesce(struct dump *d, struct err *err)
{
        for (size_t i = 0; i < d->n_obj; i++) {
                struct dump_obj *x = d->obj[i];
                if (!x->kind || !x->kind->quiesce)
                        continue;
                _cleanup_close_ int fd = -1;
                int r = with_fd(d, x, &fd, err);
                if (r >= 0)
                        r = guard_socket(d, fd, err);
                if (r >= 0)
                        r = x->kind->quiesce(d, &x->o, fd, err);
                if (r < 0)
                        return r;
        }
        d->state = DUMP_QUIET;
        return 0;
}

static int block(struct dump *d, struct err *err)
{
        if (!d->s.outside || !d->s.outside->network)
                return 0;
        d->blocked = true;
        return d->s.outside->network(d->s.ctx, true, err);
}

static int cure(struct dump *d, struct err *err)
{
        int r = 0;

        for (size_t i = 0; d->state >= DUMP_WALKED && i < d->n_obj; i++) {
                struct dump_obj *x = d->obj[i];
                if (!x->kind || !x->kind->cure)
                        continue;
                _cleanup_close_ int fd = -1;
                struct err e = {};
                int q = with_fd(d, x, &fd, &e);
                if (q >= 0)
                        q = x->kind->cure(d, &x->o, fd, &e);
                if (q < 0 && r == 0) {
                        r = q;
                        if (err)
                                *err = e;
                }
        }
        return r;
}

/* ---- READ ---- */

/* The agent goes into every thread that a tape speaks to; threads of a process share its code. It is 64-bit code: a program that is
 * not is left alone until it is refused. */
int dump_agents(struct dump *d, struct err *err)
{
        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++) {
                        struct dump_task *t = &d->task[i];
                        if (t->thread[k].cpu->regs.cs != CODE64_CS)
                                continue;
                        int r = tracee_agent(t->thread[k].tracee, k ? t->thread[0].tracee : NULL, 0, 16384, err);
                        if (r < 0)
                                return err_wrap(err, "cannot put the agent into a task", "process %d (%s)", (int)t->vpid,
                                                t->thread[k].stat.comm);
                }
        return 0;
}

static int ask_all(struct dump *d, struct pair *p, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                if (!p[i].k->ask)
                        continue;
                bool thread = p[i].x->o.cls == CLS_THREAD;
                uint64_t task = d->task[p[i].x->task].id;
                p[i].t = tape_new((struct actor){ thread ? ACTOR_THREAD : ACTOR_TASK, thread ? p[i].x->o.id : task });
                if (!p[i].t)
                        return kind_nomem(err);
                tape_label(p[i].t, "ask %s %llu", p[i].k->stem, (unsigned long long)p[i].x->o.id);
                int r = p[i].k->ask(d, &p[i].x->o, p[i].t);
                if (r < 0)
                        return err_set(err, EX_FAIL, "cannot write a tape", "no memory", "%s", p[i].k->stem);
        }
        return 0;
}

/* Side by side: round r plays the r-th tape of every thread. */
static int play_all(struct dump *d, struct pair *p, size_t n, struct err *err)
{
        _cleanup_free_ struct tape **round = calloc(n ? n : 1, sizeof(*round));
        _cleanup_free_ size_t *last = calloc(d->n_obj + 1, sizeof(*last));
        size_t left = 0;

        if (!round || !last)
                return kind_nomem(err);
        for (size_t i = 0; i < n; i++)
                left += p[i].t && tape_len(p[i].t) > 0;
        for (size_t r = 1; left > 0; r++) {
                size_t m = 0;
                for (size_t i = 0; i < n; i++) {
                        if (!p[i].t || tape_len(p[i].t) == 0 || tape_ret(p[i].t, 0) != INT64_MIN)
                                continue;
                        /* A TASK's tape plays in its leader thread, which may have tapes of its own. */
                        struct dump_obj *x = p[i].x;
                        uint64_t who = d->task[x->task].thread[x->o.cls == CLS_THREAD ? x->thread : 0].id;
                        if (last[who] == r)
                                continue;
                        last[who] = r;
                        round[m++] = p[i].t;
                }
                if (m == 0)
                        break;
                int q = executor_play(&d->ptrace, round, m, err);
                if (q < 0)
                        return q;
                left -= m;
        }
        return 0;
}

static int take_one(struct dump *d, struct pair *p, const struct record_sink *rs, struct err *err)
{
        _cleanup_close_ int fd = -1;
        struct record rec = { .kind = p->k->number, .id = p->x->o.id };
        int r = with_fd(d, p->x, &fd, err);

        if (r >= 0)
                r = p->k->take(d, &p->x->o, fd, p->t, &rec, err);
        if (r == 0)
                r = rs->put(rs->c, &rec, err);
        if (r < 0)
                err_wrap(err, "cannot dump", "%s of process %d (%s)", p->k->stem, (int)p->x->o.facts.shown_pid,
                         p->x->o.facts.comm ? p->x->o.facts.comm : "");
        record_done(&rec);
        return r < 0 ? r : 0;
}

static int read_all(struct dump *d, const struct record_sink *rs, struct err *err)
{
        struct pair *p = NULL;
        size_t n = 0;
        int r = pairs_of(d, &p, &n, err);

        if (r >= 0)
                r = dump_agents(d, err);
        if (r >= 0)
                r = ask_all(d, p, n, err);
        if (r >= 0)
                r = play_all(d, p, n, err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = take_one(d, &p[i], rs, err);
        pairs_free(p, n);
        return r;
}

static int put_tree(struct dump *d, const struct record_sink *rs, struct err *err)
{
        struct record rec = {};
        int r = tree_record(d, &rec, err);

        if (r >= 0)
                r = rs->put(rs->c, &rec, err);
        record_done(&rec);
        return r;
}

static int put_header(struct dump *d, const struct record_sink *rs, struct err *err)
{
        _cleanup_free_ char *flags = NULL;
        const char *cpu[CPU_MAX];
        int r = cpu_flags_read(&flags, err);

        if (r < 0)
                return r;
        const struct image_meta meta = { .uuid = d->s.uuid, .cpu = cpu, .n_cpu = cpu_features(flags, cpu, CPU_MAX) };
        return image_header_put(rs, &meta, err);
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
                r = settle(d, err);
        if (r >= 0)
                r = block(d, err);
        if (r >= 0)
                r = quiesce(d, err);
        stamp(&d->s, "records");
        if (r >= 0)
                r = put_header(d, rs, err);
        if (r >= 0)
                r = put_tree(d, rs, err);
        if (r >= 0)
                r = mounts_records(d, rs, err);
        if (r >= 0)
                r = read_all(d, rs, err);
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
        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = d->task[i].n_thread; k-- > 0;) {
                        int r = tracee_agent_drop(d->task[i].thread[k].tracee, err);
                        if (r < 0)
                                return r;
                }
        int r = d->s.cgroup_fd >= 0 ? cgroup_freeze_write(d->s.cgroup_fd, err) : 0;
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
        int r = cure(d, &first);
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

#define END_MS 10000

static void end_all(struct dump *d)
{
        size_t n = 0, at = 0;

        for (size_t i = 0; i < d->n_task; i++)
                n += d->task[i].n_thread;
        _cleanup_free_ struct tracee **all = calloc(n ? n : 1, sizeof(struct tracee *));
        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = d->task[i].n_thread; k-- > 0;) {
                        if (all)
                                all[at++] = TAKE_PTR(d->task[i].thread[k].tracee);
                        else
                                (void)tracee_detach(TAKE_PTR(d->task[i].thread[k].tracee), NULL);
                }
        if (all)
                tracee_end(all, at, END_MS);
}

int session_kill(const struct subject *s, struct dump *d, struct err *err)
{
        int r = 0;

        if (s->cgroup_fd >= 0)
                r = cgroup_kill(s->cgroup_fd, err);
        else
                (void)pidfd_signal(s->init_pidfd, SIGKILL, NULL);
        if (d) {
                end_all(d); /* they are dying: nothing is played in them any more */
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

/* ---- the end ---- */

void findings_done(struct findings *f)
{
        free(f->at);
        *f = (struct findings){};
}

int findings_add(struct findings *f, const struct err *e)
{
        struct err *grown = realloc(f->at, (f->n + 1) * sizeof(*grown));

        if (!grown)
                return -EX_NOSPC;
        f->at = grown;
        grown[f->n++] = *e;
        return 0;
}

static void obj_free(struct dump_obj *x)
{
        if (!x)
                return;
        free(x->ff);
        free(x->vma);
        free(x->ux);
        cg_seen_free(x->cg);
        free(x->link);
        free(x->fdinfo);
        free(x->path);
        free(x->group);
        if (x->slots)
                free(x->slots[0]);
        free(x->slots);
        free(x);
}

static void task_free(struct dump_task *t)
{
        for (size_t k = 0; k < t->n_thread; k++) {
                struct dump_thread *th = &t->thread[k];
                fd_close(th->procfd);
                free(th->cpu);
                free(th->pending);
                free(th->status);
                free(th->kv);
        }
        free(t->thread);
        free(t->pending);
        free(t->timers);
        free(t->fds);
        fd_close(t->pidfd);
        fd_close(t->procfd);
}

void dump_free(struct dump *d)
{
        if (!d)
                return;
        for (size_t i = 0; i < d->n_obj; i++)
                obj_free(d->obj[i]);
        for (size_t i = 0; i < d->n_task; i++)
                task_free(&d->task[i]);
        for (size_t i = 0; i < d->n_mntns; i++) {
                mountinfo_free(d->mntns[i].m, d->mntns[i].n);
                free(d->mntns[i].id);
                fd_close(d->mntns[i].rootfd);
        }
        for (size_t i = 0; i < d->n_ns; i++)
                fd_close(d->ns[i].fd);
        if (d->have_ptrace)
                executor_done(&d->ptrace);
        nl_free(d->nl);
        net_settings_done(&d->settings);
        net_settings_done(&d->fresh);
        for (size_t i = 0; i < d->n_fresh_socket; i++)
                fd_close(d->fresh_socket[i].fd);
        free(d->signed_tcp);
        free(d->ux);
        free(d->mntns);
        free(d->bucket);
        free(d->obj);
        free(d->task);
        free(d->dead);
        fd_close(d->guard);
        fd_close(d->guard_pidfd);
        free(d);
}

void dump_stats(const struct dump *d, struct session_stats *ret)
{
        *ret = d->stats;
        ret->tasks = d->n_task;
        ret->threads = 0;
        for (size_t i = 0; i < d->n_task; i++)
                ret->threads += d->task[i].n_thread;
}
