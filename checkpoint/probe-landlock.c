/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is a thread in a Landlock domain? The kernel shows it nowhere, and every thread may have one of its own.
 *
 * A domain has at most 16 layers (5.19+), and landlock_restrict_self adds one. So a child of the thread, which inherits its
 * domain, adds layers until it may not (E2BIG): 16 times when the thread is free, less when it is not.
 *
 *      clone3 by tape ──► adopted at its first stop ──► plays a tape ──► SIGKILL, reaped by us ──► wait4 by the thread's tape
 *
 * The thread cannot notice: the child shares its memory, descriptors and directories (nothing is copied, nothing flushed or closed
 * when it ends), has no exit signal, runs nothing but the agent, and is reaped. While it lives it dies with us
 * (PTRACE_O_EXITKILL). It takes one number of the pid namespace and one of the cgroup's processes; where there is none
 * left, that is said. rseq, robust list and alternate stack are not inherited with CLONE_VM, so it writes to nothing of the thread's.
 *
 * Where many threads have the same ids one of them is probed, and the others look at it, a call each: who is in a domain may
 * not look (ptrace(2), kcmp(2) …) at a process that is not in it (5.13+). One that is let is free, if the other is. One that is not may
 * have other reasons, and is probed.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/pidfd.h"
#include "checkpoint/child.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define CREATE_RULESET_VERSION 1u
#define ACCESS_FS_EXECUTE 1u
#define END_MS 10000   /* of a killed child, on a busy node */
enum { LAYERS = 16, TRIES = LAYERS + 1 };

struct probe {
        struct dump_task *t;
        struct dump_thread *th;
        struct tape *clone, *count, *wait;
        int64_t vpid;                     /* what clone3 said; 0: it was not asked */
        pid_t pid;                        /* 0: not found yet */
        struct tracee *in;
        uint32_t first;                   /* entry of the first layer */
};

struct probes { struct probe *at; size_t n; };

bool landlock_here(void)
{
        return syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION) >= 0 || (errno != ENOSYS && errno != EOPNOTSUPP);
}

static struct tracee *find_child(void *ctx, struct actor who)
{
        const struct probes *p = ctx;

        for (size_t i = 0; i < p->n; i++)
                if (p->at[i].th->id == who.id)
                        return p->at[i].in;
        return NULL;
}

static struct actor actor_of(const struct probe *p)
{
        return (struct actor){ ACTOR_THREAD, p->th->id };
}

/* ---- the tapes ---- */

static struct tape *clone_tape(const struct probe *p)
{
        struct clone_args a = { .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_PTRACE };
        struct tape *t = tape_new(actor_of(p));

        if (!t)
                return NULL;
        tape_label(t, "make a child that looks for Landlock");
        uint32_t at = tape_data(t, &a, sizeof(a));
        tape_may_fail(t, TAPE(t, SYS_clone3, A_DATA(at), A_IMM(sizeof(a))), 0);
        return t;
}

static struct tape *count_tape(struct probe *p)
{
        uint64_t handled = ACCESS_FS_EXECUTE;
        struct tape *t = tape_new(actor_of(p));

        if (!t)
                return NULL;
        tape_label(t, "count the layers that Landlock still allows");
        uint32_t attr = tape_data(t, &handled, sizeof(handled));
        TAPE(t, SYS_prctl, A_IMM(PR_SET_NO_NEW_PRIVS), A_IMM(1), A_IMM(0), A_IMM(0), A_IMM(0));
        uint32_t rules = TAPE(t, SYS_landlock_create_ruleset, A_DATA(attr), A_IMM(sizeof(handled)), A_IMM(0));
        for (unsigned i = 0; i < TRIES; i++) {
                uint32_t e = TAPE(t, SYS_landlock_restrict_self, A_RET(rules), A_IMM(0));
                tape_may_fail(t, e, E2BIG);
                if (i == 0)
                        p->first = e;
        }
        TAPE(t, SYS_close, A_RET(rules));   /* the table is the thread's own */
        return t;
}

