/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unicast routes of a network namespace, of all tables but local (which follows from the addresses).
 *
 * Routes that the kernel made for an address's prefix exist again when the address does: that is fine. A route with a
 * gateway needs the one that leads to it, so those without come first. What base/netlink.h cannot hold (several next
 * hops, metrics, a type of service) was refused by name when it was read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/net-route.pb-c.h"

#define ROUTES_MAX 1048576

static int take_one(Gantry__NetRoute *m, const struct nl_route *a, struct err *err)
{
        Gantry__NetRoute__Route *x = KIND_NEW(Gantry__NetRoute__Route, gantry__net_route__route__init);
        int r = 0;

        if (!x)
                return kind_nomem(err);
        m->route[m->n_route++] = x;
        x->dst_bits = a->dst.bits;
        x->table = a->table;
        x->metric = a->metric;
        x->scope = a->scope;
        x->protocol = a->protocol;
        if (a->has_gw) {
                r = netip_set(&x->gateway, &a->gw, err);
                x->has_gateway = r >= 0;
        }
        if (r >= 0 && a->has_src) {
                r = netip_set(&x->source, &a->src, err);
                x->has_source = r >= 0;
        }
        if (r >= 0)
                r = netip_set(&x->dst, &a->dst, err);
        return r < 0 ? r : field_set_text(&x->link, a->link, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct nl_route *a = NULL;
        size_t n = 0;
        struct nl *nl = dump_nl(d, o, err);

        (void)fd;
        (void)t;
        if (!nl)
                return -EX_FAIL;
        int r = nl_routes(nl, &a, &n, err);
        if (r < 0)
                return r;
        Gantry__NetRoute *m = KIND_NEW(Gantry__NetRoute, gantry__net_route__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->route = kind_calloc(n, sizeof(*m->route));
        if (!m->route)
                return kind_nomem(err);
        for (unsigned gateway = 0; gateway < 2; gateway++)
                for (size_t i = 0; r >= 0 && i < n; i++)
                        if (a[i].has_gw == gateway)
                                r = take_one(m, &a[i], err);
        return r < 0 ? r : field_record(&kind_net_route, o, &guard, ret);
}

static bool read_one(const Gantry__NetRoute__Route *x, struct nl_route *ret)
{
        *ret = (struct nl_route){.has_gw = x->has_gateway, .has_src = x->has_source, .table = x->table, .metric = x->metric,
                                 .scope = (uint8_t)x->scope, .protocol = (uint8_t)x->protocol, .type = 1 /* unicast */};
        if (x->scope > UINT8_MAX || x->protocol > UINT8_MAX)
                return false;
        if (x->has_gateway && !netip_get(&x->gateway, (uint32_t)x->gateway.len * 8, &ret->gw))
                return false;
        if (x->has_source && !netip_get(&x->source, (uint32_t)x->source.len * 8, &ret->src))
                return false;
        return netip_link(&x->link, ret->link) && netip_get(&x->dst, x->dst_bits, &ret->dst);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NetRoute *m = (const Gantry__NetRoute *)r->msg;
        struct nl_route a;

        (void)need;
        if (m->n_route > ROUTES_MAX)
                return kind_bad(&kind_net_route, r, err, "too many routes");
        for (size_t i = 0; i < m->n_route; i++)
                if (!read_one(m->route[i], &a))
                        return kind_bad(&kind_net_route, r, err, "a route is not one");
        return 0;
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetRoute *m = (const Gantry__NetRoute *)r->msg;
        struct nl *n = restore_nl(rs, r->id, err);
        int r2 = n ? 0 : -EX_FAIL;

        for (size_t i = 0; r2 >= 0 && i < m->n_route; i++) {
                struct nl_route a;
                r2 = read_one(m->route[i], &a) ? nl_route_add(n, &a, err) : kind_bad(&kind_net_route, r, err, "a route is not one");
        }
        return r2;
}

const struct kind kind_net_route = {
        .stem = "net-route",
        .number = KIND_NET_ROUTE,
        .cls = CLS_NETNS,
        .msg = &gantry__net_route__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
