/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bind: part of a file system that is mounted elsewhere in the container too, or something of the engine's under a name.
 *
 * The source of an ordinary bind stands in the mount planner's record, which clones it once the source is in place; so
 * only a bind of the engine's has something to do here. One whose source is mounted nowhere is refused by the planner.
 */
#include <string.h>

#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-bind.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_BIND);
}

/* What has been deleted is in its mount alone. "//" occurs in no other root. */
static int refuse(const struct facts *f, struct err *err)
{
        const char *root = f->mnt.m->root, *at = strstr(root, "//deleted");

        if (!at || at[strlen("//deleted")])
                return 0;
        return kind_refuse(&kind_mnt_bind, f, err, "a bind of a file or directory that was deleted since", "Unmount it");
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntBind *m = KIND_NEW(Gantry__MntBind, gantry__mnt_bind__init);

        (void)d;
        (void)fd;
        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        if (o->facts.mnt.external[0] && !(m->external = kind_strdup(o->facts.mnt.external)))
                return kind_nomem(err);
        return field_record(&kind_mnt_bind, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntBind *m = (const void *)r->msg;

        (void)need;
        if (m->external && (!str_starts(m->external, "bind:") || strlen(m->external) > 63))
                return kind_bad(&kind_mnt_bind, r, err, "it names something that is no bind of the engine's");
        return 0;
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntBind *m = (const void *)r->msg;

        return m->external ? restore_external(rs, m->external, r->id, err) : 0;
}

const struct kind kind_mnt_bind = {
        .stem = "mnt-bind",
        .number = KIND_MNT_BIND,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_bind__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
