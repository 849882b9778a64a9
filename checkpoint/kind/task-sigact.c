/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signal dispositions: handler, flags, restorer and mask of 62 signals, asked and set by tape through the kernel's own
 * structure (the C library hides the restorer).
 *
 * Only those that differ from the default are recorded, but all are set: a stub may have inherited ignored ones. An
 * ignored SIGTRAP is reset by the trap that ends a tape, and put back by the executor, which also answers for it.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/task-sigact.pb-c.h"

#define N_SIGNALS 64
struct action { uint64_t handler, flags, restorer, mask; }; /* struct sigaction of the kernel on x86-64 */

static bool settable(unsigned sig)
{
        return sig >= 1 && sig <= N_SIGNALS && sig != SIGKILL && sig != SIGSTOP;
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, N_SIGNALS * sizeof(struct action)); /* offset 0 */
        for (unsigned sig = 1; sig <= N_SIGNALS; sig++)
                if (settable(sig))
                        TAPE(t, __NR_rt_sigaction, A_IMM(sig), A_IMM(0),
                             A_DATA(at + (sig - 1) * (uint32_t)sizeof(struct action)), A_IMM(8));
        return 0;
}

static int take_one(Gantry__TaskSigact *m, unsigned sig, const struct action *a, struct err *err)
{
        Gantry__TaskSigact__Action *x = KIND_NEW(Gantry__TaskSigact__Action, gantry__task_sigact__action__init);

        if (!x)
                return kind_nomem(err);
        x->signal = sig;
        x->handler = a->handler;
        x->flags = a->flags;
        x->restorer = a->restorer;
        x->mask = a->mask;
        m->action[m->n_action++] = x;
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct action all[N_SIGNALS];
        int r = 0;

        (void)d;
        (void)fd;
        memcpy(all, tape_out(t, 0), sizeof(all));
        Gantry__TaskSigact *m = KIND_NEW(Gantry__TaskSigact, gantry__task_sigact__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->action = kind_calloc(N_SIGNALS, sizeof(*m->action));
        if (!m->action)
                return kind_nomem(err);
        for (unsigned sig = 1; sig <= N_SIGNALS && r >= 0; sig++) {
                const struct action *a = &all[sig - 1];
                if (settable(sig) && (a->handler || a->flags || a->mask))
                        r = take_one(m, sig, a, err);
        }
        return r < 0 ? r : field_record(&kind_task_sigact, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskSigact *m = (const Gantry__TaskSigact *)r->msg;
        unsigned last = 0;

        (void)need;
        for (size_t i = 0; i < m->n_action; i++) {
                const Gantry__TaskSigact__Action *a = m->action[i];
                if (!settable(a->signal) || a->signal <= last)
                        return kind_bad(&kind_task_sigact, r, err, "a signal is none, or is told twice");
                if (a->handler > VMA_TOP || a->restorer > VMA_TOP)
                        return kind_bad(&kind_task_sigact, r, err, "a handler is not a program's");
                last = a->signal;
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskSigact *m = (const Gantry__TaskSigact *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        size_t next = 0;

        (void)err;
        tape_label(t, "set the signal dispositions (task-sigact %llu)", (unsigned long long)r->id);
        uint32_t plain = tape_data(t, &(struct action){0}, sizeof(struct action));
        for (unsigned sig = 1; sig <= N_SIGNALS; sig++) {
                uint32_t at = plain;
                if (!settable(sig))
                        continue;
                if (next < m->n_action && m->action[next]->signal == sig) {
                        const Gantry__TaskSigact__Action *x = m->action[next++];
                        struct action a = {.handler = x->handler, .flags = x->flags, .restorer = x->restorer,
                                           .mask = x->mask};
                        at = tape_data(t, &a, sizeof(a));
                }
                TAPE(t, __NR_rt_sigaction, A_IMM(sig), A_DATA(at), A_IMM(0), A_IMM(8));
        }
        return 0;
}

const struct kind kind_task_sigact = {
        .stem = "task-sigact",
        .number = KIND_TASK_SIGACT,
        .cls = CLS_SIGHAND,
        .msg = &gantry__task_sigact__descriptor,
        .status_keys = (const char *const[]){"SigIgn", "SigCgt", NULL},
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_ATTR] = plan_attr},
};
