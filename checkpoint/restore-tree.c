/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TREE and THREADS: from the tree record to tasks. The planner (tree.c) says in which order; here its operations become tapes:
 * clone3 with set_tid and CLONE_PTRACE (5.5+), so that a child is stopped before its first instruction.
 *
 * Every task is a copy of its parent's stub: agent and delivery socket are inherited, everything else is unmapped later.
 * Processes that had ended are made like all others, because sessions and groups may go by their numbers, and end last
 * (restore-halted.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pidfd.h"
#include "checkpoint/cgtree.h"
#include "checkpoint/child.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/tree.pb-c.h"

/* ---- CHECK ---- */

static int read_task(struct restore *rs, const Gantry__Tree__Task *m, size_t i, struct err *err)
{
        struct restore_task *t = &rs->task[i];

        *t = (struct restore_task){ .id = m->id, .parent = m->parent, .mm = m->mm, .files = m->files, .fs = m->fs,
                                    .sighand = m->sighand, .cgroup = m->cgroup, .vpid = m->pid, .pidfd = -1, .procfd = -1, .sock_fd = -1 };
        t->thread = calloc(m->n_thread ? m->n_thread : 1, sizeof(*t->thread));
        t->thread_ids = calloc(m->n_thread ? m->n_thread : 1, sizeof(*t->thread_ids));
        if (!t->thread || !t->thread_ids)
                return kind_nomem(err);
        if (m->n_thread == 0 || m->thread[0]->tid != m->pid)
                return err_set(err, EX_IMAGE, "cannot restore the image", "a process has no first thread", "process %u", m->pid);
        for (size_t k = 0; k < m->n_thread; k++) {
                t->thread[k] = (struct restore_thread){ .id = m->thread[k]->id, .vtid = (pid_t)m->thread[k]->tid,
                                                        .cgroup = m->thread[k]->has_cgroup ? m->thread[k]->cgroup : m->cgroup };
                t->thread_ids[k] = m->thread[k]->id;
                t->thread[k].cpu = calloc(1, sizeof(struct cpu_state));
                if (!t->thread[k].cpu)
                        return kind_nomem(err);
                t->n_thread++;
                if (m->thread[k]->tid < 1 || m->thread[k]->tid > 4194304)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a thread is impossible", "thread %u", m->thread[k]->tid);
        }
        for (size_t k = 0; k < i; k++)
                if (rs->task[k].id == m->parent)
                        t->parent_at = k;
        if (i && rs->task[t->parent_at].id != m->parent)
                return err_set(err, EX_IMAGE, "cannot restore the image", "a process stands before its parent", "process %u", m->pid);
        return 0;
}

int restore_read_tree(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_rec; i++)
                if (rs->rec[i].kind == RECORD_TREE)
                        rs->tree = &rs->rec[i];
        if (!rs->tree)
                return err_set(err, EX_IMAGE, "cannot restore the image", "it has no process tree", "%s", "");
        const Gantry__Tree *m = (const Gantry__Tree *)(const void *)rs->tree->msg;
        _cleanup_free_ struct plan_task *p = calloc(m->n_task + m->n_dead + 1, sizeof(*p));
        rs->task = calloc(m->n_task ? m->n_task : 1, sizeof(*rs->task));
        rs->dead = calloc(m->n_dead ? m->n_dead : 1, sizeof(*rs->dead));
        if (!p || !rs->task || !rs->dead)
                return kind_nomem(err);
        for (size_t i = 0; i < m->n_task; i++) {
                rs->n_task = i + 1;
                int r = read_task(rs, m->task[i], i, err);
                if (r < 0)
                        return r;
                p[i] = (struct plan_task){ m->task[i]->pid, m->task[i]->pgid, m->task[i]->sid, rs->task[i].parent_at,
                                           (int)m->task[i]->exit_signal };
                if (m->task[i]->exit_signal > SIGNAL_MAX)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a process is impossible", "process %u", m->task[i]->pid);
        }
        int r = restore_read_halted(rs, p + m->n_task, err);
        if (r < 0)
                return r;
        return tree_plan(p, m->n_task + m->n_dead, &rs->plan, err);
}

/* ---- TREE ---- */

/* The planner's numbers: tasks, behind them the dead, and temporaries far behind both. */
static uint64_t actor_id(const struct restore *rs, size_t at)
{
        if (at >= TREE_TEMP)
                return at;
        return at < rs->n_task ? rs->task[at].id : TREE_TEMP + rs->dead[at - rs->n_task].vpid;
}

