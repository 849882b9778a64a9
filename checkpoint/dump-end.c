/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a dump: its tasks reaped where they have been killed, its memory given back, and what it counted.
 *
 * Threads that were killed while we traced them are reaped together: a leader's end is seen only after that of its threads.
 *
 * Not here: whether the tasks live on or die (session_resume() and session_kill() in dump.c).
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/kind/cgdir.h"

#define END_MS 10000

void dump_end_tasks(struct dump *d)
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
        free(d->locks);
        free(d->ux);
        free(d->mntns);
        dump_paths_free(d);
        free(d->bucket);
        free(d->cpu_flags);
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
