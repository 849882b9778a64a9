/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that plays in stopped threads of other processes, by their agents.
 *
 * All tapes are written and started before the first is waited for, so that many tasks work at once. Two tapes of one
 * thread are played in their order, in rounds. A tape goes over in one write (entries, then data with its places filled in),
 * and comes back in one read. After each play the program's registers and mask are back, as seize.c demands.
 *
 * While the agent runs all signals but SIGTRAP are blocked. What may still stop it is passed over: the EVENT_STOPs of
 * INTERRUPT, group-stop and SIGCONT, and SIGSTOP itself, which takes effect when the thread is let go. A SIGTRAP that is not
 * the agent's int3 (SI_KERNEL, and rip behind it) is kept for later.
 *
 * A tape that ends its thread (exit, exit_group as the last entry) succeeds by the thread's end; its earlier results
 * are lost with the memory. A call that blocks for PLAY_MS is interrupted and reported.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "checkpoint/tape/agent.h"
#include "checkpoint/tape/tape-int.h"
#include "checkpoint/tape/tracee-int.h"

#define PLAY_MS 30000
#define X86_TF 0x100u
#define X86_DF 0x400u

struct ptrace_exec {
        struct tracee *(*find)(void *ctx, struct actor who);
        void *ctx;
};

/* One tape in one tracee. */
struct run {
        struct tape *t;
        struct tracee *in;
        uint8_t *buf;           /* entries and data, as in the target */
        size_t len;
        bool begun, over;
};

static uint64_t resolve(const struct run *r, struct arg a, uint64_t data, bool *ret_ref)
{
        *ret_ref = true;
        if (a.type == ARG_RET)
                return a.v * sizeof(struct agent_entry) + offsetof(struct agent_entry, ret);
        if (a.type == ARG_OUT)
                return (r->t->n * sizeof(struct agent_entry) + a.v) | AGENT_REF_INT;
        *ret_ref = false;
        return tape_value(r->t, a, data);
}

static void pack(struct run *r, uint64_t base)
{
        struct agent_entry *out = (struct agent_entry *)(void *)r->buf;
        const struct tape *t = r->t;
        uint64_t data = base + t->n * sizeof(*out);

        for (size_t i = 0; i < t->n; i++) {
                const struct tape_entry *e = &t->e[i];
                struct agent_entry x = { .nr = (uint16_t)e->nr, .errno_ok = (uint16_t)e->errno_ok, .ret = e->want };

                if (e->fault)
                        x.nr = AGENT_NR_FAULT;
                else
                        x.flags = (uint16_t)((e->may_fail ? AGENT_MAY_FAIL : 0) | (e->expected ? AGENT_EXPECTED : 0));
                for (unsigned k = 0; k < e->n; k++) {
                        bool ref;
                        x.arg[k] = resolve(r, e->a[k], data, &ref);
                        x.refmask = (uint8_t)(x.refmask | (ref ? 1u << k : 0));
                }
                out[i] = x;
        }
        if (t->data_len)
                memcpy(r->buf + t->n * sizeof(*out), t->data, t->data_len);
        tape_relocate(t, r->buf + t->n * sizeof(*out), data);
}

/* Runs the agent from entry `at` on. */
static int go(struct run *r, size_t at, struct err *err)
{
        struct tracee *in = r->in;
        struct user_regs_struct regs = in->regs;

        regs.rip = in->agent->code;
        regs.rbx = in->tape + at * sizeof(struct agent_entry);
        regs.r12 = in->tape;
        regs.r13 = r->t->n - at;
        regs.orig_rax = UINT64_MAX;
        regs.eflags &= ~(unsigned long long)(X86_TF | X86_DF);
        int e = tracee_foreign(in, &regs, MASK_AGENT, err);
        if (e == 0) {
                r->begun = true;
                e = tracee_resume(in, RESUME_CONT, 0);
                if (e < 0)
                        e = err_sys(err, EX_FAIL, e, "cannot start a tape", "thread %d", (int)in->tid);
        }
        return e;
}