static size_t parent_of(const struct restore *rs, const struct tree_op *op)
{
        if (op->task >= TREE_TEMP)
                return op->actor;
        return op->task < rs->n_task ? rs->task[op->task].parent_at : rs->dead[op->task - rs->n_task].parent_at;
}

/* clone3 in the actor. The pid is chosen in the container's namespace, which is the innermost one. `cgroup`: the descriptor of the
 * directory that it is born in; NULL: its parent's. */
static uint32_t tape_clone(struct tape *t, uint64_t flags, uint32_t pid, int exit_signal, const struct arg *cgroup)
{
        flags |= cgroup ? (uint64_t)CLONE_INTO_CGROUP : 0;
        struct clone_args a = { .flags = flags | (uint64_t)CLONE_PTRACE, .exit_signal = (unsigned)exit_signal, .set_tid_size = 1 };
        uint32_t number = pid, tid = tape_data(t, &number, sizeof(number));
        uint32_t args = tape_data(t, &a, sizeof(a));

        tape_reloc(t, args + (uint32_t)offsetof(struct clone_args, set_tid), 8, A_DATA(tid));
        if (cgroup)
                tape_reloc(t, args + (uint32_t)offsetof(struct clone_args, cgroup), 8, *cgroup);
        uint32_t e = TAPE(t, SYS_clone3, A_DATA(args), A_IMM(sizeof(a)));
        tape_expect(t, e, (int64_t)pid);
        return e;
}

/* Temporaries are where their parent is. */
static int cgroup_number(const struct restore *rs, size_t at)
{
        if (at >= TREE_TEMP)
                return -1;
        return cgtree_number(rs, at < rs->n_task ? rs->task[at].cgroup : rs->dead[at - rs->n_task].cgroup);
}

static void op_tape(struct restore *rs, const struct tree_op *op)
{
        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_TASK, actor_id(rs, op->actor) });
        int number = op->type == TREE_CLONE ? cgroup_number(rs, op->task) : -1;
        struct arg dir = A_IMM(number);

        switch (op->type) {
        case TREE_CLONE:
                tape_label(t, "make process %u", op->pid);
                (void)tape_clone(t, op->sibling ? (uint64_t)CLONE_PARENT : 0, op->pid, op->sibling ? 0 : op->exit_signal, number < 0 ? NULL : &dir);
                break;
        case TREE_SETSID:
                tape_label(t, "lead session");
                /* A stub may have been started as a session's leader already. */
                if (op->actor == 0)
                        tape_may_fail(t, TAPE0(t, SYS_setsid), EPERM);
                else
                        TAPE0(t, SYS_setsid);
                break;
        case TREE_SETPGID:
                tape_label(t, "join process group %u", op->pid);
                TAPE(t, SYS_setpgid, A_IMM(0), A_IMM(op->pid));
                break;
        case TREE_WAIT:
                tape_label(t, "wait for temporary %u", op->pid);
                TAPE(t, SYS_wait4, A_IMM(op->pid), A_IMM(0), A_IMM((unsigned)__WALL), A_IMM(0));
                break;
        case TREE_EXIT:
        default:
                break;
        }
}

/* Tables must not be limited while they are built; the record's own limits are set in ATTR. */
static void lift_limits(pid_t pid)
{
        struct rlimit lim;

        if (prlimit(pid, RLIMIT_NOFILE, NULL, &lim) == 0) {
                lim.rlim_cur = lim.rlim_max;
                (void)prlimit(pid, RLIMIT_NOFILE, &lim, NULL);
        }
}

static int adopt(struct restore *rs, const struct tree_op *op, struct err *err)
{
        struct tracee *from = restore_tracee(rs, (struct actor){ ACTOR_TASK, actor_id(rs, op->actor) });
        size_t parent = parent_of(rs, op);
        pid_t pid = child_by_number(parent < rs->n_task ? rs->task[parent].pid : tracee_tid(from), op->pid);
        struct tracee *t = NULL;

        if (pid < 0)
                return err_set(err, EX_FAIL, "cannot restore the process tree", "a new process is not to be found", "process %u", op->pid);
        int r = tracee_adopt(pid, TRACEE_EXITKILL, &t, err);
        if (r >= 0)
                r = tracee_agent_inherit(t, from, err);
        if (op->task >= rs->n_task) {
                struct restore_temp *grown = realloc(rs->temp, (rs->n_temp + 1) * sizeof(*grown));
                if (!grown) {
                        (void)tracee_detach(t, NULL); /* it dies with the rest of its pid namespace */
                        return kind_nomem(err);
                }
                rs->temp = grown;
                grown[rs->n_temp++] = (struct restore_temp){ op->pid, pid, t };
                return r < 0 ? r : 0;
        }
        struct restore_task *task = &rs->task[op->task];
        task->pid = pid;
        task->thread[0].tid = pid;
        task->thread[0].tracee = t;
        task->sock_fd = rs->task[0].sock_fd;
        task->pidfd = pidfd_open_proc(pid, err);
        task->procfd = proc_open(pid, err);
        lift_limits(pid);
        if (task->pidfd < 0 || task->procfd < 0)
                return -EX_FAIL;
        return r < 0 ? r : 0;
}

