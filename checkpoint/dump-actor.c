/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a dump as actors of tapes: which tracee an object stands for, and the agent, which has to be in a thread before a
 * tape can speak to it. WALK asks by tape what /proc does not show, and READ what kinds ask; so it is put in by whoever comes first.
 *
 * Not here: agents out again (dump_release() in freeze.c), and who asks what (collect-seen.c, collect-halted.c, dump-read.c).
 */
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
        for (size_t i = 0; i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++) {
                        struct dump_task *t = &d->task[i];
                        if (t->thread[k].cpu->regs.cs != CODE64_CS)
                                continue;
                        int r = tracee_agent(t->thread[k].tracee, k ? t->thread[0].tracee : NULL, 0, 16384, err);
                        if (r < 0)
                                return err_wrap(err, "cannot put the agent into a task", "process %d (%s)", (int)t->vpid,
                                                t->thread[k].stat.comm);
                }
        return 0;
}
