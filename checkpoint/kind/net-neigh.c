/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Neighbours whose hardware address is known. An unresolved one on the new node would cost a connection up to a second
 * (measured), so they are seeded: permanent ones as such, all others as stale, which are used at once and verified then.
 *
 * Entries in failure or under resolution are nobody's state; those of the kernel's own (multicast) it makes again.
 */
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/net-neigh.pb-c.h"

#define NEIGHBOURS_MAX 65536

static bool wanted(const struct nl_neigh *x)
{
        return x->link[0] && !(x->state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP));
}

static int take_one(Gantry__NetNeigh *m, const struct nl_neigh *a, struct err *err)
{
        Gantry__NetNeigh__Neighbour *x = KIND_NEW(Gantry__NetNeigh__Neighbour, gantry__net_neigh__neighbour__init);

        if (!x)
                return kind_nomem(err);
        m->neighbour[m->n_neighbour++] = x;
        x->permanent = a->state & NUD_PERMANENT;
        int r = netip_set(&x->ip, &a->ip, err);
        if (r >= 0)
                r = field_set(&x->mac, a->mac, sizeof(a->mac), err);
        return r < 0 ? r : field_set_text(&x->link, a->link, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct nl_neigh *a = NULL;
        size_t n = 0;
        struct nl *nl = dump_nl(d, o, err);

        (void)fd;
        (void)t;
        if (!nl)
                return -EX_FAIL;
        int r = nl_neighs(nl, &a, &n, err);
        if (r < 0)
                return r;
        Gantry__NetNeigh *m = KIND_NEW(Gantry__NetNeigh, gantry__net_neigh__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->neighbour = kind_calloc(n, sizeof(*m->neighbour));
        if (!m->neighbour)
                return kind_nomem(err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (wanted(&a[i]))
                        r = take_one(m, &a[i], err);
        return r < 0 ? r : field_record(&kind_net_neigh, o, &guard, ret);
}

static bool read_one(const Gantry__NetNeigh__Neighbour *x, struct nl_neigh *ret)
{
        *ret = (struct nl_neigh){.state = x->permanent ? NUD_PERMANENT : NUD_STALE};
        if (x->mac.len != sizeof(ret->mac))
                return false;
        memcpy(ret->mac, x->mac.data, sizeof(ret->mac));
        return netip_link(&x->link, ret->link) && netip_get(&x->ip, (uint32_t)x->ip.len * 8, &ret->ip);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NetNeigh *m = (const Gantry__NetNeigh *)r->msg;
        struct nl_neigh a;

        (void)need;
        if (m->n_neighbour > NEIGHBOURS_MAX)
                return kind_bad(&kind_net_neigh, r, err, "too many neighbours");
        for (size_t i = 0; i < m->n_neighbour; i++)
                if (!read_one(m->neighbour[i], &a))
                        return kind_bad(&kind_net_neigh, r, err, "a neighbour is not one");
        return 0;
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetNeigh *m = (const Gantry__NetNeigh *)r->msg;
        struct nl *n = restore_nl(rs, r->id, err);
        int r2 = n ? 0 : -EX_FAIL;

        for (size_t i = 0; r2 >= 0 && i < m->n_neighbour; i++) {
                struct nl_neigh a;
                r2 = read_one(m->neighbour[i], &a) ? nl_neigh_add(n, &a, err)
                                                   : kind_bad(&kind_net_neigh, r, err, "a neighbour is not one");
        }
        return r2;
}

const struct kind kind_net_neigh = {
        .stem = "net-neigh",
        .number = KIND_NET_NEIGH,
        .cls = CLS_NETNS,
        .msg = &gantry__net_neigh__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