static struct tape *wait_tape(const struct probe *p, bool again)
{
        struct tape *t = tape_new(actor_of(p));

        if (!t)
                return NULL;
        tape_label(t, "reap the child that looked for Landlock");
        uint32_t e = TAPE(t, SYS_wait4, A_IMM(p->vpid), A_IMM(0), A_IMM((unsigned)__WALL), A_IMM(0));
        if (again)
                tape_may_fail(t, e, ECHILD); /* it was reaped after all, and that alone was not learned */
        else
                tape_expect(t, e, p->vpid);
        return t;
}

/* Those that have a tape, side by side. */
static int play(const struct executor *x, struct probes *p, struct tape *(*of)(const struct probe *), struct err *err)
{
        _cleanup_free_ struct tape **t = calloc(p->n, sizeof(*t));
        size_t n = 0;

        if (!t)
                return kind_nomem(err);
        for (size_t i = 0; i < p->n; i++)
                if (of(&p->at[i]))
                        t[n++] = of(&p->at[i]);
        return n ? executor_play(x, t, n, err) : 0;
}

static struct tape *the_clone(const struct probe *p) { return p->clone; }
static struct tape *the_count(const struct probe *p) { return p->count; }
static struct tape *the_wait(const struct probe *p) { return p->wait; }

/* ---- its life ---- */

static int make(struct dump *d, struct probes *p, struct err *err)
{
        for (size_t i = 0; i < p->n; i++) {
                p->at[i].clone = clone_tape(&p->at[i]);
                if (!p->at[i].clone)
                        return kind_nomem(err);
        }
        int r = play(&d->ptrace, p, the_clone, err);
        for (size_t i = 0; i < p->n; i++)
                p->at[i].vpid = tape_ret(p->at[i].clone, 0);   /* INT64_MIN: nobody knows */
        return r;
}

static int adopt(struct probe *p, struct err *err)
{
        p->pid = child_by_number(p->th->tid, (uint32_t)p->vpid);
        if (p->pid < 0) {
                p->pid = 0;
                return err_set(err, EX_FAIL, "cannot look for Landlock", "the child is not to be found", "process %d", (int)p->t->vpid);
        }
        int r = tracee_adopt(p->pid, TRACEE_EXITKILL, &p->in, err);
        if (r >= 0)
                r = tracee_agent_inherit(p->in, p->th->tracee, err);
        if (r < 0)
                return r;
        p->count = count_tape(p);
        return p->count ? 0 : kind_nomem(err);
}

static int count(struct probe *p, struct err *err)
{
        unsigned free = 0;

        while (free < TRIES && tape_ret(p->count, p->first + free) == 0)
                free++;
        if (free == TRIES) {
                err_set(err, EX_UNSUPPORTED, "cannot look for Landlock", "this kernel allows more layers than are known here",
                        "process %d (%s)", (int)p->t->vpid, p->th->stat.comm);
                return err_remedy(err, "please report it with the kernel's version (uname -r)");
        }
        if (free < LAYERS)
                p->th->seen |= TASK_SEEN_LANDLOCK;
        p->th->landlock_known = true;
        return 0;
}

static bool is_task(const void *ctx, pid_t pid)
{
        const struct dump *d = ctx;

        for (size_t i = 0; i < d->n_task; i++)
                if (d->task[i].pid == pid)
                        return true;
        return false;
}

/* A tape that failed after its clone3 has no result to tell: all tasks are known, so a child that we trace beside them is ours. */
static void find_again(const struct dump *d, struct probe *p)
{
        uint32_t vpid = 0;

        if (p->pid > 0 || (p->vpid < 0 && p->vpid != INT64_MIN))
                return;
        p->pid = p->vpid > 0 ? child_by_number(p->th->tid, (uint32_t)p->vpid) : child_traced(p->th->tid, is_task, d, &vpid);
        if (vpid)
                p->vpid = vpid;
}

