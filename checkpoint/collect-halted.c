/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK: processes that do not run.
 *
 * Those that have ended and that nobody has waited for yet. They hold nothing but their number, their status and
 * their place in the tree, and they matter to the one that will wait for them, and to a session or process group that
 * goes by the number of one.
 *
 * A cgroup does not list them (cgroup.procs leaves them out); /proc/PID/task/TID/children does. A child found there that
 * lives and is not in the walk is outside the container's cgroup: it would be lost, and is refused.
 *
 * Those that job control has stopped: whether the parent has been told is asked of the parent, by a waitid that leaves everything
 * as it is (WNOWAIT).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

#define N_KV 128

static int by_number(const void *a, const void *b)
{
        const pid_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

/* By the container's numbers, which a second dump repeats. */
static int by_vpid(const void *a, const void *b)
{
        const struct dump_dead *x = a, *y = b;

        return x->vpid < y->vpid ? -1 : x->vpid > y->vpid;
}

static int refuse(pid_t pid, const struct proc_stat *st, struct err *err, const char *what, const char *remedy)
{
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a process", what, "process %d (%s)", (int)pid, st->comm);
        return err_remedy(err, "%s", remedy);
}

/* "Uid:" and "Gid:" list real, effective, saved, file system. */
static void read_ids(struct dump *d, const char *text, uint32_t ret[3])
{
        uint64_t x = 0;

        for (int i = 0; i < 3; i++) {
                while (text && (*text == '\t' || *text == ' '))
                        text++;
                if (text && scan_u64(&text, &x))
                        ret[i] = dump_uid(d, (uint32_t)x);
        }
}

static int read_dead(struct dump *d, int procfd, const struct proc_stat *st, struct dump_dead *x, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct proc_kv kv[N_KV];
        size_t len = 0, n = 0;
        int r = proc_read(procfd, "status", &text, &len, err);

        if (r >= 0)
                r = proc_status_parse(text, len, kv, N_KV, &n, err);
        if (r < 0)
                return r;
        x->vpid = dump_innermost(kv, n, "NStgid", x->pid);
        x->vpgid = dump_innermost(kv, n, "NSpgid", 0);
        x->vsid = dump_innermost(kv, n, "NSsid", 0);
        read_ids(d, proc_kv_get(kv, n, "Uid"), x->uid);
        read_ids(d, proc_kv_get(kv, n, "Gid"), x->gid);
        x->exit_signal = st->exit_signal;
        x->status = st->exit_code;
        (void)snprintf(x->comm, sizeof(x->comm), "%.15s", st->comm);
        if (WIFSIGNALED(x->status) && WCOREDUMP(x->status))
                return refuse(x->pid, st, err, "it has ended with a core dump, and nobody has waited for it",
                              "let its parent wait for it, or end it, and try again");
        if (x->exit_signal == SIGKILL || x->exit_signal == SIGSTOP)
                return refuse(x->pid, st, err, "its end is told to its parent by a signal that nobody survives", "end its parent");
        return 0;
}

/* A child of task i that is none of ours. */
static int add_dead(struct dump *d, size_t i, pid_t pid, struct err *err)
{
        struct err e = {};
        _cleanup_close_ int procfd = proc_open(pid, &e);
        struct proc_stat st;

        if (procfd < 0 || proc_stat_read(procfd, &st, &e) < 0) /* nobody had to wait for it: it has gone by itself; or we cannot look */
                return e.sys == ENOENT || e.sys == ESRCH ? 0 : err_take(err, &e);
        if (st.state != 'Z' && st.state != 'X')
                return refuse(pid, &st, err, "a child of the container is in no cgroup of it",
                              "move it into the container's cgroup, or end it");
        struct dump_dead *grown = realloc(d->dead, (d->n_dead + 1) * sizeof(*grown));
        if (!grown)
                return kind_nomem(err);
        d->dead = grown;
        grown[d->n_dead] = (struct dump_dead){ .pid = pid, .parent = i };
        return read_dead(d, procfd, &st, &grown[d->n_dead++], err);
}

static int children_of(struct dump *d, size_t i, const struct dump_thread *th, const pid_t *known, size_t n_known, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        int r = proc_read(th->procfd, "children", &text, &len, err);
        const char *p = text;
        uint64_t child;

        while (r >= 0 && scan_u64(&p, &child)) {
                pid_t pid = (pid_t)child;
                if (!bsearch(&pid, known, n_known, sizeof(*known), by_number))
                        r = add_dead(d, i, pid, err);
                (void)scan_skip(&p, " ");
        }
        return r < 0 ? r : 0;
}

int dump_walk_dead(struct dump *d, struct err *err)
{
        _cleanup_free_ pid_t *known = calloc(d->n_task ? d->n_task : 1, sizeof(*known));
        int r = 0;

        if (!known)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++)
                known[i] = d->task[i].pid;
        qsort(known, d->n_task, sizeof(*known), by_number);
        d->n_dead = 0;
        for (size_t i = 0; r >= 0 && i < d->n_task; i++)
                for (size_t k = 0; r >= 0 && k < d->task[i].n_thread; k++)
                        r = children_of(d, i, &d->task[i].thread[k], known, d->n_task, err);
        if (r >= 0 && d->n_dead)
                qsort(d->dead, d->n_dead, sizeof(*d->dead), by_vpid);
        return r;
}

/* ---- stopped by job control ---- */

struct question { struct tape *t; struct dump_task *task; uint32_t answer; };

static int ask(const struct dump *d, struct dump_task *t, struct question *q, struct err *err)
{
        const struct dump_task *parent = &d->task[t->parent_at];

        *q = (struct question){ .t = tape_new((struct actor){ ACTOR_THREAD, parent->thread[0].id }), .task = t };
        if (!q->t)
                return kind_nomem(err);
        tape_label(q->t, "ask whether a stop of process %d was told", (int)t->vpid);
        q->answer = tape_data(q->t, NULL, sizeof(siginfo_t));
        TAPE(q->t, SYS_waitid, A_IMM(P_PID), A_IMM(t->vpid), A_DATA(q->answer),
             A_IMM(WSTOPPED | WNOHANG | WNOWAIT | (unsigned)__WALL), A_IMM(0));
        return 0;
}

int dump_ask_stopped(struct dump *d, struct err *err)
{
        int r = 0;

        /* One by one: they are few, and two of them may have the same parent. */
        for (size_t i = 0; r >= 0 && i < d->n_task; i++) {
                struct dump_task *t = &d->task[i];
                struct question q = {};
                siginfo_t si;
                t->stop_told = true;   /* init's parent is the engine, which does not ask */
                if (!t->stop_signal || i == 0)
                        continue;
                r = dump_agents(d, err);
                if (r >= 0)
                        r = ask(d, t, &q, err);
                if (r >= 0)
                        r = executor_play(&d->ptrace, &q.t, 1, err);
                if (r >= 0) {
                        memcpy(&si, tape_out(q.t, q.answer), sizeof(si));
                        t->stop_told = si.si_pid == 0;
                }
                tape_free(q.t);
        }
        return r < 0 ? r : 0;
}
