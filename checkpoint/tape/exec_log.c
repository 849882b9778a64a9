/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that writes down: tape_print() of everything, for golden tests and for looking at a plan.
 *
 * Nothing runs. Results are invented so that a plan of several phases can be followed to its end: the expected value, a
 * descriptor number for what is kept (rising from 100 over the whole log), 0 for the rest.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "checkpoint/tape/tape-int.h"

#define FIRST_INVENTED_FD 100

struct log_exec {
        struct strbuf *out;
        int next_fd;
};

static int log_one(struct log_exec *l, struct tape *t, struct err *err)
{
        int r = tape_begin(t, err);

        if (r < 0)
                return r;
        char *text = tape_print(t);
        if (!text)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot print a tape", "%zu calls", t->n);
        strbuf_adds(l->out, text);
        free(text);
        for (size_t i = 0; i < t->n; i++) {
                struct tape_entry *e = &t->e[i];
                e->ret = e->expected ? e->want : 0;
                if (e->fault)
                        e->ret = -e->fault_errno;
                if (!tape_entry_ok(e, e->ret))
                        return tape_failed(t, i, err);
        }
        for (size_t i = 0; i < t->n_keeps; i++) {
                struct tape_entry *e = &t->e[t->keeps[i].entry];
                if (e->ret < 0)
                        continue;
                if (!e->expected && !t->keep_offs[i].out)
                        e->ret = l->next_fd;
                if (t->keep_offs[i].out)
                        memcpy(t->data + t->keep_offs[i].off, &l->next_fd, sizeof(l->next_fd));
                l->next_fd++;
        }
        tape_finish(t);
        return 0;
}

static int log_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                int r = log_one(ctx, t[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void log_done(void *ctx)
{
        free(ctx);
}

static const struct executor_ops log_ops = { .play = log_play, .done = log_done };

int executor_log(struct strbuf *out, struct executor *ret, struct err *err)
{
        struct log_exec *l = calloc(1, sizeof(*l));

        if (!l)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot make the logging executor", "%s", "tape");
        *l = (struct log_exec){ .out = out, .next_fd = FIRST_INVENTED_FD };
        *ret = (struct executor){ &log_ops, l };
        return 0;
}
