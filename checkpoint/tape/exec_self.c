/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that plays in this process, by syscall(2).
 *
 * The engine uses it for steps on its own duplicates (TCP repair), the helper for what runs in a namespace, and tests to
 * play a kind's tapes without root. Tapes are played one after the other: nothing here waits for another tape.
 *
 * A tape that would end or replace this process (clone without a stack of its own, execve, exit) does exactly that.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/tape/tape-int.h"

static uint64_t value_here(const struct tape *t, struct arg a)
{
        int32_t out;

        if (a.type == ARG_RET)
                return (uint64_t)t->e[a.v].ret;
        if (a.type == ARG_OUT) {
                memcpy(&out, t->data + a.v, sizeof(out));
                return (uint64_t)(int64_t)out;
        }
        return tape_value(t, a, (uint64_t)(uintptr_t)t->data);
}

int tape_run_here(struct tape *t, struct err *err)
{
        int r = tape_begin(t, err);

        if (r < 0)
                return r;
        tape_relocate(t, t->data, (uint64_t)(uintptr_t)t->data);
        for (size_t i = 0; r == 0 && i < t->n; i++) {
                struct tape_entry *e = &t->e[i];
                uint64_t v[TAPE_ARGS] = { 0 };

                for (unsigned k = 0; k < e->n; k++)
                        v[k] = value_here(t, e->a[k]);
                if (e->fault) {
                        e->ret = -e->fault_errno;
                } else {
                        long res = syscall(e->nr, v[0], v[1], v[2], v[3], v[4], v[5]);
                        e->ret = res == -1 ? -errno : res;
                }
                if (!tape_entry_ok(e, e->ret))
                        r = tape_failed(t, i, err);
        }
        tape_finish(t);
        return r;
}

static int self_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        (void)ctx;
        for (size_t i = 0; i < n; i++) {
                int r = tape_run_here(t[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void self_done(void *ctx)
{
        (void)ctx;
}

static const struct executor_ops self_ops = { .play = self_play, .done = self_done };

int executor_self(struct executor *ret, struct err *err)
{
        (void)err;
        *ret = (struct executor){ &self_ops, NULL };
        return 0;
}
