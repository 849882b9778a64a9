/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK and CLAIM: everything the kernel shows about the stopped tasks becomes objects with facts, each under one id, and
 * each object is then claimed by exactly one kind or refused by name.
 *
 * Identity is settled here and nowhere else: tables (mm, files, fs, sighand) by kcmp order; open file descriptions by
 * (dev, ino, flags, position) as a filter and kcmp on what is left; namespaces, sockets and pipes by inode. Ids rise in
 * the order of the walk, so that a second dump of an unchanged tree equals the first.
 *
 * Not here: processes that have ended (collect-halted.c), descriptors, mappings, mounts and links (collect-fd.c, collect-vma.c,
 * collect-ns.c), and what only a task itself can tell (collect-seen.c).
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/status.h"

/* ---- tasks and threads ---- */

static int read_thread(struct dump *d, struct dump_task *t, struct dump_thread *th, struct err *err)
{
        size_t len = 0;

        th->procfd = proc_open_thread(t->pid, th->tid, err);
        if (th->procfd < 0)
                return th->procfd;
        int r = proc_stat_read(th->procfd, &th->stat, err);
        if (r < 0)
                return r;
        r = proc_read(th->procfd, "status", &th->status, &len, err);
        if (r < 0)
                return r;
        th->kv = calloc(128, sizeof(*th->kv));
        if (!th->kv)
                return kind_nomem(err);
        r = proc_status_parse(th->status, len, th->kv, 128, &th->n_kv, err);
        if (r < 0)
                return r;
        const char *ignored = proc_kv_get(th->kv, th->n_kv, "SigIgn");
        uint64_t set = 0;
        if (ignored && parse_hex64(ignored, &set, NULL) >= 0)
                tracee_trap_known(th->tracee, set >> (SIGTRAP - 1) & 1);
        th->cpu = calloc(1, sizeof(*th->cpu));
        if (!th->cpu)
                return kind_nomem(err);
        r = sleepers_read(d->s.sleepers, &th->tracee, 1, err);
        if (r < 0)
                return r;
        r = tracee_get(th->tracee, th->cpu, err);
        if (r < 0)
                return r;
        return tracee_pending(th->tracee, false, &th->pending, &th->n_pending, err);
}

/* Leader first, then by the container's number: /proc lists threads in order of creation, which a restore does not repeat. */
static int by_vtid(const void *a, const void *b)
{
        const struct dump_thread *x = a, *y = b;

        return x->vtid < y->vtid ? -1 : x->vtid > y->vtid;
}

static int read_threads(struct dump *d, struct dump_task *t, struct err *err)
{
        for (size_t k = 0; k < t->n_thread; k++) {
                struct dump_thread *th = &t->thread[k];
                int r = read_thread(d, t, th, err);
                if (r < 0)
                        return r;
                th->vtid = dump_innermost(th->kv, th->n_kv, "NSpid", th->tid);
        }
        if (t->n_thread > 2)
                qsort(t->thread + 1, t->n_thread - 1, sizeof(*t->thread), by_vtid);
        const struct dump_thread *lead = &t->thread[0];
        t->vpid = dump_innermost(lead->kv, lead->n_kv, "NStgid", t->pid);
        t->vpgid = dump_innermost(lead->kv, lead->n_kv, "NSpgid", 0);
        t->vsid = dump_innermost(lead->kv, lead->n_kv, "NSsid", 0);
        t->stop_signal = tracee_group_stopped(lead->tracee);
        return 0;
}

/* A leader that has exited before its threads is a zombie beside threads that live. */
static int check_alive(struct dump_task *t, struct err *err)
{
        struct proc_stat st = {};

        if (t->thread[0].tid == t->pid)
                return 0;
        (void)proc_stat_read(t->procfd, &st, NULL);
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a task", "its first thread has exited, others live on", "process %d (%s)",
                (int)t->pid, st.comm);
        return err_remedy(err, "end that process and try again");
}

