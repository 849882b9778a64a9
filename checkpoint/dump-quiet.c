/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QUIESCE and CURE: what kinds change about a container so that it can be read, and its undoing.
 *
 *      settle, until nothing is under way  →  port off  →  quiesce, one object after the other  →  …  →  cure
 *
 * A cure is idempotent and needs no quiesce before it, so it is played over all objects on every way out, and goes on after a failure:
 * the first one is told. Each socket is handed to the guard before it goes into repair, which cures it when we die.
 *
 * Not here: what settling means (kind/tcp.c), and tasks and cgroup (freeze.c).
 */
#include "base/cleanup.h"
#include "base/timer.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/dump-steps.h"
#include "checkpoint/freeze.h"

#define SETTLE_NS UINT64_C(5000000)

/* Before the port closes: what is in flight when it does would be lost, and come again only after a second. */
int dump_settle(struct dump *d, struct err *err)
{
        uint64_t end = now_ns() + SETTLE_NS;
        bool again = true;

        while (again) {
                again = false;
                for (size_t i = 0; i < d->n_obj; i++) {
                        struct dump_obj *x = d->obj[i];
                        if (!x->kind || !x->kind->settle)
                                continue;
                        _cleanup_close_ int fd = -1;
                        int r = dump_open(d, x, &fd, err);
                        if (r >= 0)
                                r = x->kind->settle(d, &x->o, fd, err);
                        if (r < 0)
                                return r;
                        again |= r == 1;
                }
                again = again && now_ns() < end;
        }
        return 0;
}

/* Every socket goes into repair before any is read: loopback connections go on while tasks stand still. */
int dump_quiesce(struct dump *d, struct err *err)
{
        for (size_t i = 0; i < d->n_obj; i++) {
                struct dump_obj *x = d->obj[i];
                if (!x->kind || !x->kind->quiesce)
                        continue;
                _cleanup_close_ int fd = -1;
                int r = dump_open(d, x, &fd, err);
                if (r >= 0)
                        r = guard_socket(d, fd, err);
                if (r >= 0)
                        r = x->kind->quiesce(d, &x->o, fd, err);
                if (r < 0)
                        return r;
        }
        d->state = DUMP_QUIET;
        return 0;
}

int dump_block(struct dump *d, struct err *err)
{
        if (!d->s.outside || !d->s.outside->network)
                return 0;
        d->blocked = true;
        return d->s.outside->network(d->s.ctx, true, err);
}

int dump_cure(struct dump *d, struct err *err)
{
        int r = 0;

        for (size_t i = 0; d->state >= DUMP_WALKED && i < d->n_obj; i++) {
                struct dump_obj *x = d->obj[i];
                if (!x->kind || !x->kind->cure)
                        continue;
                _cleanup_close_ int fd = -1;
                struct err e = {};
                int q = dump_open(d, x, &fd, &e);
                if (q >= 0)
                        q = x->kind->cure(d, &x->o, fd, &e);
                if (q < 0 && r == 0) {
                        r = q;
                        if (err)
                                *err = e;
                }
        }
        return r;
}
