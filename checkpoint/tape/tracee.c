/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests of ptrace(2) to one thread, each once and by its name: registers, mask, options, pending signals, seccomp filters,
 * syscall user dispatch. The only file that calls ptrace.
 *
 *      exec_ptrace.c   rebuild.c   ending.c     tapes are played; sleeps begin again; processes end or stop
 *      agents.c                                 the same for many at a time
 *      agent.c                                  the agent's mappings
 *      inject.c        insn.c                   one call in a stopped thread, and where it can be made
 *      seize.c                                  a thread comes under our control and goes again
 *      stops.c                                  waiting for stops, and from one of them to another
 *      tracee.c        memory.c    restart.c    requests; bytes; what a stop in the middle of a call means
 *
 * A file calls what lies below it, never what is above or beside it.
 *
 * With registers that are not its own a task cannot go on without us: for that long our death is its death (PTRACE_O_EXITKILL).
 * Injected registers have orig_rax -1, or the kernel moves rip back by two.
 */
#include "checkpoint/tape/tracee.h"

#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "checkpoint/tape/tracee-int.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#define PTRACE_SET_SUD 0x4210  /* PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */
#define PTRACE_GET_SUD 0x4211
#define PTRACE_RSEQ_CONF 0x420f
#define PTRACE_GET_FILTER 0x420c /* PTRACE_SECCOMP_GET_FILTER, 4.4 */
#define PEEK_BATCH 32

/* Result of ptrace, or -errno. */
static long pt(struct tracee *t, int req, uintptr_t addr, void *data)
{
        long r = ptrace((enum __ptrace_request)req, t->tid, (void *)addr, data);

        return r < 0 ? -errno : r;
}

static int pt_err(struct tracee *t, long r, const char *what, struct err *err)
{
        if (r == -ESRCH)
                return err_sys(err, EX_FAIL, ESRCH, what, "thread %d has ended or is not stopped", (int)t->tid);
        return err_sys(err, EX_FAIL, (int)r, what, "thread %d", (int)t->tid);
}

static unsigned long options(unsigned flags)
{
        return PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP | (flags & TRACEE_EXITKILL ? PTRACE_O_EXITKILL : 0ul);
}

int tracee_request_seize(struct tracee *t)
{
        return (int)pt(t, PTRACE_SEIZE, 0, (void *)options(t->flags)); // NOLINT: the ABI passes a number here
}

int tracee_request_detach(struct tracee *t)
{
        return (int)pt(t, PTRACE_DETACH, 0, NULL);
}

int tracee_request_options(struct tracee *t, struct err *err)
{
        long p = pt(t, PTRACE_SETOPTIONS, 0, (void *)options(t->flags)); // NOLINT

        return p < 0 ? pt_err(t, p, "cannot set options of a thread", err) : 0;
}

int tracee_resume(struct tracee *t, enum resume how, int sig)
{
        t->stopped = false;
        return (int)pt(t, how == RESUME_SYSCALL ? PTRACE_SYSCALL : PTRACE_CONT, 0, (void *)(intptr_t)sig); // NOLINT
}

int tracee_interrupt(struct tracee *t)
{
        return (int)pt(t, PTRACE_INTERRUPT, 0, NULL);
}

int tracee_signal_code(struct tracee *t)
{
        siginfo_t si;

        return pt(t, PTRACE_GETSIGINFO, 0, &si) < 0 ? 0 : si.si_code;
}

int tracee_regs_read(struct tracee *t, struct user_regs_struct *ret, struct err *err)
{
        struct iovec iov = { ret, sizeof(*ret) };
        long p = pt(t, PTRACE_GETREGSET, NT_PRSTATUS, &iov);

        return p < 0 ? pt_err(t, p, "cannot read the registers", err) : 0;
}

int tracee_regs_write(struct tracee *t, const struct user_regs_struct *regs, struct err *err)
{
        struct user_regs_struct copy = *regs;
        struct iovec iov = { &copy, sizeof(copy) };
        long p = pt(t, PTRACE_SETREGSET, NT_PRSTATUS, &iov);

        return p < 0 ? pt_err(t, p, "cannot write the registers", err) : 0;
}

int tracee_mask_read(struct tracee *t, struct err *err)
{
        long p = pt(t, PTRACE_GETSIGMASK, sizeof(t->sigmask), &t->sigmask);

        return p < 0 ? pt_err(t, p, "cannot read the signal mask", err) : 0;
}

static int mask_write(struct tracee *t, uint64_t mask, struct err *err)
{
        long p = pt(t, PTRACE_SETSIGMASK, sizeof(mask), &mask);

        return p < 0 ? pt_err(t, p, "cannot write the signal mask", err) : 0;
}

/* With registers that are not its own a task cannot go on without us: it would run on in the middle of somebody's code with
 * somebody's arguments. So for that long our death is its death, and never a silent corruption. */
static int options_write(struct tracee *t, bool foreign, struct err *err)
{
        if (t->flags & TRACEE_EXITKILL || t->foreign == foreign)
                return 0;
        long p = pt(t, PTRACE_SETOPTIONS, 0, (void *)options(foreign ? t->flags | TRACEE_EXITKILL : t->flags)); // NOLINT
        if (p < 0)
                return pt_err(t, p, "cannot set options of a thread", err);
        t->foreign = foreign;
        return 0;
}

int tracee_own(struct tracee *t, struct err *err)
{
        int r = tracee_regs_write(t, &t->regs, err);

        if (r == 0)
                r = mask_write(t, t->sigmask, err);
        return r < 0 ? r : options_write(t, false, err);
}

int tracee_foreign(struct tracee *t, const struct user_regs_struct *regs, uint64_t mask, struct err *err)
{
        int r = options_write(t, true, err);

        if (r == 0)
                r = tracee_regs_write(t, regs, err);
        return r < 0 ? r : mask_write(t, mask, err);
}