/* Those without a thread that could be seized have ended: collect-halted.c finds them as somebody's children. */
static void drop_ended(struct dump *d)
{
        size_t n = 0;

        for (size_t i = 0; i < d->n_task; i++) {
                if (d->task[i].n_thread) {
                        d->task[n++] = d->task[i];
                        continue;
                }
                free(d->task[i].thread);
                fd_close(d->task[i].pidfd);
                fd_close(d->task[i].procfd);
        }
        d->n_task = n;
}

static void leader_first(struct dump_task *t)
{
        for (size_t k = 1; k < t->n_thread; k++)
                if (t->thread[k].tid == t->pid) {
                        struct dump_thread lead = t->thread[k];
                        t->thread[k] = t->thread[0];
                        t->thread[0] = lead;
                }
}

/* ---- parents before children ---- */

struct place { pid_t pid, vpid; uint64_t depth; size_t at, parent; };   /* at: in the list of tasks; parent: among the places */

static int by_pid(const void *a, const void *b)
{
        const struct place *x = a, *y = b;

        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* By generation, so that a parent stands before its children; within one by the container's number, which every dump repeats. */
static int by_depth(const void *a, const void *b)
{
        const struct place *x = a, *y = b;

        if (x->depth != y->depth)
                return x->depth < y->depth ? -1 : 1;
        return x->vpid < y->vpid ? -1 : x->vpid > y->vpid;
}

/* Generations up to n: init's is 1. Climbs to the first ancestor whose generation is known, then fills in on the way. */
static int find_depth(struct place *p, size_t n, size_t i, struct err *err)
{
        size_t up = i, steps = 0;

        while (up < n && p[up].depth == 0 && steps <= n) {
                up = p[up].parent;
                steps++;
        }
        if (up >= n || steps > n) {
                err_set(err, EX_UNSUPPORTED, "cannot checkpoint a task", "its parent is outside: it was put in, by ctrctl exec or otherwise",
                        "process %d", (int)p[i].pid);
                return err_remedy(err, "wait until it has ended, or end it");
        }
        uint64_t depth = p[up].depth + steps;
        for (; p[i].depth == 0; i = p[i].parent)
                p[i].depth = depth--;
        return 0;
}

static int find_parents(struct dump *d, struct place *p, struct err *err)
{
        pid_t init;
        int r = pidfd_pid(d->s.init_pidfd, &init, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n_task; i++)
                p[i] = (struct place){ .pid = d->task[i].pid, .vpid = d->task[i].vpid, .at = i };
        qsort(p, d->n_task, sizeof(*p), by_pid);
        for (size_t i = 0; i < d->n_task; i++) {
                pid_t parent = d->task[p[i].at].thread[0].stat.ppid;
                struct place key = { .pid = parent };
                const struct place *up = bsearch(&key, p, d->n_task, sizeof(*p), by_pid);
                p[i].parent = up ? (size_t)(up - p) : d->n_task;
                p[i].depth = p[i].pid == init;
                d->task[p[i].at].parent = p[i].pid == init ? 0 : (uint64_t)parent;
        }
        return 0;
}

static int sort_tasks(struct dump *d, struct err *err)
{
        _cleanup_free_ struct place *p = calloc(d->n_task ? d->n_task : 1, sizeof(*p));
        _cleanup_free_ struct dump_task *sorted = calloc(d->n_task ? d->n_task : 1, sizeof(*sorted));

        if (!p || !sorted)
                return kind_nomem(err);
        int r = find_parents(d, p, err);
        for (size_t i = 0; r >= 0 && i < d->n_task; i++)
                r = find_depth(p, d->n_task, i, err);
        if (r < 0)
                return r;
        qsort(p, d->n_task, sizeof(*p), by_depth);
        for (size_t i = 0; i < d->n_task; i++)
                sorted[i] = d->task[p[i].at];
        memcpy(d->task, sorted, d->n_task * sizeof(*sorted));
        return 0;
}

/* Tasks stand by generation now: the parent's number is looked up in a list of its own. */
static int parents_by_id(struct dump *d, struct err *err)
{
        _cleanup_free_ struct place *p = calloc(d->n_task ? d->n_task : 1, sizeof(*p));

        if (!p)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++)
                p[i] = (struct place){ .pid = d->task[i].pid, .at = i };
        qsort(p, d->n_task, sizeof(*p), by_pid);
        for (size_t i = 1; i < d->n_task; i++) {
                struct place key = { .pid = (pid_t)d->task[i].parent };
                const struct place *up = bsearch(&key, p, d->n_task, sizeof(*p), by_pid);
                if (up) {
                        d->task[i].parent = d->task[up->at].id;
                        d->task[i].parent_at = up->at;
                }
        }
        return 0;
}

