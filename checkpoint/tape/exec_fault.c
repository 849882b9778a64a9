/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that fails: entry k of all that is played gets an errno instead of a call.
 *
 * It marks the entry and lets the inner executor play, which then takes the marked result for the call's own: stop, or
 * go on where the entry may fail in this way. So a sequence swept with k = 1, 2, 3 … until executor_fault_count() < k has
 * taken each of its error paths once, in the real target too.
 */
#include <errno.h>
#include <stdlib.h>

#include "checkpoint/tape/tape-int.h"

struct fault {
        const struct executor *inner;
        uint64_t k, seen;
        int sysno;
};

static int fault_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        struct fault *f = ctx;
        struct tape_entry *hit = NULL;

        for (size_t i = 0; i < n; i++) {
                if (f->k > f->seen && f->k <= f->seen + t[i]->n)
                        hit = &t[i]->e[f->k - f->seen - 1];
                f->seen += t[i]->n;
        }
        if (hit) {
                hit->fault = true;
                hit->fault_errno = f->sysno;
        }
        int r = executor_play(f->inner, t, n, err);
        if (hit)
                hit->fault = false;
        return r;
}

static void fault_done(void *ctx)
{
        free(ctx);
}

static const struct executor_ops fault_ops = { .play = fault_play, .done = fault_done };

int executor_fault(const struct executor *inner, uint64_t k, int sysno, struct executor *ret, struct err *err)
{
        struct fault *f = calloc(1, sizeof(*f));

        if (!f)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot make the failing executor", "entry %llu",
                               (unsigned long long)k);
        *f = (struct fault){ .inner = inner, .k = k, .sysno = sysno < 0 ? -sysno : sysno };
        *ret = (struct executor){ &fault_ops, f };
        return 0;
}

uint64_t executor_fault_count(const struct executor *fault)
{
        const struct fault *f = fault->ctx;

        return f->seen;
}
