/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's cgroup namespace. It is made by the ground, after init has joined the payload, which thereby becomes
 * its root; the directories below are cg-dir's. The record says only that there is one of its own.
 *
 * Not here: nested ones, which the collector refuses by name.
 */
#include <stdlib.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-cgroup.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_CGROUP);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        (void)d;
        (void)fd;
        (void)t;
        Gantry__NsCgroup *m = KIND_NEW(Gantry__NsCgroup, gantry__ns_cgroup__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->present = true;
        return field_record(&kind_ns_cgroup, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsCgroup *m = (const Gantry__NsCgroup *)r->msg;

        (void)need;
        return m->present ? 0 : kind_bad(&kind_ns_cgroup, r, err, "it says that it is not there");
}

const struct kind kind_ns_cgroup = {
        .stem = "ns-cgroup",
        .number = KIND_NS_CGROUP,
        .cls = CLS_NS,
        .msg = &gantry__ns_cgroup__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
};
