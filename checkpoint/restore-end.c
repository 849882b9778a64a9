/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a restore: the tree is killed and reaped, and memory is given back.
 *
 * Every task is a tracee of ours, and a tracer reaps first: an init does not end before its zombies are gone, and those that we trace
 * from their birth, known to us or not, only we can reap. Hence descendants first, then strays, then init. Each wait has a limit: what
 * does not end in time ends with the engine (EXITKILL).
 *
 * Not here: when that is (session_undo() in restore.c; after PARKED there is no tree of ours to kill).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"

/* Threads of a task but the leader, known to us or not: true while there are some. */
static bool reap_threads(const struct restore_task *t)
{
        _cleanup_free_ unsigned *tid = NULL;
        size_t n = 0;
        bool some = false;

        if (t->procfd < 0 || proc_numbers(t->procfd, "task", &tid, &n, NULL) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if ((pid_t)tid[i] != t->pid) {
                        some = true;
                        (void)waitpid((pid_t)tid[i], NULL, __WALL | WNOHANG);
                }
        return some;
}

static bool reap_children(int proc, pid_t init)
{
        _cleanup_free_ char *text = NULL;
        char name[64];
        size_t n = 0;
        unsigned pid = 0; /* of our pid namespace */
        bool some = false;

        snprintf(name, sizeof(name), "task/%d/children", (int)init);
        if (proc_read(proc, name, &text, &n, NULL) < 0 || n == 0)
                return false;
        for (const char *p = text; sscanf(p, "%u", &pid) == 1; p += strcspn(p, " "), p += strspn(p, " "))
                some |= waitpid((pid_t)pid, NULL, __WALL | WNOHANG) >= 0; /* else it is not ours: init's own zombie */
        return some;
}

/* Children and threads that a wave had cloned and not yet told us of when it failed: they are traced from their birth, so
 * they are ours to reap, and init waits for them. */
static void reap_strays(struct restore *rs)
{
        const struct timespec tick = { .tv_nsec = 2000000 };
        pid_t init = 0;

        if (pidfd_pid(rs->s.init_pidfd, &init, NULL) < 0)
                return;
        _cleanup_close_ int proc = proc_open(init, NULL);
        for (unsigned i = 0; proc >= 0 && i < 500 && pidfd_alive(rs->s.init_pidfd) == 1; i++) {
                bool some = reap_children(proc, init);
                for (size_t k = 0; k < rs->n_task; k++)
                        some |= reap_threads(&rs->task[k]);
                if (!some)
                        return;
                nanosleep(&tick, NULL);
        }
}

#define END_MS 10000

/* Threads of the tasks from `first` on, and the temporary ones beside them: reaped as they end. */
static void end_tasks(struct restore *rs, size_t first, size_t end)
{
        size_t n = rs->n_temp, at = 0;

        for (size_t i = first; i < end; i++)
                n += rs->task[i].n_thread;
        _cleanup_free_ struct tracee **all = calloc(n ? n : 1, sizeof(struct tracee *));
        for (size_t i = 0; all && i < rs->n_temp; i++)
                all[at++] = TAKE_PTR(rs->temp[i].tracee);
        for (size_t i = end; i-- > first;)
                for (size_t k = rs->task[i].n_thread; k-- > 0;) {
                        if (all)
                                all[at++] = TAKE_PTR(rs->task[i].thread[k].tracee);
                        else
                                (void)tracee_detach(TAKE_PTR(rs->task[i].thread[k].tracee), NULL);
                }
        if (all)
                tracee_end(all, at, END_MS);
}

void restore_kill(struct restore *rs)
{
        if (rs->s.cgroup_fd >= 0)
                (void)cgroup_kill(rs->s.cgroup_fd, NULL);
        (void)pidfd_signal(rs->s.init_pidfd, SIGKILL, NULL); /* also when nothing but the stub was there yet */
        for (size_t i = 0; i < rs->n_task; i++)
                if (rs->task[i].pidfd >= 0)
                        (void)pidfd_signal(rs->task[i].pidfd, SIGKILL, NULL);
        /* An init does not end before its zombies are reaped, and those that we trace are ours to reap: init last. */
        if (rs->n_task) {
                end_tasks(rs, 1, rs->n_task);
                reap_strays(rs);
                end_tasks(rs, 0, 1);
        }
        for (size_t i = rs->n_task; i-- > 0;)
                if (rs->task[i].pidfd >= 0)
                        pidfd_end(rs->task[i].pidfd);
        if (rs->s.cgroup_fd >= 0)
                (void)cgroup_thaw(rs->s.cgroup_fd, NULL);
}

void restore_free(struct restore *rs)
{
        if (!rs)
                return;
        phase_drop(rs);
        for (size_t i = 0; i < rs->n_rec; i++)
                record_done(&rs->rec[i]);
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                for (size_t k = 0; k < t->n_thread; k++)
                        free(t->thread[k].cpu);
                free(t->thread);
                free(t->thread_ids);
                free(t->temp);
                fd_close(t->pidfd);
                fd_close(t->procfd);
        }
        for (size_t i = 0; i < rs->n_object; i++)
                fd_close(rs->object[i].fd);
        if (rs->have_ptrace)
                executor_done(&rs->ptrace);
        if (rs->have_self)
                executor_done(&rs->self);
        tree_plan_done(&rs->plan);
        nl_free(rs->nl);
        net_settings_done(&rs->settings);
        fd_close(rs->root_fd);
        free(rs->object);
        free(rs->task);
        free(rs->dead);
        free(rs->temp);
        tape_free(rs->spare);
        free(rs->tape);
        free(rs->map);
        free(rs->cg);
        free(rs->by_id);
        free(rs->rec);
        free(rs);
}