/* POSIX timers (CONFIG_CHECKPOINT_RESTORE shows them, which Debian's kernels have). */
static int read_timers(struct dump_task *t, struct err *err)
{
        struct err e = {};
        size_t len = 0;
        int r = proc_read(t->procfd, "timers", &t->timers, &len, &e);

        if (r >= 0 || e.sys == ENOENT)
                return 0;
        if (err)
                *err = e;
        return r;
}

static int add_threads(struct dump *d, size_t task, struct err *err)
{
        struct dump_task *t = &d->task[task];

        for (size_t k = 0; k < t->n_thread; k++) {
                struct dump_obj *x = dump_add(d, CLS_THREAD);
                if (!x)
                        return kind_nomem(err);
                t->thread[k].id = x->o.id;
                x->task = task;
                x->thread = k;
        }
        return 0;
}

static int walk_tasks(struct dump *d, struct err *err)
{
        int r = 0;

        drop_ended(d);
        for (size_t i = 0; r >= 0 && i < d->n_task; i++) {
                leader_first(&d->task[i]);
                r = check_alive(&d->task[i], err);
                if (r >= 0)
                        r = read_threads(d, &d->task[i], err);
        }
        if (r >= 0)
                r = sort_tasks(d, err);
        for (size_t i = 0; r >= 0 && i < d->n_task; i++) {
                struct dump_task *t = &d->task[i];
                struct dump_obj *x = dump_add(d, CLS_TASK);
                if (!x)
                        return kind_nomem(err);
                t->id = x->o.id;
                x->task = i;
                r = add_threads(d, i, err);
                if (r >= 0)
                        r = tracee_pending(t->thread[0].tracee, true, &t->pending, &t->n_pending, err);
                if (r >= 0)
                        r = read_timers(t, err);
        }
        return r < 0 ? r : parents_by_id(d, err);
}

/* ---- tables by kcmp ---- */

enum { N_TABLES = 4 };

/* kcmp orders what it compares, so a table meets log n others, not all of them: 1,000 processes would be 2 million calls
 * while all stand still. 1: task i shares the table of one that is in `sorted`. */
static int place_of(struct dump *d, size_t i, const size_t *sorted, int type, size_t *ret, struct err *err)
{
        size_t lo = 0, hi = i;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int r = sys_kcmp(d->task[i].pid, d->task[sorted[mid]].pid, type, 0, 0);
                if (r == 0)
                        return 1;
                if (r < 0 || r > 2)
                        return err_sys(err, EX_FAIL, r < 0 ? r : 0, "cannot compare the tables of two tasks", "processes %d and %d",
                                       (int)d->task[i].vpid, (int)d->task[sorted[mid]].vpid);
                if (r == 1)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        *ret = lo;
        return 0;
}

/* `sorted` has a row of n_task per table, of which the first i are set. */
static int refuse_task(const struct dump_task *t, const struct dump_thread *th, struct err *err, const char *what,
                       const char *remedy)
{
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a task", what, "process %d (%s)", (int)t->vpid, th->stat.comm);
        return err_remedy(err, "%s", remedy);
}

