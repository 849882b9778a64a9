/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of TREE: processes that do not run. Those that had ended end again, with their status, and stay zombies of their
 * parents; those that job control had stopped are stopped again.
 *
 * What their parents hear of it now is not what they heard then: the signals are discarded here (pending ones come back in PARK), and
 * a stop that had been told by wait(2) is told once more.
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/tree.pb-c.h"

/* Not stopped, or by one of the signals that stop. */
static bool may_stop(uint32_t signal)
{
        switch (signal) {
        case 0:
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
                return true;
        default:
                return false;
        }
}

static int read_dead(const struct restore *rs, const Gantry__Tree__Dead *m, struct restore_dead *ret, struct err *err)
{
        int status = (int)m->status;
        size_t at = 0;

        while (at < rs->n_task && rs->task[at].id != m->parent)
                at++;
        bool possible = at < rs->n_task && m->status <= 0xffff && (WIFEXITED(status) || (WIFSIGNALED(status) && m->status <= SIGNAL_MAX)) &&
                        m->exit_signal <= SIGNAL_MAX && m->exit_signal != SIGKILL && m->exit_signal != SIGSTOP && m->comm.len < 16 &&
                        m->n_uid == 3 && m->n_gid == 3;
        if (!possible)
                return err_set(err, EX_IMAGE, "cannot restore the image", "a process that has ended is impossible", "process %u", m->pid);
        *ret = (struct restore_dead){ m->pid, at, m->has_cgroup ? m->cgroup : 0 };
        return 0;
}

int restore_read_halted(struct restore *rs, struct plan_task *dead, struct err *err)
{
        const Gantry__Tree *m = (const Gantry__Tree *)(const void *)rs->tree->msg;

        for (size_t i = 0; i < m->n_task; i++)
                if (!may_stop(m->task[i]->stop_signal))
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a process is stopped by no signal that stops",
                                       "process %u", m->task[i]->pid);
        for (size_t i = 0; i < m->n_dead; i++) {
                const Gantry__Tree__Dead *x = m->dead[i];
                int r = read_dead(rs, x, &rs->dead[i], err);
                if (r < 0)
                        return r;
                dead[i] = (struct plan_task){ x->pid, x->pgid, x->sid, rs->dead[i].parent_at, (int)x->exit_signal };
        }
        rs->n_dead = m->n_dead;
        return 0;
}

static uint64_t signal_bit(unsigned sig)
{
        return sig ? UINT64_C(1) << (sig - 1) : 0;
}

/* Signals of children that ended or stopped while the tree was made: what a signal's receiver ignores is discarded, also when it is
 * pending. Before the dead end, this also makes sure that they are not reaped by themselves. */
static int forget_signals(struct restore *rs, const Gantry__Tree *m, struct err *err)
{
        uint64_t ignore[4] = { 1 }, standard[4] = { 0 }; /* struct sigaction as the kernel has it: SIG_IGN, SIG_DFL */
        bool any = false;

        for (size_t i = 0; i < rs->n_task; i++) {
                uint64_t told = 0;
                for (size_t k = 0; k < rs->plan.n; k++)
                        if (rs->plan.op[k].type == TREE_WAIT && rs->plan.op[k].actor == i)
                                told |= signal_bit(SIGCHLD);
                for (size_t k = 0; k < m->n_dead; k++)
                        if (rs->dead[k].parent_at == i)
                                told |= signal_bit(SIGCHLD) | signal_bit(m->dead[k]->exit_signal);
                for (size_t k = 1; k < rs->n_task; k++)
                        if (rs->task[k].parent_at == i && m->task[k]->stop_signal)
                                told |= signal_bit(SIGCHLD);
                for (unsigned sig = 1; sig <= SIGNAL_MAX; sig++) {
                        if (!(told & signal_bit(sig)) || sig == SIGKILL || sig == SIGSTOP)
                                continue;
                        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_TASK, rs->task[i].id });
                        tape_label(t, "forget signal %u", sig);
                        TAPE(t, SYS_rt_sigaction, A_IMM(sig), A_DATA(tape_data(t, ignore, sizeof(ignore))), A_IMM(0), A_IMM(8));
                        TAPE(t, SYS_rt_sigaction, A_IMM(sig), A_DATA(tape_data(t, standard, sizeof(standard))), A_IMM(0), A_IMM(8));
                        any = true;
                }
        }
        return any ? phase_play(rs, err) : 0;
}

