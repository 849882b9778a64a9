/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signals that are pending for one thread alone (tgkill, faults, timers with SIGEV_THREAD_ID).
 *
 * Queued again by the receiver's own tape in PH_PARK, when dispositions are set and everything is blocked: none is
 * delivered before the thread goes on with its own mask. What cannot be queued again is refused (siginfo.c).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/siginfo.h"
#include "proto/task-sigpend.pb-c.h"

static int refuse(const struct facts *f, struct err *err)
{
        const char *what = siginfo_refused(f->task.pending, f->task.n_pending, siginfo_mask(f, "SigPnd"));

        return what ? kind_refuse(&kind_task_sigpend, f, err, what, "Try again when it has been delivered") : 0;
}

static int take_one(Gantry__TaskSigpend *m, const siginfo_t *s, struct err *err)
{
        Gantry__TaskSigpend__Signal *x = KIND_NEW(Gantry__TaskSigpend__Signal, gantry__task_sigpend__signal__init);

        if (!x)
                return kind_nomem(err);
        m->signal[m->n_signal++] = x;
        x->signal = (uint32_t)s->si_signo;
        x->error = s->si_errno;
        x->code = s->si_code;
        return field_set(&x->fields, (const char *)s + 16, SIGINFO_FIELDS, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct facts *f = &o->facts;
        uint64_t mask = siginfo_mask(f, "SigPnd");
        siginfo_t s;
        int r = 0;

        (void)d;
        (void)fd;
        (void)t;
        Gantry__TaskSigpend *m = KIND_NEW(Gantry__TaskSigpend, gantry__task_sigpend__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->signal = kind_calloc(f->task.n_pending + 64, sizeof(*m->signal));
        if (!m->signal)
                return kind_nomem(err);
        for (size_t k = 0; r >= 0 && siginfo_at(f->task.pending, f->task.n_pending, mask, k, &s); k++)
                r = take_one(m, &s, err);
        return r < 0 ? r : field_record(&kind_task_sigpend, o, &guard, ret);
}

static struct one_signal one(const Gantry__TaskSigpend__Signal *s)
{
        return (struct one_signal){.signal = s->signal, .error = s->error, .code = s->code, .fields = s->fields.data,
                                   .n_fields = s->fields.len};
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskSigpend *m = (const Gantry__TaskSigpend *)r->msg;

        (void)need;
        if (m->n_signal > SIGNALS_MAX)
                return kind_bad(&kind_task_sigpend, r, err, "too many signals");
        for (size_t i = 0; i < m->n_signal; i++) {
                struct one_signal s = one(m->signal[i]);
                const char *why = siginfo_bad(&s);
                if (why)
                        return kind_bad(&kind_task_sigpend, r, err, why);
        }
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskSigpend *m = (const Gantry__TaskSigpend *)r->msg;

        (void)err;
        if (!m->n_signal)
                return 0;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "queue signals (task-sigpend %llu)", (unsigned long long)r->id);
        uint32_t pid = TAPE0(t, __NR_getpid);
        uint32_t tid = TAPE0(t, __NR_gettid);
        for (size_t i = 0; i < m->n_signal; i++) {
                struct one_signal s = one(m->signal[i]);
                TAPE(t, __NR_rt_tgsigqueueinfo, A_RET(pid), A_RET(tid), A_IMM(s.signal), A_DATA(siginfo_tape(t, &s)));
        }
        return 0;
}

const struct kind kind_task_sigpend = {
        .stem = "task-sigpend",
        .number = KIND_TASK_SIGPEND,
        .cls = CLS_THREAD,
        .msg = &gantry__task_sigpend__descriptor,
        .status_keys = (const char *const[]){"SigPnd", NULL},
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_PARK] = plan_park},
};
