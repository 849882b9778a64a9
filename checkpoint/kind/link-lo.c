/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loopback link: every network namespace has one; what is left to say is whether it is up, its MTU, queue and flags.
 *
 * Set by the engine's netlink socket inside the namespace: nothing outside of it can be reached that way. Bringing it
 * up makes its own addresses; net-addr finds them there already.
 */
#include <net/if.h>
#include <stdlib.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/link-lo.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_LINK_LO);
}

static int refuse(const struct facts *f, struct err *err)
{
        return f->link.odd ? kind_refuse(&kind_link_lo, f, err, f->link.odd, "Set it back before the checkpoint") : 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        (void)d;
        (void)fd;
        (void)t;
        Gantry__LinkLo *m = KIND_NEW(Gantry__LinkLo, gantry__link_lo__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->up = o->facts.link.flags & IFF_UP;
        m->mtu = o->facts.link.mtu;
        m->flags = o->facts.link.flags & NL_LINK_FLAGS;
        m->queue = o->facts.link.queue;
        return field_record(&kind_link_lo, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__LinkLo *m = (const Gantry__LinkLo *)r->msg;

        (void)need;
        return m->mtu <= INT32_MAX && m->queue <= INT32_MAX && !(m->flags & ~(uint32_t)NL_LINK_FLAGS) ? 0 : kind_bad(&kind_link_lo, r, err, "its MTU, queue or flags are impossible");
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__LinkLo *m = (const Gantry__LinkLo *)r->msg;
        struct nl *n = restore_nl(rs, 0, err);

        if (!n)
                return -EX_FAIL;
        int r2 = nl_link_tune(n, "lo", m->flags, m->mtu, m->queue, err);
        return r2 < 0 ? r2 : nl_link_up(n, "lo", m->up, err);
}

const struct kind kind_link_lo = {
        .stem = "link-lo",
        .number = KIND_LINK_LO,
        .cls = CLS_LINK,
        .msg = &gantry__link_lo__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