struct rseq_conf tracee_rseq(struct tracee *t)
{
        struct rseq_conf c = { 0 };

        if (pt(t, PTRACE_RSEQ_CONF, sizeof(c), &c) < 0)
                c = (struct rseq_conf){ 0 };
        return c;
}

int tracee_get(struct tracee *t, struct cpu_state *ret, struct err *err)
{
        struct iovec iov = { ret->xstate, sizeof(ret->xstate) };
        long p = pt(t, PTRACE_GETREGSET, NT_X86_XSTATE, &iov);

        if (p < 0)
                return pt_err(t, p, "cannot read the extended registers", err);
        struct rseq_conf c = tracee_rseq(t);
        ret->xstate_len = (uint32_t)iov.iov_len;
        ret->regs = t->regs;
        ret->regs.rax = t->raw_rax;
        ret->sigmask = t->sigmask;
        ret->left_known = t->left_known;
        ret->left_ns = t->left_ns;
        ret->rseq_ptr = c.ptr;
        ret->rseq_size = c.size;
        ret->rseq_sig = c.sig;
        return 0;
}

int tracee_set(struct tracee *t, const struct cpu_state *s, struct err *err)
{
        t->regs = s->regs;
        t->sigmask = s->sigmask;
        if (t->ended_set && (int64_t)t->regs.rax == -516) {
                t->regs.rax = (unsigned long long)t->ended_rax;
                t->regs.orig_rax = UINT64_MAX;
        }
        t->raw_rax = t->regs.rax;
        if (s->xstate_len > sizeof(s->xstate))
                return err_set(err, EX_IMAGE, "cannot set the registers", "the extended state is too long", "thread %d",
                               (int)t->tid);
        if (s->xstate_len) {
                struct cpu_state *copy = malloc(sizeof(*copy)); /* the kernel's interface takes no const */
                if (!copy)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot set the registers", "thread %d", (int)t->tid);
                memcpy(copy->xstate, s->xstate, s->xstate_len);
                struct iovec iov = { copy->xstate, s->xstate_len };
                long p = pt(t, PTRACE_SETREGSET, NT_X86_XSTATE, &iov);
                free(copy);
                if (p < 0)
                        return pt_err(t, p, "cannot write the extended registers", err);
        }
        return tracee_own(t, err);
}

int tracee_pending(struct tracee *t, bool shared, siginfo_t **ret, size_t *ret_n, struct err *err)
{
        struct { uint64_t off; uint32_t flags; int32_t nr; } arg = { 0, shared ? 1u : 0u, PEEK_BATCH };
        _cleanup_free_ siginfo_t *si = NULL;
        size_t n = 0;

        for (;;) {
                siginfo_t *more = realloc(si, (n + PEEK_BATCH) * sizeof(*si));
                if (!more)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot read pending signals", "thread %d", (int)t->tid);
                si = more;
                arg.off = n;
                long p = pt(t, PTRACE_PEEKSIGINFO, (uintptr_t)&arg, si + n);
                if (p < 0)
                        return pt_err(t, p, "cannot read pending signals", err);
                n += (size_t)p;
                if (p < PEEK_BATCH)
                        break;
        }
        *ret = TAKE_PTR(si);
        *ret_n = n;
        return 0;
}

/* The kernel numbers filters from the oldest; counts by asking until there is none. */
int tracee_filters(struct tracee *t, size_t *ret_n, struct err *err)
{
        size_t n = 0;

        for (;; n++) {
                long p = pt(t, PTRACE_GET_FILTER, n, NULL);
                if (p == -ENOENT || (p == -EINVAL && n == 0))
                        break; /* EINVAL: no filters at all */
                if (p < 0 && p != -EMEDIUMTYPE)
                        return pt_err(t, p, "cannot count the seccomp filters", err);
        }
        *ret_n = n;
        return 0;
}

int tracee_filter(struct tracee *t, size_t index, void **ret, size_t *ret_insns, struct err *err)
{
        size_t n = 0;
        int r = tracee_filters(t, &n, err);

        if (r < 0)
                return r;
        if (index >= n)
                return err_set(err, EX_FAIL, "cannot read a seccomp filter", "there is none of that number",
                               "thread %d, filter %zu", (int)t->tid, index);
        long len = pt(t, PTRACE_GET_FILTER, n - 1 - index, NULL);
        if (len < 0)
                return pt_err(t, len, "cannot read a seccomp filter", err);
        _cleanup_free_ struct sock_filter *f = calloc((size_t)len + 1, sizeof(*f));
        if (!f)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read a seccomp filter", "thread %d", (int)t->tid);
        len = pt(t, PTRACE_GET_FILTER, n - 1 - index, f);
        if (len < 0)
                return pt_err(t, len, "cannot read a seccomp filter", err);
        *ret = TAKE_PTR(f);
        *ret_insns = (size_t)len;
        return 0;
}

void tracee_sud(struct tracee *t, bool off)
{
        uint64_t none[4] = { 0 };

        if (off && !t->sud[0] && pt(t, PTRACE_GET_SUD, sizeof(t->sud), t->sud) < 0)
                memset(t->sud, 0, sizeof(t->sud));
        if (!t->sud[0])
                return;
        (void)pt(t, PTRACE_SET_SUD, sizeof(none), off ? none : t->sud);
        if (!off)
                memset(t->sud, 0, sizeof(t->sud));
}

bool tracee_has_sud(struct tracee *t, bool *ret_told)
{
        uint64_t now[4] = { 0 };

        *ret_told = t->sud[0] || pt(t, PTRACE_GET_SUD, sizeof(now), now) == 0;
        return t->sud[0] || now[0];
}