static int start(struct run *r, struct err *err)
{
        struct tracee *in = r->in;
        int e = tape_begin(r->t, err);

        if (e < 0)
                return e;
        if (!in->stopped || !in->agent)
                return err_set(err, EX_FAIL, "cannot play a tape", "the thread is not stopped or has no agent", "thread %d",
                               (int)in->tid);
        r->len = r->t->n * sizeof(struct agent_entry) + r->t->data_len;
        if (!r->len || !r->t->n) {
                r->over = true;
                return 0;
        }
        e = agent_room(in, r->len, err);
        if (e < 0)
                return e;
        r->buf = malloc(r->len);
        if (!r->buf)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot play a tape", "thread %d", (int)in->tid);
        pack(r, in->tape);
        int64_t n = sys_process_vm_writev(in->tid, r->buf, r->len, in->tape);
        if (n != (int64_t)r->len)
                return err_sys(err, EX_FAIL, n < 0 ? (int)n : EFAULT, "cannot write a tape", "thread %d", (int)in->tid);
        in->playing = true;
        e = go(r, 0, err);
        if (!r->begun)
                (void)tracee_own(in, NULL);
        return e;
}

static bool at_trap(const struct tracee *in, const struct user_regs_struct *regs)
{
        return regs->rip == in->agent->code + (uint64_t)(agent_code_trap - agent_code) + 1;
}

/* 0 at the agent's trap, 1 ended, <0. */
static int to_trap(struct run *r, struct user_regs_struct *regs, struct err *err)
{
        struct tracee *in = r->in;
        int sig = 0, e;

        for (;;) {
                enum stop s = tracee_next_stop(in, PLAY_MS, &sig);
                if (s == STOP_GONE)
                        return 1;
                if (s == STOP_NONE) {
                        e = tracee_settle(in, err);
                        if (e < 0)
                                return e;
                        e = tracee_regs_read(in, regs, err);
                        return e < 0 ? e : -EX_TIMEOUT;
                }
                if (s == STOP_SIGNAL && sig == SIGTRAP) {
                        e = tracee_regs_read(in, regs, err);
                        if (e < 0)
                                return e;
                        bool ours = tracee_signal_code(in) == SI_KERNEL;
                        if (!ours)
                                in->trap_held = true;
                        if (at_trap(in, regs))
                                return 0;
                } else if (s == STOP_SIGNAL && (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGSYS)) {
                        e = tracee_regs_read(in, regs, err);
                        err_set(err, EX_FAIL, "a step inside the task failed", "", "thread %d", (int)in->tid);
                        return e < 0 ? e : err_why(err, "the agent got signal %d at 0x%llx", sig, regs->rip);
                }
                e = tracee_resume(in, RESUME_CONT, s == STOP_SIGNAL && sig != SIGTRAP ? sig : 0);
                if (e < 0 && e != -ESRCH)
                        return err_sys(err, EX_FAIL, e, "cannot go on with a tape", "thread %d", (int)in->tid);
        }
}

/* Results and data, as far as the agent came: `done` entries ran well, one more if `stuck`. */
static int fetch(struct run *r, size_t done, bool stuck, struct err *err)
{
        const struct agent_entry *in = (const struct agent_entry *)(const void *)r->buf;
        struct tape *t = r->t;
        int64_t n = sys_process_vm_readv(r->in->tid, r->buf, r->len, r->in->tape);

        if (n != (int64_t)r->len)
                return err_sys(err, EX_FAIL, n < 0 ? (int)n : EFAULT, "cannot read a tape back", "thread %d",
                               (int)r->in->tid);
        for (size_t i = 0; i < done + (stuck ? 1 : 0) && i < t->n; i++)
                if (!t->e[i].fault)
                        t->e[i].ret = in[i].ret;
        if (t->data_len)
                memcpy(t->data, r->buf + t->n * sizeof(*in), t->data_len);
        return 0;
}

static int blocked(struct run *r, size_t at, struct err *err)
{
        struct tape_entry *e = &r->t->e[at];

        e->ret = -ETIMEDOUT;
        tape_failed(r->t, at, err);
        e->ret = INT64_MIN;
        return err ? -err->code : -EX_FAIL;
}

static int ended(struct run *r, struct err *err)
{
        struct tape_entry *last = &r->t->e[r->t->n - 1];

        if (last->nr != SYS_exit && last->nr != SYS_exit_group)
                return err_sys(err, EX_FAIL, ESRCH, "a step inside the task failed", "thread %d has ended",
                               (int)r->in->tid);
        last->ret = 0;
        return 0;
}

