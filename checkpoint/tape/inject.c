/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One system call in each of some stopped threads, by two syscall stops at a `syscall` instruction of its program or of the agent: no
 * signal is involved, so that a disposition of SIGTRAP does not matter. The threads go side by side: each step is taken in all of
 * them before the next is waited for.
 *
 *      EVENT_STOP ──> entry ──> exit ──next call──> entry ──> exit ──settle──> EVENT_STOP
 *
 * All signals are blocked meanwhile but those that nobody can block. Injected registers have orig_rax -1, or the kernel moves rip back
 * by two. Own registers and an EVENT_STOP are back after it, whatever the call has answered, unless another call follows at once.
 */
#include <string.h>

#include "checkpoint/tape/tracee-int.h"

#define X86_TF 0x100u

static int begin(struct injection *c, struct err *err)
{
        struct user_regs_struct regs = c->in->regs;

        regs.rip = c->insn;
        regs.rax = (unsigned long long)c->nr;
        regs.rdi = c->arg[0];
        regs.rsi = c->arg[1];
        regs.rdx = c->arg[2];
        regs.r10 = c->arg[3];
        regs.r8 = c->arg[4];
        regs.r9 = c->arg[5];
        regs.orig_rax = UINT64_MAX;
        regs.eflags &= ~(unsigned long long)X86_TF;
        int r = tracee_foreign(c->in, &regs, MASK_ALL, err);
        if (r == 0)
                tracee_resume(c->in, RESUME_SYSCALL, 0); /* who has ended meanwhile is seen by the wait */
        return r;
}

static int end(struct injection *c, struct err *err)
{
        struct user_regs_struct regs = { 0 };
        int r = tracee_syscall_stop(c->in, err);

        if (r == 0)
                r = tracee_regs_read(c->in, &regs, err);
        if (r == 0 && (regs.rip != c->insn + 2 || regs.orig_rax != (unsigned long long)c->nr))
                r = err_set(err, EX_FAIL, "cannot run a call in a thread", "it stopped elsewhere", "thread %d, 0x%llx",
                            (int)c->in->tid, (unsigned long long)regs.rip);
        if (r == 0)
                c->ret = (int64_t)regs.rax;
        return r;
}

/* Entry and exit, in all that have begun. */
static void run(struct injection c[], size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++)
                c[i].r = begin(&c[i], err);
        for (size_t i = 0; i < n; i++) {
                if (c[i].r == 0)
                        c[i].r = tracee_syscall_stop(c[i].in, err);
                if (c[i].r == 0)
                        tracee_resume(c[i].in, RESUME_SYSCALL, 0);
        }
        for (size_t i = 0; i < n; i++)
                if (c[i].r == 0)
                        c[i].r = end(&c[i], err);
}

int tracee_inject_all(struct injection c[], size_t n, bool more, struct err *err)
{
        struct err first = { 0 };
        int r = 0;

        run(c, n, &first);
        for (size_t i = 0; i < n; i++)
                if (!c[i].in->gone && (!more || c[i].r < 0))
                        tracee_settle_begin(c[i].in);
        for (size_t i = 0; i < n; i++) {
                if (!c[i].in->gone && (!more || c[i].r < 0)) {
                        int s = tracee_settle_end(c[i].in, c[i].r < 0 ? NULL : &first);
                        if (s == 0)
                                s = tracee_own(c[i].in, c[i].r < 0 ? NULL : &first);
                        c[i].r = c[i].r < 0 ? c[i].r : s;
                }
                r = r < 0 ? r : c[i].r;
        }
        return r < 0 ? err_take(err, &first) : 0;
}

int tracee_inject(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        struct injection c = { .in = t, .insn = insn, .nr = nr };

        memcpy(c.arg, arg, sizeof(c.arg));
        int r = tracee_inject_all(&c, 1, false, err);
        if (r == 0)
                *ret = c.ret;
        return r;
}