/* true: it is dying. What could not be adopted is reaped here. */
static bool kill_one(const struct dump *d, struct probe *p)
{
        siginfo_t si;

        find_again(d, p);
        if (p->pid <= 0)
                return false;
        _cleanup_close_ int fd = pidfd_open_proc(p->pid, NULL);
        if (fd < 0)
                fd = pidfd_open_proc(p->pid, NULL);
        bool killed = fd >= 0 && (pidfd_signal(fd, SIGKILL, NULL) >= 0 || pidfd_signal(fd, SIGKILL, NULL) >= 0);
        if (killed && !p->in)
                (void)waitid(P_PID, (id_t)p->pid, &si, WEXITED | __WALL);
        return killed;
}

/* A play that failed in one place has left others undone. A zombie would stay with its parent for as long as that lives. */
static void wait_again(struct dump *d, struct probes *p)
{
        for (size_t i = 0; i < p->n; i++) {
                struct probe *x = &p->at[i];
                if (!x->wait || tape_ret(x->wait, 0) == x->vpid)
                        continue;
                tape_free(x->wait);
                x->wait = wait_tape(x, true);
                if (x->wait)
                        (void)executor_play(&d->ptrace, &x->wait, 1, NULL); /* the first failure is the one to tell */
        }
}

/* All killed, reaped by us as their tracer; then it is their parents' turn. */
static int end_all(struct dump *d, struct probes *p, struct err *err)
{
        _cleanup_free_ struct tracee **in = calloc(p->n, sizeof(*in));

        if (!in)
                return kind_nomem(err);
        for (size_t i = 0; i < p->n; i++) {
                if (kill_one(d, &p->at[i]))
                        p->at[i].wait = wait_tape(&p->at[i], false);
                in[i] = TAKE_PTR(p->at[i].in);
        }
        tracee_end(in, p->n, END_MS);
        int r = play(&d->ptrace, p, the_wait, err);
        if (r < 0)
                wait_again(d, p);
        return r;
}

/* One child per thread, all at the same time. *ret_full: so many could not be made (EAGAIN), their vpid tells. */
static int round_of(struct dump *d, struct probes *p, size_t *ret_full, struct err *err)
{
        struct executor x = {};
        int r = make(d, p, err);

        *ret_full = 0;
        for (size_t i = 0; r >= 0 && i < p->n; i++) {
                if (p->at[i].vpid == -EAGAIN)
                        (*ret_full)++;
                else if (p->at[i].vpid < 0)
                        r = err_sys(err, EX_FAIL, (int)p->at[i].vpid, "cannot look for Landlock", "process %d (%s)",
                                    (int)p->at[i].t->vpid, p->at[i].th->stat.comm);
                else
                        r = adopt(&p->at[i], err);
        }
        if (r >= 0)
                r = executor_ptrace(find_child, p, &x, err);
        if (r >= 0) {
                r = play(&x, p, the_count, err);
                executor_done(&x);
        }
        for (size_t i = 0; r >= 0 && i < p->n; i++)
                if (p->at[i].vpid > 0)
                        r = count(&p->at[i], err);
        int q = end_all(d, p, r < 0 ? NULL : err);
        return r < 0 ? r : q;
}

static void probes_done(struct probes *p)
{
        for (size_t i = 0; p->at && i < p->n; i++) {
                tape_free(p->at[i].clone);
                tape_free(p->at[i].count);
                tape_free(p->at[i].wait);
        }
        free(p->at);
}

static int refuse_full(const struct probe *p, struct err *err)
{
        err_set(err, EX_BUSY, "cannot look for Landlock", "no process can be made beside it: a limit is reached", "process %d (%s)",
                (int)p->t->vpid, p->th->stat.comm);
        return err_remedy(err, "raise the container's limit of processes by one (pids in its ct.conf, or pids.max inside), or end a process");
}

