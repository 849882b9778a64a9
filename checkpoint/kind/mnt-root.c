/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's root: its disk image, mounted by the engine.
 *
 * The engine made it from the container's config and makes it again from that of the target: the record is a name, and
 * confers nothing.
 */
#include <string.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-root.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_ROOT);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntRoot *m = KIND_NEW(Gantry__MntRoot, gantry__mnt_root__init);

        (void)d;
        (void)fd;
        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->external = kind_strdup(o->facts.mnt.external);
        return m->external ? field_record(&kind_mnt_root, o, &guard, ret) : kind_nomem(err);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntRoot *m = (const void *)r->msg;

        (void)need;
        return strcmp(m->external, "root") == 0 ? 0 : kind_bad(&kind_mnt_root, r, err, "it names another external mount");
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntRoot *m = (const void *)r->msg;

        return restore_external(rs, m->external, r->id, err);
}

const struct kind kind_mnt_root = {
        .stem = "mnt-root",
        .number = KIND_MNT_ROOT,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_root__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
