/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a dump as actors of tapes: which tracee an object stands for, and the agent, which has to be in a thread before a
 * tape can speak to it. WALK asks by tape what /proc does not show, and READ what kinds ask; so it is put in by whoever comes first.
 *
 * Not here: who asks what (collect-seen.c, collect-halted.c, dump-read.c).
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "checkpoint/dump-int.h"

struct tracee *dump_tracee(void *ctx, struct actor who)
{
        struct dump *d = ctx;
        struct dump_obj *x = dump_find(d, who.id);

        return x ? d->task[x->task].thread[x->thread].tracee : NULL;
}

/* The agent goes into every thread that a tape speaks to; threads of a process share its code. It is 64-bit code: a program that is
 * not is left alone until it is refused. */
int dump_agents(struct dump *d, struct err *err)
{
        size_t most = dump_threads(d), n = 0, which = 0;
        _cleanup_free_ struct tracee **t = calloc(most ? most : 1, sizeof(struct tracee *));
        _cleanup_free_ size_t *share = calloc(most ? most : 1, sizeof(*share));
        _cleanup_free_ struct thread_at *at = calloc(most ? most : 1, sizeof(*at));

        if (!t || !share || !at)
                return kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++) {
                size_t first = n;
                for (size_t k = 0; k < d->task[i].n_thread; k++) {
                        if (d->task[i].thread[k].cpu->regs.cs != CODE64_CS)
                                continue;
                        at[n] = (struct thread_at){ i, k };
                        share[n] = first;
                        t[n++] = d->task[i].thread[k].tracee;
                }
        }
        int r = tracee_agents(t, share, n, &which, err);
        if (r < 0) {
                const struct dump_task *of = &d->task[at[which].task];
                return err_wrap(err, "cannot put the agent into a task", "process %d (%s)", (int)of->vpid,
                                of->thread[at[which].thread].stat.comm);
        }
        return 0;
}

int dump_agents_drop(struct dump *d, struct err *err)
{
        size_t most = dump_threads(d), n = 0;
        _cleanup_free_ struct tracee **t = calloc(most ? most : 1, sizeof(struct tracee *));
        int r = 0;

        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++) {
                        struct tracee *in = d->task[i].thread[k].tracee;
                        int q = t || !in ? 0 : tracee_agent_drop(in, r < 0 ? NULL : err);   /* without memory one by one, then */
                        r = r < 0 ? r : q;
                        if (t)
                                t[n++] = in;
                }
        return t ? tracee_agents_drop(t, n, err) : r;
}
