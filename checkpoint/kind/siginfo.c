/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pending signals (siginfo.h).
 *
 * PTRACE_PEEKSIGINFO shows queue entries, status shows a mask: a signal below the real-time ones whose entry could not be
 * allocated is in the mask alone, and is queued again as if nobody had sent it. A task may queue to itself whatever it
 * likes, also with codes of the kernel (EPERM from outside): each receiver's own tape does it. Pids and uids in
 * an entry are the receiver's view already. Stop signals stop the receiver at once and SIGKILL ends it: refused.
 */
#include "checkpoint/kind/siginfo.h"

#include <string.h>

#include "base/parse.h"

_Static_assert(sizeof(siginfo_t) == 16 + SIGINFO_FIELDS, "siginfo_t of x86-64");

static bool queued(const siginfo_t *queue, size_t n, int sig)
{
        for (size_t i = 0; i < n; i++)
                if (queue[i].si_signo == sig)
                        return true;
        return false;
}

bool siginfo_at(const siginfo_t *queue, size_t n, uint64_t mask, size_t k, siginfo_t *ret)
{
        if (k < n) {
                *ret = queue[k];
                return true;
        }
        k -= n;
        for (int sig = 1; sig <= 64; sig++) {
                if (!(mask & UINT64_C(1) << (sig - 1)) || queued(queue, n, sig))
                        continue;
                if (k-- == 0) {
                        *ret = (siginfo_t){.si_signo = sig, .si_code = SI_USER};
                        return true;
                }
        }
        return false;
}

const char *siginfo_refused(const siginfo_t *queue, size_t n, uint64_t mask)
{
        siginfo_t s;

        for (size_t k = 0; siginfo_at(queue, n, mask, k, &s); k++) {
                if (s.si_signo == SIGKILL)
                        return "a pending SIGKILL";
                if (s.si_signo == SIGSTOP)
                        return "a pending SIGSTOP";
                if (s.si_signo == SIGTRAP)
                        return "a pending SIGTRAP";
        }
        return NULL;
}

const char *siginfo_bad(const struct one_signal *s)
{
        if (s->signal < 1 || s->signal > 64)
                return "a signal is none";
        if (s->signal == SIGKILL || s->signal == SIGSTOP || s->signal == SIGTRAP)
                return "a signal cannot be pending";
        if (s->n_fields != SIGINFO_FIELDS)
                return "a signal's fields have an impossible size";
        return NULL;
}

uint32_t siginfo_tape(struct tape *t, const struct one_signal *s)
{
        siginfo_t info = {.si_signo = (int)s->signal, .si_errno = s->error, .si_code = s->code};

        if (s->n_fields == SIGINFO_FIELDS)
                memcpy((char *)&info + 16, s->fields, SIGINFO_FIELDS);
        return tape_data(t, &info, sizeof(info));
}

uint64_t siginfo_mask(const struct facts *f, const char *key)
{
        const char *p = proc_kv_get(f->task.status, f->task.n_status, key);
        uint64_t mask = 0;

        return p && scan_hex64(&p, &mask) ? mask : 0;
}