static int wait_run(struct run *r, struct err *err)
{
        struct user_regs_struct regs = { 0 };
        struct tracee *in = r->in;

        for (;;) {
                int e = to_trap(r, &regs, err);
                if (e == 1)
                        return ended(r, err);
                if (e < 0 && e != -EX_TIMEOUT)
                        return e;
                size_t at = (regs.rbx - in->tape) / sizeof(struct agent_entry);
                if (at > r->t->n)
                        return err_set(err, EX_FAIL, "a step inside the task failed", "the agent has lost its place",
                                       "thread %d", (int)in->tid);
                bool stuck = at < r->t->n;
                int f = fetch(r, at, stuck && e == 0, err);
                if (f < 0)
                        return f;
                if (e == -EX_TIMEOUT && stuck)
                        return blocked(r, at, err);
                if (!stuck)
                        return 0;
                struct tape_entry *en = &r->t->e[at];
                if (!en->fault)
                        return tape_failed(r->t, at, err);
                en->ret = -en->fault_errno;
                if (!tape_entry_ok(en, en->ret))
                        return tape_failed(r->t, at, err);
                e = go(r, at + 1, err);
                if (e < 0)
                        return e;
        }
}

/* SIGTRAP's disposition by tape: an int3 resets SIG_IGN, this tape's own or another thread's that plays at the same time. So what
 * a tape sets is remembered, and what it asks for is answered from what we know. */
static void note_trap(struct run *r)
{
        const struct tape *t = r->t;
        struct agent_map *m = r->in->agent;

        for (size_t i = 0; i < t->n; i++) {
                const struct tape_entry *e = &t->e[i];

                if (e->nr != SYS_rt_sigaction || e->ret != 0 || e->n < 3 || e->a[0].type != ARG_IMM || e->a[0].v != SIGTRAP)
                        continue;
                if (e->a[2].type == ARG_DATA && m->trap_ignored && e->a[2].v + sizeof(m->trap_action) <= t->data_len)
                        memcpy(t->data + e->a[2].v, m->trap_action, sizeof(m->trap_action));
                if (e->a[1].type != ARG_DATA || e->a[1].v + sizeof(m->trap_action) > t->data_len)
                        continue;
                memcpy(m->trap_action, t->data + e->a[1].v, sizeof(m->trap_action));
                m->trap_ignored = m->trap_action[0] == (uint64_t)(uintptr_t)SIG_IGN;
        }
}

static int finish(struct run *r, struct err *err)
{
        int e = wait_run(r, err), m = 0;

        tape_finish(r->t);
        if (r->in->gone)
                return e;
        note_trap(r);
        m = tracee_own(r->in, e < 0 ? NULL : err);
        if (m == 0)
                m = agent_mend(r->in, e < 0 ? NULL : err);
        return e < 0 ? e : m;
}

/* Starts every tape whose thread is free, then waits for all of these. *ret_left: tapes for the next round. */
static int play_round(struct run *runs, size_t n, size_t *ret_left, struct err *err)
{
        int r = 0;

        *ret_left = 0;
        for (size_t i = 0; i < n && r == 0; i++) {
                if (runs[i].over)
                        continue;
                if (runs[i].in->playing)
                        (*ret_left)++;
                else
                        r = start(&runs[i], err);
        }
        for (size_t i = 0; i < n; i++) {
                if (!runs[i].begun || runs[i].over)
                        continue;
                int e = finish(&runs[i], r < 0 ? NULL : err);
                runs[i].over = true;
                r = r < 0 ? r : e;
        }
        for (size_t i = 0; i < n; i++) {
                runs[i].in->playing = false;
                free(runs[i].buf);
                runs[i].buf = NULL;
        }
        return r;
}

static int ptrace_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        struct ptrace_exec *x = ctx;
        size_t left = n;
        int r = 0;
        struct run *runs = calloc(n, sizeof(*runs));

        if (!runs)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot play tapes", "%zu tapes", n);
        for (size_t i = 0; i < n && r == 0; i++) {
                struct actor who = tape_actor(t[i]);
                runs[i] = (struct run){ .t = t[i], .in = x->find(x->ctx, who) };
                if (!runs[i].in)
                        r = err_set(err, EX_FAIL, "cannot play a tape", "nobody is there to play it", "actor %d of object %llu",
                                    (int)who.type, (unsigned long long)who.id);
        }
        while (r == 0 && left)
                r = play_round(runs, n, &left, err);
        free(runs);
        return r;
}

static void ptrace_done(void *ctx)
{
        free(ctx);
}

static const struct executor_ops ptrace_ops = { .play = ptrace_play, .done = ptrace_done };

int executor_ptrace(struct tracee *(*find)(void *ctx, struct actor who), void *ctx, struct executor *ret, struct err *err)
{
        struct ptrace_exec *x = calloc(1, sizeof(*x));

        if (!x)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot make the executor", "%s", "ptrace");
        *x = (struct ptrace_exec){ find, ctx };
        *ret = (struct executor){ &ptrace_ops, x };
        return 0;
}
