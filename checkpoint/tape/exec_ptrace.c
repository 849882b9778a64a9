/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that plays in stopped threads of other processes, by their agents.
 *
 * All tapes are written and started before the first is waited for, so that many tasks work at once. Tapes of one thread are
 * played in their order and in one go, as many as its area holds; the others in further rounds. They go over in one write (entries
 * of all, then data with its places filled in), and come back in one read. A tape that fails ends those behind it. After each play the program's registers and mask are back, as seize.c demands.
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

#include "base/cleanup.h"
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

/* A tape and its place in a run: its entries from `first` on, its data from `data` on behind all entries. */
struct part {
        struct tape *t;
        struct tracee *in;
        size_t first, data;
        struct part *next;      /* in the same run */
        bool over;
};

/* Tapes of one tracee that are played in one go. */
struct run {
        struct tracee *in;
        struct part *parts, *last;
        size_t n, data_len;     /* entries and data of all parts */
        uint8_t *buf;           /* entries and data, as in the target */
        size_t len;
        bool full;              /* a tape of this tracee waits for the next round, and so do those behind it */
        bool begun;
};

static size_t run_len(size_t n, size_t data_len)
{
        return n * sizeof(struct agent_entry) + data_len;
}

static uint64_t resolve(const struct run *r, const struct part *p, struct arg a, uint64_t data, bool *ret_ref)
{
        *ret_ref = true;
        if (a.type == ARG_RET)
                return (p->first + a.v) * sizeof(struct agent_entry) + offsetof(struct agent_entry, ret);
        if (a.type == ARG_OUT)
                return (run_len(r->n, p->data) + a.v) | AGENT_REF_INT;
        *ret_ref = false;
        return tape_value(p->t, a, data);
}

static void pack(struct run *r, const struct part *p, uint64_t base)
{
        struct agent_entry *out = (struct agent_entry *)(void *)r->buf + p->first;
        const struct tape *t = p->t;
        size_t at = run_len(r->n, p->data);

        for (size_t i = 0; i < t->n; i++) {
                const struct tape_entry *e = &t->e[i];
                struct agent_entry x = { .nr = (uint16_t)e->nr, .errno_ok = (uint16_t)e->errno_ok, .ret = e->want };

                if (e->fault)
                        x.nr = AGENT_NR_FAULT;
                else
                        x.flags = (uint16_t)((e->may_fail ? AGENT_MAY_FAIL : 0) | (e->expected ? AGENT_EXPECTED : 0));
                for (unsigned k = 0; k < e->n; k++) {
                        bool ref;
                        x.arg[k] = resolve(r, p, e->a[k], base + at, &ref);
                        x.refmask = (uint8_t)(x.refmask | (ref ? 1u << k : 0));
                }
                out[i] = x;
        }
        if (t->data_len)
                memcpy(r->buf + at, t->data, t->data_len);
        tape_relocate(t, r->buf + at, base + at);
}

/* Runs the agent from entry `at` on. */
static int go(struct run *r, size_t at, struct err *err)
{
        struct tracee *in = r->in;
        struct user_regs_struct regs = in->regs;

        regs.rip = in->agent->code;
        regs.rbx = in->tape + at * sizeof(struct agent_entry);
        regs.r12 = in->tape;
        regs.r13 = r->n - at;
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
        int e = 0;

        for (struct part *p = r->parts; p && e == 0; p = p->next)
                e = tape_begin(p->t, err);
        if (e < 0)
                return e;
        if (!in->stopped || !in->agent)
                return err_set(err, EX_FAIL, "cannot play a tape", "the thread is not stopped or has no agent", "thread %d",
                               (int)in->tid);
        if (!r->n)
                return 0;
        r->len = run_len(r->n, r->data_len);
        e = agent_room(in, r->len, err);
        if (e < 0)
                return e;
        r->buf = calloc(1, r->len);
        if (!r->buf)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot play a tape", "thread %d", (int)in->tid);
        for (const struct part *p = r->parts; p; p = p->next)
                pack(r, p, in->tape);
        int64_t n = sys_process_vm_writev(in->tid, r->buf, r->len, in->tape);
        if (n != (int64_t)r->len)
                return err_sys(err, EX_FAIL, n < 0 ? (int)n : EFAULT, "cannot write a tape", "thread %d", (int)in->tid);
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

/* The tape that has entry `at` of the run, and which of its entries that is; the last one for the run's end. */
static struct part *part_at(const struct run *r, size_t at, size_t *ret)
{
        struct part *p = r->parts;

        while (p->next && at >= p->first + p->t->n)
                p = p->next;
        *ret = at - p->first;
        return p;
}

/* Results and data, as far as the agent came: `done` entries have run, well or not. */
static int fetch(struct run *r, size_t done, struct err *err)
{
        const struct agent_entry *in = (const struct agent_entry *)(const void *)r->buf;
        int64_t n = sys_process_vm_readv(r->in->tid, r->buf, r->len, r->in->tape);

        if (n != (int64_t)r->len)
                return err_sys(err, EX_FAIL, n < 0 ? (int)n : EFAULT, "cannot read a tape back", "thread %d",
                               (int)r->in->tid);
        for (struct part *p = r->parts; p && p->first < done; p = p->next) {
                struct tape *t = p->t;
                for (size_t i = 0; i < t->n && p->first + i < done; i++)
                        if (!t->e[i].fault)
                                t->e[i].ret = in[p->first + i].ret;
                if (t->data_len)
                        memcpy(t->data, r->buf + run_len(r->n, p->data), t->data_len);
        }
        return 0;
}

static int blocked(struct run *r, size_t at, struct err *err)
{
        size_t i;
        struct part *p = part_at(r, at, &i);

        p->t->e[i].ret = -ETIMEDOUT;
        tape_failed(p->t, i, err);
        p->t->e[i].ret = INT64_MIN;
        return err ? -err->code : -EX_FAIL;
}

static int ended(struct run *r, struct err *err)
{
        size_t i;
        struct part *p = part_at(r, r->n - 1, &i);
        struct tape_entry *last = &p->t->e[i];

        if (last->nr != SYS_exit && last->nr != SYS_exit_group)
                return err_sys(err, EX_FAIL, ESRCH, "a step inside the task failed", "thread %d has ended",
                               (int)r->in->tid);
        last->ret = 0;
        return 0;
}

/* At an entry whose result was not as written: goes on where that is the result of a failing executor and may be. 1: it goes on. */
static int stuck_at(struct run *r, size_t at, struct err *err)
{
        size_t i;
        struct part *p = part_at(r, at, &i);
        struct tape_entry *en = &p->t->e[i];

        if (!en->fault)
                return tape_failed(p->t, i, err);
        en->ret = -en->fault_errno;
        if (!tape_entry_ok(en, en->ret))
                return tape_failed(p->t, i, err);
        int e = go(r, at + 1, err);
        return e < 0 ? e : 1;
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
                if (at > r->n)
                        return err_set(err, EX_FAIL, "a step inside the task failed", "the agent has lost its place",
                                       "thread %d", (int)in->tid);
                bool stuck = at < r->n;
                int f = fetch(r, at + (stuck && e == 0 ? 1 : 0), err);
                if (f < 0)
                        return f;
                if (e == -EX_TIMEOUT && stuck)
                        return blocked(r, at, err);
                if (!stuck)
                        return 0;
                e = stuck_at(r, at, err);
                if (e != 1)
                        return e;
        }
}

