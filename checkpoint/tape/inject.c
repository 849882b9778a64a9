/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One system call in a stopped thread, by two syscall stops at a `syscall` instruction of its program or of the agent: no signal is
 * involved, so that a disposition of SIGTRAP does not matter.
 *
 * All signals are blocked meanwhile but those that nobody can block. Injected registers have orig_rax -1, or the kernel moves rip back
 * by two. Own registers and an EVENT_STOP are back after it, whatever the call has answered.
 */
#include "checkpoint/tape/tracee-int.h"

#define X86_TF 0x100u

static int inject_here(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        struct user_regs_struct regs = t->regs;

        regs.rip = insn;
        regs.rax = (unsigned long long)nr;
        regs.rdi = arg[0];
        regs.rsi = arg[1];
        regs.rdx = arg[2];
        regs.r10 = arg[3];
        regs.r8 = arg[4];
        regs.r9 = arg[5];
        regs.orig_rax = UINT64_MAX;
        regs.eflags &= ~(unsigned long long)X86_TF;
        int r = tracee_foreign(t, &regs, MASK_ALL, err);
        for (int i = 0; r == 0 && i < 2; i++)
                r = tracee_to_syscall_stop(t, err); /* entry, exit */
        if (r == 0)
                r = tracee_regs_read(t, &regs, err);
        if (r == 0 && (regs.rip != insn + 2 || regs.orig_rax != (unsigned long long)nr))
                r = err_set(err, EX_FAIL, "cannot run a call in a thread", "it stopped elsewhere", "thread %d, 0x%llx",
                            (int)t->tid, (unsigned long long)regs.rip);
        if (r == 0)
                *ret = (int64_t)regs.rax;
        return r;
}

int tracee_inject(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        int r = inject_here(t, insn, nr, arg, ret, err);

        if (t->gone)
                return r;
        int s = tracee_settle(t, r < 0 ? NULL : err);
        if (s == 0)
                s = tracee_own(t, r < 0 ? NULL : err);
        return r < 0 ? r : s;
}
