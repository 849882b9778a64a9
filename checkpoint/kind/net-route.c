/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Routes of a network namespace, of all types and tables.
 *
 * When the addresses are there again, the kernel has made routes to their prefixes too. Those that the container had
 * are left as they are, those that it had removed go, all others are added: what there is afterwards is what the record says. A
 * route with a gateway needs the one that leads to it, so those without come first. What base/netlink.h cannot hold
 * (several next hops, next hop objects, encapsulations) was refused by name when it was read.
 *
 * Routes that the kernel itself puts into the table local for an address or a link differ between kernels in what does not matter, so
 * none is ever added: a record only says which there were. Those that it does not name the container had removed, and they go
 * in PH_PARK: settings (forwarding makes anycast routes) and sockets come before. A tentative IPv6 address has no route to
 * itself yet, and gets one when duplicate detection ends, so it is named as if it had.
 */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/net-route.pb-c.h"

#define ROUTES_MAX 1048576

static bool of_kernel(const struct nl_route *a)
{
        return a->table == RT_TABLE_LOCAL && a->protocol == RTPROT_KERNEL;
}

static int take_metrics(Gantry__NetRoute__Route *x, const struct nl_route *a, struct err *err)
{
        x->metrics = kind_calloc(NL_ROUTE_METRICS, sizeof(*x->metrics));
        for (unsigned i = 0; x->metrics && i < NL_ROUTE_METRICS; i++) {
                if (!a->metrics[i])
                        continue;
                Gantry__NetRoute__Metric *m = KIND_NEW(Gantry__NetRoute__Metric, gantry__net_route__metric__init);
                if (!m)
                        return kind_nomem(err);
                x->metrics[x->n_metrics++] = m;
                m->number = i + 1;
                m->value = a->metrics[i];
        }
        return x->metrics ? 0 : kind_nomem(err);
}

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
        x->type = a->type;
        x->has_tos = (x->tos = a->tos) != 0;
        x->has_onlink = x->onlink = a->onlink;
        x->has_preference = (x->preference = a->preference) != 0;
        x->has_realm = (x->realm = a->realm) != 0;
        x->has_expires = (x->expires = a->expires) != 0;
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
        if (r >= 0 && a->link[0]) {
                r = field_set_text(&x->link, a->link, err);
                x->has_link = r >= 0;
        }
        return r < 0 ? r : take_metrics(x, a, err);
}

/* Routes of the kernel's own: those there are, and those that are to come. */
struct locals { struct nl_route *at; size_t n; };

static void locals_done(struct locals *l)
{
        free(l->at);
}
#define _cleanup_locals_ CLEANUP(locals_done)

/* The same but for what differs between kernels. */
static bool same_local(const struct nl_route *a, const struct nl_route *b)
{
        return a->type == b->type && a->dst.family == b->dst.family && a->dst.bits == b->dst.bits && str_eq(a->link, b->link) &&
               memcmp(a->dst.addr, b->dst.addr, a->dst.family == AF_INET6 ? 16 : 4) == 0;
}

static int by_place(const void *a, const void *b)
{
        const struct nl_route *x = a, *y = b;
        int r = x->dst.family != y->dst.family ? x->dst.family - y->dst.family : memcmp(x->dst.addr, y->dst.addr, sizeof(x->dst.addr));

        if (r == 0)
                r = x->dst.bits != y->dst.bits ? (x->dst.bits < y->dst.bits ? -1 : 1) : strcmp(x->link, y->link);
        return r ? r : x->type - y->type;
}

static int read_locals(struct nl *nl, const struct nl_route *a, size_t n, struct locals *ret, struct err *err)
{
        _cleanup_free_ struct nl_addr *addr = NULL;
        size_t n_addr = 0;
        int r = nl_addrs(nl, &addr, &n_addr, err);

        if (r < 0)
                return r;
        ret->at = calloc(n + n_addr + 1, sizeof(*ret->at));
        if (!ret->at)
                return kind_nomem(err);
        for (size_t i = 0; i < n; i++)
                if (of_kernel(&a[i]))
                        ret->at[ret->n++] = a[i];
        for (size_t i = 0; i < n_addr; i++) {
                if (addr[i].ip.family != AF_INET6 || !(addr[i].flags & IFA_F_TENTATIVE))
                        continue;
                struct nl_route *x = &ret->at[ret->n++];
                *x = (struct nl_route){.dst = addr[i].ip, .type = RTN_LOCAL};
                x->dst.bits = 128;
                str_copy(x->link, sizeof(x->link), addr[i].link);
        }
        qsort(ret->at, ret->n, sizeof(*ret->at), by_place);
        return 0;
}