int landlock_probe(struct dump *d, const struct thread_at *at, size_t n, struct err *err)
{
        struct probes all = { calloc(n ? n : 1, sizeof(*all.at)), n };
        size_t full = 0;

        if (!all.at)
                return kind_nomem(err);
        for (size_t i = 0; i < n; i++)
                all.at[i] = (struct probe){ .t = &d->task[at[i].task], .th = &d->task[at[i].task].thread[at[i].thread] };
        int r = round_of(d, &all, &full, err);
        bool few = n > 1;   /* near a limit there may be room for one */
        for (size_t i = 0; r >= 0 && full && i < n; i++) {
                if (all.at[i].vpid != -EAGAIN)
                        continue;
                if (few)
                        r = landlock_probe(d, at + i, 1, err);
                else
                        r = refuse_full(&all.at[i], err);
        }
        probes_done(&all);
        return r < 0 ? r : 0;
}

/* ---- crowds ---- */

#define CROWD_MIN 8u   /* fewer are probed as fast as they are asked */

struct member { uint64_t ids; size_t at; };

static int by_ids(const void *a, const void *b)
{
        const struct member *x = a, *y = b;

        if (x->ids != y->ids)
                return x->ids < y->ids ? -1 : 1;
        return x->at < y->at ? -1 : x->at > y->at;
}

/* The real user and group: kcmp(2) goes by them. */
static uint64_t ids_of(const struct dump_thread *th)
{
        const char *uid = proc_kv_get(th->kv, th->n_kv, "Uid"), *gid = proc_kv_get(th->kv, th->n_kv, "Gid");
        uint64_t u = 0, g = 0;

        if (!uid || !gid || !scan_u64(&uid, &u) || !scan_u64(&gid, &g))
                return UINT64_MAX;
        return u << 32 | (g & UINT32_MAX);
}

size_t landlock_crowds(struct dump *d, const struct thread_at *at, size_t n, struct thread_at first[LANDLOCK_CROWDS])
{
        _cleanup_free_ struct member *m = n < CROWD_MIN ? NULL : calloc(n, sizeof(*m));
        size_t crowds = 0;

        if (!m)
                return 0;   /* each by itself, then */
        for (size_t i = 0; i < n; i++)
                m[i] = (struct member){ ids_of(&d->task[at[i].task].thread[at[i].thread]), i };
        qsort(m, n, sizeof(*m), by_ids);
        for (size_t from = 0, to; from < n && crowds < LANDLOCK_CROWDS; from = to) {
                for (to = from; to < n && m[to].ids == m[from].ids; to++)
                        ;
                if (to - from < CROWD_MIN)
                        continue;
                first[crowds++] = at[m[from].at];
                for (size_t i = from; i < to; i++)
                        d->task[at[m[i].at].task].thread[at[m[i].at].thread].crowd = crowds;
        }
        return crowds;
}

/* A thread can always look at its own process: that says nothing. */
void landlock_witnesses(struct dump *d, const struct thread_at *at, size_t n, const struct thread_at first[LANDLOCK_CROWDS])
{
        for (size_t i = 0; i < n; i++) {
                struct dump_thread *th = &d->task[at[i].task].thread[at[i].thread];
                const struct thread_at *f = th->crowd ? &first[th->crowd - 1] : NULL;
                const struct dump_thread *other = f ? &d->task[f->task].thread[f->thread] : NULL;
                if (f && f->task != at[i].task && other->landlock_known && !(other->seen & TASK_SEEN_LANDLOCK))
                        th->witness = d->task[f->task].vpid;
        }
}

uint32_t landlock_look(struct tape *t, pid_t witness)
{
        uint32_t e = TAPE(t, SYS_kcmp, A_IMM(witness), A_IMM(witness), A_IMM(KCMP_VM), A_IMM(0), A_IMM(0));

        tape_may_fail(t, e, 0);
        return e;
}
