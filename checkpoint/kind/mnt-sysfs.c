/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sysfs of the network namespace.
 *
 * Mounted by the container's own right in init's stub, so that its super block belongs to the container's user
 * namespace. Where it is mounted, with which flags and propagation, is the mount planner's.
 */
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-sysfs.pb-c.h"

static const struct mnt_option known[] = {
        {},
};

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_SYSFS);
}

static int refuse(const struct facts *f, struct err *err)
{
        return mnt_options_refuse(&kind_mnt_sysfs, f, known, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntSysfs *m = KIND_NEW(Gantry__MntSysfs, gantry__mnt_sysfs__init);

        (void)fd;
        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = mnt_options_take(&kind_mnt_sysfs, o, d, known, &m->option, &m->n_option, err);
        return r < 0 ? r : field_record(&kind_mnt_sysfs, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntSysfs *m = (const void *)r->msg;

        (void)need;
        return mnt_options_check(&kind_mnt_sysfs, r, known, m->option, m->n_option, err);
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntSysfs *m = (const void *)r->msg;

        (void)err;
        mnt_seal(rs, r, mnt_make(rs, r, "sysfs", m->option, m->n_option), m->option, m->n_option);
        return 0;
}

const struct kind kind_mnt_sysfs = {
        .stem = "mnt-sysfs",
        .number = KIND_MNT_SYSFS,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_sysfs__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