/* A temporary is killed rather than told to exit: it has no instruction of its own to come back to. */
static void end_temp(struct restore *rs, uint32_t pid)
{
        for (size_t i = 0; i < rs->n_temp; i++) {
                if (rs->temp[i].vpid != pid || !rs->temp[i].tracee)
                        continue;
                _cleanup_close_ int fd = pidfd_open_proc(rs->temp[i].pid, NULL);
                if (fd >= 0)
                        (void)pidfd_signal(fd, SIGKILL, NULL);
                (void)tracee_detach(TAKE_PTR(rs->temp[i].tracee), NULL);
        }
}

static int play_plan(struct restore *rs, struct err *err)
{
        for (unsigned w = 0; w < rs->plan.waves; w++) {
                bool any = false;
                for (size_t i = 0; i < rs->plan.n; i++) {
                        const struct tree_op *op = &rs->plan.op[i];
                        if (op->wave != w)
                                continue;
                        any = true;
                        if (op->type == TREE_EXIT)
                                end_temp(rs, op->pid);
                        else
                                op_tape(rs, op);
                }
                int r = any ? phase_play(rs, err) : 0;
                for (size_t i = 0; r >= 0 && i < rs->plan.n; i++)
                        if (rs->plan.op[i].wave == w && rs->plan.op[i].type == TREE_CLONE)
                                r = adopt(rs, &rs->plan.op[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int restore_tree(struct restore *rs, struct err *err)
{
        lift_limits(rs->task[0].pid);
        int r = cgtree_open(rs, err);

        if (r >= 0)
                r = play_plan(rs, err);
        return r < 0 ? r : restore_halt(rs, err);
}

/* ---- THREADS ---- */

static pid_t host_tid(const struct restore_task *t, pid_t vtid)
{
        _cleanup_free_ unsigned *tids = NULL;
        size_t n = 0;

        if (proc_numbers(t->procfd, "task", &tids, &n, NULL) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                char name[40];
                _cleanup_free_ char *status = NULL;
                size_t len;
                uint64_t last = 0, x;
                snprintf(name, sizeof(name), "task/%u/status", tids[i]);
                if (proc_read(t->procfd, name, &status, &len, NULL) < 0)
                        continue;
                const char *ns = strstr(status, "\nNSpid:");
                for (ns = ns ? ns + 7 : ""; *ns == '\t' || *ns == ' ';) {
                        ns++;
                        if (!scan_u64(&ns, &x))
                                break;
                        last = x;
                }
                if ((pid_t)last == vtid)
                        return (pid_t)tids[i];
        }
        return -1;
}

static int adopt_threads(struct restore *rs, struct restore_task *t, struct err *err)
{
        (void)rs;
        for (size_t k = 1; k < t->n_thread; k++) {
                struct restore_thread *th = &t->thread[k];
                th->tid = host_tid(t, th->vtid);
                if (th->tid < 0)
                        return err_set(err, EX_FAIL, "cannot restore a thread", "a new thread is not to be found", "thread %d", (int)th->vtid);
                int r = tracee_adopt(th->tid, TRACEE_EXITKILL, &th->tracee, err);
                if (r >= 0)
                        r = tracee_agent(th->tracee, t->thread[0].tracee, 0, 16384, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int restore_threads_make(struct restore *rs, struct err *err)
{
        const uint64_t flags = (uint64_t)CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        int r = cgtree_threads(rs, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = 1; k < rs->task[i].n_thread; k++) {
                        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_TASK, rs->task[i].id });
                        tape_label(t, "make thread %d", (int)rs->task[i].thread[k].vtid);
                        uint64_t id = cgtree_thread(rs, &rs->task[i], k);
                        struct arg dir = A_FD(id);
                        (void)tape_clone(t, flags, (uint32_t)rs->task[i].thread[k].vtid, 0, id ? &dir : NULL);
                }
        r = phase_play(rs, err);
        for (size_t i = 0; r >= 0 && i < rs->n_task; i++)
                r = adopt_threads(rs, &rs->task[i], err);
        return r;
}