static int share_check(struct dump *d, size_t i, size_t *sorted, struct err *err)
{
        static const struct { int type; const char *what; } tables[N_TABLES] = {
                { KCMP_VM, "it shares its memory with another process (CLONE_VM)" },
                { KCMP_FILES, "it shares its descriptor table with another process (CLONE_FILES)" },
                { KCMP_FS, "it shares its current directory with another process (CLONE_FS)" },
                { KCMP_SIGHAND, NULL },   /* who shares handlers shares memory: clone(2) */
        };
        const struct dump_task *t = &d->task[i];

        for (size_t k = 0; k < N_TABLES; k++) {
                size_t *row = sorted + k * d->n_task, at = 0;
                int r = tables[k].what ? place_of(d, i, row, tables[k].type, &at, err) : 0;
                if (r < 0)
                        return r;
                if (r == 1)
                        return refuse_task(t, &t->thread[0], err, tables[k].what, "end it and try again");
                if (tables[k].what)
                        memmove(row + at + 1, row + at, (i - at) * sizeof(*row));
                row[at] = i;
                if (tables[k].type == KCMP_VM)
                        continue;
                for (size_t j = 1; j < t->n_thread; j++)
                        if (sys_kcmp(t->pid, t->thread[j].tid, tables[k].type, 0, 0) != 0)
                                return refuse_task(t, &t->thread[0], err,
                                                   "one of its threads has a table of its own (unshare)",
                                                   "end it and try again");
        }
        return 0;
}

static int walk_tables(struct dump *d, struct err *err)
{
        static const enum obj_class cls[N_TABLES] = { CLS_MM, CLS_FILES, CLS_FS, CLS_SIGHAND };
        _cleanup_free_ size_t *sorted = calloc(d->n_task ? d->n_task : 1, N_TABLES * sizeof(*sorted));

        if (!sorted)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++) {
                int r = share_check(d, i, sorted, err);
                if (r < 0)
                        return r;
                uint64_t *slot[] = { &d->task[i].mm, &d->task[i].files, &d->task[i].fs, &d->task[i].sighand };
                for (size_t k = 0; k < ELEMENTSOF(cls); k++) {
                        struct dump_obj *x = dump_add(d, cls[k]);
                        if (!x)
                                return kind_nomem(err);
                        x->task = i;
                        *slot[k] = x->o.id;
                }
        }
        return 0;
}

/* ---- facts of tasks, set when all pointers are final ---- */

static void set_facts(struct dump *d, struct dump_obj *x)
{
        struct dump_task *t = &d->task[x->task];
        struct dump_thread *th = &t->thread[x->thread];
        struct facts *f = &x->o.facts;

        f->shown_pid = t->vpid;
        f->comm = th->stat.comm;
        if (x->o.procfd < 0)
                x->o.procfd = x->o.cls == CLS_THREAD ? th->procfd : t->procfd;
        switch (x->o.cls) {
        case CLS_TASK:
        case CLS_THREAD:
        case CLS_MM:
        case CLS_FILES:
        case CLS_FS:
        case CLS_SIGHAND:
                f->task.stat = &th->stat;
                f->task.status = th->kv;
                f->task.n_status = th->n_kv;
                f->task.cpu = th->cpu;
                f->task.leader = x->thread == 0;
                f->task.seen = th->seen;
                f->task.timers = x->o.cls == CLS_TASK ? t->timers : NULL;
                f->task.pending = x->o.cls == CLS_THREAD ? th->pending : t->pending;
                f->task.n_pending = x->o.cls == CLS_THREAD ? th->n_pending : t->n_pending;
                break;
        case CLS_FILE:
                f->file = *x->ff;
                break;
        case CLS_VMA:
        case CLS_SHM:
        case CLS_NS:
        case CLS_MOUNT:
        case CLS_LINK:
        case CLS_NETNS:
        case CLS_CGROUP:
        case CLS_FILEPROP:
        case CLS_N:
        default:
                break;
        }
        f->number = kind_classify(f);   /* once: every kind of its class will ask */
}

int dump_walk(struct dump *d, struct err *err)
{
        int r = walk_tasks(d, err);

        if (r >= 0)
                r = dump_walk_dead(d, err);
        if (r >= 0)
                r = tree_check(d, err);
        if (r >= 0)
                r = walk_tables(d, err);
        if (r >= 0)
                r = dump_walk_ns(d, err);
        if (r >= 0)
                r = dump_walk_mounts(d, err);
        if (r >= 0)
                r = dump_walk_net(d, err);
        if (r >= 0)
                r = dump_walk_cgroups(d, err);
        if (r >= 0)
                r = dump_diag(d, err);
        for (size_t i = 0; r >= 0 && i < d->n_task; i++) {
                r = dump_walk_files(d, i, err);
                if (r >= 0)
                        r = dump_walk_vmas(d, i, err);
        }
        if (r >= 0)
                r = dump_seen(d, err);
        if (r >= 0)
                r = dump_ask_stopped(d, err);
        for (size_t i = 0; r >= 0 && i < d->n_obj; i++)
                set_facts(d, d->obj[i]);
        if (r >= 0)
                d->state = DUMP_WALKED;
        return r < 0 ? r : 0;
}