/* SIGTRAP's disposition by tape: an int3 resets SIG_IGN, this tape's own or another thread's that plays at the same time. So what
 * a tape sets is remembered, and what it asks for is answered from what we know. */
static void note_trap(const struct tape *t, struct agent_map *m)
{
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

        for (struct part *p = r->parts; p; p = p->next)
                tape_finish(p->t);
        if (r->in->gone)
                return e;
        for (struct part *p = r->parts; p; p = p->next)
                note_trap(p->t, r->in->agent);
        m = tracee_own(r->in, e < 0 ? NULL : err);
        if (m == 0)
                m = agent_mend(r->in, e < 0 ? NULL : err);
        return e < 0 ? e : m;
}

/* Behind what its tracee plays already in this round, as long as the area has room: to lengthen it costs more than a round. */
static bool add(struct run *r, struct part *p)
{
        size_t data = (p->t->data_len + 15) & ~(size_t)15;

        if (r->full || (r->parts && run_len(r->n + p->t->n, r->data_len + data) > r->in->tape_len)) {
                r->full = true;
                return false;
        }
        p->first = r->n;
        p->data = r->data_len;
        p->next = NULL;
        p->over = true;
        *(r->parts ? &r->last->next : &r->parts) = p;
        r->last = p;
        r->n += p->t->n;
        r->data_len += data;
        return true;
}

/* The runs of a round, in the order of their first tapes; *ret_left: tapes for the next. A run's number + 1 stands in its tracee. */
static size_t gather(struct part *parts, size_t n, struct run *runs, size_t *ret_left)
{
        size_t n_runs = 0;

        *ret_left = 0;
        for (size_t i = 0; i < n; i++) {
                struct tracee *in = parts[i].in;
                if (parts[i].over)
                        continue;
                if (!in->run) {
                        runs[n_runs] = (struct run){ .in = in };
                        in->run = ++n_runs;
                }
                if (!add(&runs[in->run - 1], &parts[i]))
                        (*ret_left)++;
        }
        for (size_t i = 0; i < n_runs; i++)
                runs[i].in->run = 0;
        return n_runs;
}

/* Starts all, then waits for each that was started. */
static int play_round(struct run *runs, size_t n, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = start(&runs[i], err);
        for (size_t i = 0; i < n; i++) {
                if (runs[i].begun) {
                        int e = finish(&runs[i], r < 0 ? NULL : err);
                        r = r < 0 ? r : e;
                }
                free(runs[i].buf);
        }
        return r;
}

static int ptrace_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        struct ptrace_exec *x = ctx;
        size_t left = n;
        int r = 0;
        _cleanup_free_ struct part *parts = calloc(n ? n : 1, sizeof(*parts));
        _cleanup_free_ struct run *runs = calloc(n ? n : 1, sizeof(*runs));

        if (!parts || !runs)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot play tapes", "%zu tapes", n);
        for (size_t i = 0; i < n && r == 0; i++) {
                struct actor who = tape_actor(t[i]);
                parts[i] = (struct part){ .t = t[i], .in = x->find(x->ctx, who) };
                if (!parts[i].in)
                        r = err_set(err, EX_FAIL, "cannot play a tape", "nobody is there to play it", "actor %d of object %llu",
                                    (int)who.type, (unsigned long long)who.id);
        }
        while (r == 0 && left) {
                size_t n_runs = gather(parts, n, runs, &left);
                r = play_round(runs, n_runs, err);
        }
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