static int take_locals(Gantry__NetRoute *m, const struct locals *l, struct err *err)
{
        m->local = kind_calloc(l->n, sizeof(*m->local));
        if (!m->local)
                return kind_nomem(err);
        for (size_t i = 0; i < l->n; i++) {
                if (i && same_local(&l->at[i], &l->at[i - 1]))
                        continue;
                Gantry__NetRoute__Local *x = KIND_NEW(Gantry__NetRoute__Local, gantry__net_route__local__init);
                if (!x)
                        return kind_nomem(err);
                m->local[m->n_local++] = x;
                x->dst_bits = l->at[i].dst.bits;
                x->type = l->at[i].type;
                int r = netip_set(&x->dst, &l->at[i].dst, err);
                if (r >= 0)
                        r = field_set_text(&x->link, l->at[i].link, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct nl_route *a = NULL;
        _cleanup_locals_ struct locals l = {};
        size_t n = 0;
        struct nl *nl = dump_nl(d, o, err);

        (void)fd;
        (void)t;
        if (!nl)
                return -EX_FAIL;
        int r = nl_routes(nl, &a, &n, err);
        if (r >= 0)
                r = read_locals(nl, a, n, &l, err);
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
                        if (a[i].has_gw == gateway && !of_kernel(&a[i]))
                                r = take_one(m, &a[i], err);
        if (r >= 0)
                r = take_locals(m, &l, err);
        return r < 0 ? r : field_record(&kind_net_route, o, &guard, ret);
}

static bool read_one(const Gantry__NetRoute__Route *x, struct nl_route *ret)
{
        *ret = (struct nl_route){.has_gw = x->has_gateway, .has_src = x->has_source, .onlink = x->onlink, .table = x->table,
                                 .metric = x->metric, .realm = x->realm, .expires = x->expires, .scope = (uint8_t)x->scope,
                                 .protocol = (uint8_t)x->protocol, .type = (uint8_t)x->type, .tos = (uint8_t)x->tos,
                                 .preference = (uint8_t)x->preference};
        if (x->scope > UINT8_MAX || x->protocol > UINT8_MAX || x->tos > UINT8_MAX || x->preference > UINT8_MAX)
                return false;
        if (x->type == RTN_UNSPEC || x->type > RTN_THROW || of_kernel(ret))
                return false;
        for (size_t i = 0; i < x->n_metrics; i++) {
                uint32_t number = x->metrics[i]->number;
                if (number < 1 || number > NL_ROUTE_METRICS || number == RTAX_CC_ALGO)
                        return false;
                ret->metrics[number - 1] = x->metrics[i]->value;
        }
        if (x->has_gateway && !netip_get(&x->gateway, (uint32_t)x->gateway.len * 8, &ret->gw))
                return false;
        if (x->has_source && !netip_get(&x->source, (uint32_t)x->source.len * 8, &ret->src))
                return false;
        return (!x->has_link || netip_link(&x->link, ret->link)) && netip_get(&x->dst, x->dst_bits, &ret->dst);
}

static bool read_local(const Gantry__NetRoute__Local *x, struct nl_route *ret)
{
        *ret = (struct nl_route){.table = RT_TABLE_LOCAL, .protocol = RTPROT_KERNEL, .type = (uint8_t)x->type};
        return x->type != RTN_UNSPEC && x->type <= RTN_THROW && netip_link(&x->link, ret->link) && netip_get(&x->dst, x->dst_bits, &ret->dst);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NetRoute *m = (const Gantry__NetRoute *)r->msg;
        struct nl_route a;

        (void)need;
        if (m->n_route > ROUTES_MAX || m->n_local > ROUTES_MAX)
                return kind_bad(&kind_net_route, r, err, "too many routes");
        for (size_t i = 0; i < m->n_route; i++)
                if (!read_one(m->route[i], &a))
                        return kind_bad(&kind_net_route, r, err, "a route is not one");
        for (size_t i = 0; i < m->n_local; i++)
                if (!read_local(m->local[i], &a))
                        return kind_bad(&kind_net_route, r, err, "a route is not one");
        return 0;
}

static bool among(const struct nl_route *a, size_t n, const struct nl_route *x)
{
        for (size_t i = 0; i < n; i++)
                if (nl_route_same(&a[i], x))
                        return true;
        return false;
}

/* The gateway's route goes last: a kernel that looks for it at removal finds it. */
static int reconcile(struct nl *n, const struct nl_route *want, size_t n_want, struct err *err)
{
        _cleanup_free_ struct nl_route *have = NULL;
        size_t n_have = 0;
        int r = nl_routes(n, &have, &n_have, err);

        for (size_t i = n_have; r >= 0 && i-- > 0;)
                if (!of_kernel(&have[i]) && !among(want, n_want, &have[i]))
                        r = nl_route_del(n, &have[i], err);
        for (size_t i = 0; r >= 0 && i < n_want; i++)
                if (!among(have, n_have, &want[i]))
                        r = nl_route_add(n, &want[i], err);
        return r;
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetRoute *m = (const Gantry__NetRoute *)r->msg;
        struct nl *n = restore_nl(rs, r->id, err);
        _cleanup_free_ struct nl_route *want = calloc(m->n_route ? m->n_route : 1, sizeof(*want));

        if (!n || !want)
                return n ? kind_nomem(err) : -EX_FAIL;
        for (size_t i = 0; i < m->n_route; i++)
                if (!read_one(m->route[i], &want[i]))
                        return kind_bad(&kind_net_route, r, err, "a route is not one");
        return reconcile(n, want, m->n_route, err);
}

static bool named(const Gantry__NetRoute *m, const struct nl_route *x)
{
        struct nl_route a;

        for (size_t i = 0; i < m->n_local; i++)
                if (read_local(m->local[i], &a) && same_local(&a, x))
                        return true;
        return false;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetRoute *m = (const Gantry__NetRoute *)r->msg;
        struct nl *nl = restore_nl(rs, r->id, err);
        _cleanup_free_ struct nl_route *have = NULL;
        size_t n = 0;
        int r2 = nl ? nl_routes(nl, &have, &n, err) : -EX_FAIL;

        for (size_t i = n; r2 >= 0 && i-- > 0;)
                if (of_kernel(&have[i]) && !named(m, &have[i]))
                        r2 = nl_route_del(nl, &have[i], err);
        return r2;
}

const struct kind kind_net_route = {
        .stem = "net-route",
        .number = KIND_NET_ROUTE,
        .cls = CLS_NETNS,
        .msg = &gantry__net_route__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground, [PH_PARK] = plan_park},
};
