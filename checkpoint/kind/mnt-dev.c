/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev: a tmpfs with device nodes, made by the engine outside the container's user namespace.
 *
 * The engine made it from the container's config and makes it again from that of the target: the record is a name, and
 * confers nothing.
 */
#include <string.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-dev.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_DEV);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntDev *m = KIND_NEW(Gantry__MntDev, gantry__mnt_dev__init);

        (void)d;
        (void)fd;
        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->external = kind_strdup(o->facts.mnt.external);
        return m->external ? field_record(&kind_mnt_dev, o, &guard, ret) : kind_nomem(err);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntDev *m = (const void *)r->msg;

        (void)need;
        return strcmp(m->external, "dev") == 0 ? 0 : kind_bad(&kind_mnt_dev, r, err, "it names another external mount");
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntDev *m = (const void *)r->msg;

        return restore_external(rs, m->external, r->id, err);
}

const struct kind kind_mnt_dev = {
        .stem = "mnt-dev",
        .number = KIND_MNT_DEV,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_dev__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