/* ---- CLAIM ---- */

static bool claimed_class(enum obj_class c)
{
        return c == CLS_FILE || c == CLS_VMA || c == CLS_NS || c == CLS_MOUNT || c == CLS_LINK || c == CLS_CGROUP;
}

/* A finding is kept where the caller collects all (session_probe); otherwise the first one ends the walk. */
static int found(struct findings *all, struct err *one, struct err *err)
{
        if (all)
                return findings_add(all, one);
        if (err)
                *err = *one;
        return -one->code;
}

static int claim_one(struct dump *d, struct dump_obj *x, struct err *e)
{
        size_t n;
        const struct kind *const *k = kind_table(&n);

        (void)d;
        for (size_t i = 0; i < n; i++) {
                if (k[i]->cls != x->o.cls || !k[i]->claim || k[i]->claim(&x->o.facts) != 1)
                        continue;
                if (x->kind)
                        return err_set(e, EX_FAIL, "two kinds claim one object", x->kind->stem, "%s, object %llu", k[i]->stem,
                                       (unsigned long long)x->o.id);
                x->kind = k[i];
        }
        if (!x->kind) {
                err_set(e, EX_UNSUPPORTED, "cannot checkpoint an object", "no kind knows it", "process %d (%s), object %llu",
                        (int)x->o.facts.shown_pid, x->o.facts.comm ? x->o.facts.comm : "", (unsigned long long)x->o.id);
                return err_remedy(e, "please report it with what GANTRY_LOG=dump shows");
        }
        return x->kind->refuse ? x->kind->refuse(&x->o.facts, e) : 0;
}

/* A line of /proc/PID/status that nobody answers for is a property of a newer kernel. */
static int status_known(const struct dump_obj *x, struct err *e)
{
        const struct facts *f = &x->o.facts;

        for (size_t i = 0; i < f->task.n_status; i++)
                if (!status_key_known(f->task.status[i].key, NULL)) {
                        err_set(e, EX_UNSUPPORTED, "cannot checkpoint a task", "the kernel shows a property of it that no kind knows",
                                "process %d (%s), %s", (int)f->shown_pid, f->comm ? f->comm : "", f->task.status[i].key);
                        return err_remedy(e, "please report it with the kernel's version (uname -r)");
                }
        return 0;
}

/* Property kinds: a refused one refuses only what it claims; a kept one may refuse what it cannot keep. */
static int props_one(struct dump_obj *x, struct err *e)
{
        size_t n;
        const struct kind *const *k = kind_table(&n);

        for (size_t i = 0; i < n; i++) {
                bool beside = k[i]->cls == CLS_FILEPROP && x->o.cls == CLS_FILE;
                if (!beside && (k[i]->cls != x->o.cls || claimed_class(x->o.cls)))
                        continue;
                if (k[i]->claim && k[i]->claim(&x->o.facts) != 1)
                        continue;
                int r = k[i]->refuse ? k[i]->refuse(&x->o.facts, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int dump_claim(struct dump *d, struct findings *all, struct err *err)
{
        for (size_t i = 0; i < d->n_obj; i++) {
                struct dump_obj *x = d->obj[i];
                struct err e = {};
                int r = claimed_class(x->o.cls) ? claim_one(d, x, &e) : 0;
                if (r >= 0 && x->o.cls == CLS_THREAD)
                        r = status_known(x, &e);
                if (r >= 0)
                        r = props_one(x, &e);
                if (r < 0 && (r = found(all, &e, err)) < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(d->beyond); i++)
                if (err_is_set(&d->beyond[i])) {
                        int r = found(all, &d->beyond[i], err);
                        if (r < 0)
                                return r;
                }
        return 0;
}
