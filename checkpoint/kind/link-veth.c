/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's end of a veth pair. The engine makes the pair from its configuration (name, hardware address, bridge); what
 * the container decided by itself is kept: whether the link is up, a smaller MTU, its queue and flags.
 *
 * A link of that name must be there when the restore begins, with the hardware address that the record has. The
 * container cannot make its end's packets larger than what the other end takes, so an MTU that the kernel
 * refuses fails the restore by name.
 */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/link-veth.pb-c.h"

#define MTU_MIN 68u
#define MTU_MAX 65535u

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_LINK_VETH);
}

static int refuse(const struct facts *f, struct err *err)
{
        return f->link.odd ? kind_refuse(&kind_link_veth, f, err, f->link.odd, "Set it back before the checkpoint") : 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct nl_link *l = &o->facts.link;

        (void)d;
        (void)fd;
        (void)t;
        Gantry__LinkVeth *m = KIND_NEW(Gantry__LinkVeth, gantry__link_veth__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->up = l->flags & IFF_UP;
        m->mtu = l->mtu;
        m->flags = l->flags & NL_LINK_FLAGS;
        m->queue = l->queue;
        int r = field_set_text(&m->name, l->name, err);
        if (r >= 0)
                r = field_set(&m->mac, l->mac, sizeof(l->mac), err);
        return r < 0 ? r : field_record(&kind_link_veth, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__LinkVeth *m = (const Gantry__LinkVeth *)r->msg;
        char name[16];

        (void)need;
        if (!netip_link(&m->name, name) || m->mac.len != 6)
                return kind_bad(&kind_link_veth, r, err, "its name or address is not one");
        if (m->mtu < MTU_MIN || m->mtu > MTU_MAX)
                return kind_bad(&kind_link_veth, r, err, "its MTU is impossible");
        if (m->queue > INT32_MAX || (m->flags & ~(uint32_t)NL_LINK_FLAGS))
                return kind_bad(&kind_link_veth, r, err, "its queue or flags are impossible");
        return 0;
}

/* The address is the configuration's; what the container has set itself would come to be two nodes' otherwise. */
static int compare_mac(struct nl *n, const char *name, const Gantry__LinkVeth *m, struct err *err)
{
        struct nl_link l;
        int r = nl_link_get(n, name, &l, err);

        if (r == 1)
                return err_set(err, EX_UNKNOWN, "no such link", "this network namespace has none of that name", "%s", name);
        if (r < 0 || memcmp(l.mac, m->mac.data, sizeof(l.mac)) == 0)
                return r;
        err_set(err, EX_UNSUPPORTED, "cannot restore a link", "the container had given it another hardware address than its configuration does",
                "%s", name);
        return err_remedy(err, "set `mac` in its ct.conf, or let the container set it back");
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__LinkVeth *m = (const Gantry__LinkVeth *)r->msg;
        struct nl *n = restore_nl(rs, 0, err);
        char name[16];

        if (!n)
                return -EX_FAIL;
        if (!netip_link(&m->name, name))
                return kind_bad(&kind_link_veth, r, err, "its name is not one");
        int r2 = compare_mac(n, name, m, err);
        if (r2 >= 0)
                r2 = nl_link_tune(n, name, m->flags, m->mtu, m->queue, err);
        if (r2 >= 0)
                r2 = nl_link_up(n, name, m->up, err);
        return r2 < 0 ? err_remedy(err, "Give the container a network link of this name") : 0;
}

const struct kind kind_link_veth = {
        .stem = "link-veth",
        .number = KIND_LINK_VETH,
        .cls = CLS_LINK,
        .msg = &gantry__link_veth__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
