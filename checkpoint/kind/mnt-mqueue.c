/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mqueue: the queues of the ipc namespace, none of which may exist yet.
 *
 * Mounted by the container's own right in init's stub, so that its super block belongs to the container's user
 * namespace. Where it is mounted, with which flags and propagation, is the mount planner's.
 */
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-mqueue.pb-c.h"

static const struct mnt_option known[] = {
        {},
};

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_MQUEUE);
}

static int refuse(const struct facts *f, struct err *err)
{
        return mnt_options_refuse(&kind_mnt_mqueue, f, known, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntMqueue *m = KIND_NEW(Gantry__MntMqueue, gantry__mnt_mqueue__init);

        (void)fd;
        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = mnt_options_take(&kind_mnt_mqueue, o, d, known, &m->option, &m->n_option, err);
        return r < 0 ? r : field_record(&kind_mnt_mqueue, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntMqueue *m = (const void *)r->msg;

        (void)need;
        return mnt_options_check(&kind_mnt_mqueue, r, known, m->option, m->n_option, err);
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntMqueue *m = (const void *)r->msg;

        (void)err;
        mnt_seal(rs, r, mnt_make(rs, r, "mqueue", m->option, m->n_option), m->option, m->n_option);
        return 0;
}

const struct kind kind_mnt_mqueue = {
        .stem = "mnt-mqueue",
        .number = KIND_MNT_MQUEUE,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_mqueue__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
