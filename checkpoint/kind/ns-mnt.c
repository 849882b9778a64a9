/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's mount namespace. It is made by the ground; what is mounted in it is the mount planner's and the mnt-*
 * kinds'. The record says only that there is one of its own.
 *
 * Not here: nested ones, which the collector refuses by name.
 */
#include <stdlib.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-mnt.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_MNT);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        (void)d;
        (void)fd;
        (void)t;
        Gantry__NsMnt *m = KIND_NEW(Gantry__NsMnt, gantry__ns_mnt__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->present = true;
        return field_record(&kind_ns_mnt, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsMnt *m = (const Gantry__NsMnt *)r->msg;

        (void)need;
        return m->present ? 0 : kind_bad(&kind_ns_mnt, r, err, "it says that it is not there");
}

const struct kind kind_ns_mnt = {
        .stem = "ns-mnt",
        .number = KIND_NS_MNT,
        .cls = CLS_NS,
        .msg = &gantry__ns_mnt__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
};
