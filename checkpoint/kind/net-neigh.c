/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Neighbours whose hardware address is known. An unresolved one on the new node would cost a connection up to a second
 * (measured), so they are seeded: permanent ones and those without ARP as such, all others as stale, which are used at once and verified
 * then. What their maker said of them (learned elsewhere, managed, a router, a protocol) is kept, and for its sake those too that
 * are learned or managed and not resolved.
 *
 * Entries in failure or under resolution are nobody's state otherwise. Those that the kernel makes without asking anybody it makes again.
 * They look like entries that a person has set with `nud noarp`, but their hardware addresses follow from what they are
 * for (arp_constructor(), ndisc_constructor()): a multicast address, a broadcast address, a link that has no ARP.
 *
 * Proxied neighbours are refused by net-other.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/net-neigh.pb-c.h"

#define NEIGHBOURS_MAX 65536
#define MAC 6

struct world { struct nl_link *link; struct nl_route *route; size_t n_link, n_route; };

static void world_done(struct world *w)
{
        free(w->link);
        free(w->route);
}
#define _cleanup_world_ CLEANUP(world_done)

static bool is_multicast(const struct nl_neigh *x)
{
        const uint8_t *a = x->ip.addr;
        const uint8_t four[MAC] = {0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}, six[MAC] = {0x33, 0x33, a[12], a[13], a[14], a[15]};

        if (x->ip.family == AF_INET)
                return (a[0] & 0xf0) == 0xe0 && memcmp(x->mac, four, MAC) == 0;
        return a[0] == 0xff && memcmp(x->mac, six, MAC) == 0;
}

static bool is_broadcast(const struct nl_neigh *x, const struct world *w)
{
        static const uint8_t all[MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

        if (x->ip.family != AF_INET || memcmp(x->mac, all, MAC) != 0)
                return false;
        for (size_t i = 0; i < w->n_route; i++)
                if (w->route[i].type == RTN_BROADCAST && w->route[i].dst.family == AF_INET && w->route[i].dst.bits == 32 &&
                    memcmp(w->route[i].dst.addr, x->ip.addr, 4) == 0)
                        return true;
        return memcmp(x->ip.addr, all, 4) == 0;
}

static bool without_arp(const struct nl_neigh *x, const struct world *w)
{
        for (size_t i = 0; i < w->n_link; i++)
                if (str_eq(w->link[i].name, x->link))
                        return w->link[i].flags & (IFF_NOARP | IFF_LOOPBACK) && memcmp(w->link[i].mac, x->mac, MAC) == 0;
        return false;
}

static bool of_kernel(const struct nl_neigh *x, const struct world *w)
{
        return !x->protocol && (is_multicast(x) || is_broadcast(x, w) || without_arp(x, w));
}

static bool wanted(const struct nl_neigh *x, const struct world *w)
{
        if (!x->link[0])
                return false;
        if (x->learned || x->managed)
                return true;
        if (x->no_mac || x->state & (NUD_INCOMPLETE | NUD_FAILED))
                return false;
        return !(x->state & NUD_NOARP) || !of_kernel(x, w);
}

static int take_one(Gantry__NetNeigh *m, const struct nl_neigh *a, struct err *err)
{
        Gantry__NetNeigh__Neighbour *x = KIND_NEW(Gantry__NetNeigh__Neighbour, gantry__net_neigh__neighbour__init);
        bool known = !a->no_mac && !(a->state & (NUD_INCOMPLETE | NUD_FAILED));

        if (!x)
                return kind_nomem(err);
        m->neighbour[m->n_neighbour++] = x;
        x->permanent = a->state & NUD_PERMANENT;
        x->has_noarp = x->noarp = a->state & NUD_NOARP;
        x->has_router = x->router = a->router;
        x->has_learned = x->learned = a->learned;
        x->has_managed = x->managed = a->managed;
        x->has_protocol = (x->protocol = a->protocol) != 0;
        int r = netip_set(&x->ip, &a->ip, err);
        if (r >= 0)
                r = field_set(&x->mac, a->mac, known ? sizeof(a->mac) : 0, err);
        return r < 0 ? r : field_set_text(&x->link, a->link, err);
}

/* What tells the kernel's own entries from others. */
static int look_around(struct nl *nl, struct world *w, struct err *err)
{
        int r = nl_links(nl, &w->link, &w->n_link, err);

        return r < 0 ? r : nl_routes(nl, &w->route, &w->n_route, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct nl_neigh *a = NULL;
        _cleanup_world_ struct world w = {};
        size_t n = 0;
        struct nl *nl = dump_nl(d, o, err);

        (void)fd;
        (void)t;
        if (!nl)
                return -EX_FAIL;
        int r = look_around(nl, &w, err);
        if (r >= 0)
                r = nl_neighs(nl, &a, &n, err);
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
                if (wanted(&a[i], &w))
                        r = take_one(m, &a[i], err);
        return r < 0 ? r : field_record(&kind_net_neigh, o, &guard, ret);
}

static bool read_one(const Gantry__NetNeigh__Neighbour *x, struct nl_neigh *ret)
{
        *ret = (struct nl_neigh){.state = x->permanent ? NUD_PERMANENT : x->noarp ? NUD_NOARP : x->mac.len ? NUD_STALE : NUD_NONE,
                                 .protocol = (uint8_t)x->protocol, .no_mac = x->mac.len == 0, .router = x->router,
                                 .learned = x->learned, .managed = x->managed};
        if (x->protocol > UINT8_MAX || (x->permanent && (x->noarp || x->managed)))
                return false;
        if (x->mac.len != sizeof(ret->mac) && (x->mac.len || x->permanent || x->noarp || !(x->learned || x->managed)))
                return false;
        if (x->mac.len)
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