/* What is seen of a zombie beside its place and its status. */
static void dead_tape(struct restore *rs, const Gantry__Tree__Dead *m)
{
        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_TASK, TREE_TEMP + m->pid });
        char comm[16] = { 0 };
        uint64_t standard[4] = { 0 };

        memcpy(comm, m->comm.data, m->comm.len);
        tape_label(t, "be dead process %u", m->pid);
        if (WIFSIGNALED(m->status) && WTERMSIG(m->status) != SIGKILL && WTERMSIG(m->status) != SIGSTOP)
                TAPE(t, SYS_rt_sigaction, A_IMM(WTERMSIG(m->status)), A_DATA(tape_data(t, standard, sizeof(standard))), A_IMM(0), A_IMM(8));
        TAPE(t, SYS_prctl, A_IMM(PR_SET_NAME), A_DATA(tape_data(t, comm, sizeof(comm))));
        TAPE(t, SYS_setresgid, A_IMM(m->gid[0]), A_IMM(m->gid[1]), A_IMM(m->gid[2]));
        TAPE(t, SYS_setresuid, A_IMM(m->uid[0]), A_IMM(m->uid[1]), A_IMM(m->uid[2]));
}

static int end_dead(struct restore *rs, const Gantry__Tree *m, struct err *err)
{
        for (size_t i = 0; i < m->n_dead; i++)
                dead_tape(rs, m->dead[i]);
        int r = phase_play(rs, err);
        for (size_t i = 0; r >= 0 && i < m->n_dead; i++)
                for (size_t k = 0; r >= 0 && k < rs->n_temp; k++)
                        if (rs->temp[k].vpid == m->dead[i]->pid && rs->temp[k].tracee)
                                r = tracee_exit(TAKE_PTR(rs->temp[k].tracee), (int)m->dead[i]->status, err);
        return r < 0 ? r : 0;
}

/* Tapes are played in them afterwards like in all others; they stop in earnest when they are let go. */
static int stop_tasks(struct restore *rs, const Gantry__Tree *m, struct err *err)
{
        bool told = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < rs->n_task; i++) {
                if (!m->task[i]->stop_signal)
                        continue;
                r = tracee_group_stop(rs->task[i].thread[0].tracee, (int)m->task[i]->stop_signal, err);
                if (r < 0 || i == 0 || !m->task[i]->stop_told)
                        continue;
                struct tape *t = restore_tape(rs, (struct actor){ ACTOR_TASK, rs->task[rs->task[i].parent_at].id });
                tape_label(t, "be told of the stop of process %u", m->task[i]->pid);
                TAPE(t, SYS_waitid, A_IMM(P_PID), A_IMM(m->task[i]->pid), A_IMM(0), A_IMM(WSTOPPED | WNOHANG | (unsigned)__WALL), A_IMM(0));
                told = true;
        }
        return r >= 0 && told ? phase_play(rs, err) : r;
}

int restore_halt(struct restore *rs, struct err *err)
{
        const Gantry__Tree *m = (const Gantry__Tree *)(const void *)rs->tree->msg;
        int r = forget_signals(rs, m, err);

        if (r >= 0 && m->n_dead)
                r = end_dead(rs, m, err);
        if (r >= 0)
                r = stop_tasks(rs, m, err);
        return r < 0 ? r : forget_signals(rs, m, err);
}
