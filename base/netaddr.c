/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: addresses, routes and neighbours through libnl-route (base/netlink.h).
 *
 * IPv6 addresses are added with NODAD: duplicate detection would keep a moved address unusable for a second, and the
 * address is ours by ownership of the container. What a `struct nl_route` cannot hold (several next hops, a type of
 * service, metrics, next hop flags that were set by hand) is refused by name when routes are read, never dropped.
 */
#include "base/netlink-impl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/str.h"

DEFINE_CLEANUP(struct rtnl_addr *, rtnl_addr_put)
DEFINE_CLEANUP(struct rtnl_route *, rtnl_route_put)
DEFINE_CLEANUP(struct rtnl_neigh *, rtnl_neigh_put)
#define _cleanup_rtaddr_ CLEANUP(rtnl_addr_putp)
#define _cleanup_rtroute_ CLEANUP(rtnl_route_putp)
#define _cleanup_rtneigh_ CLEANUP(rtnl_neigh_putp)

/* What can be asked for; the rest of the flags is the kernel's report (permanent, tentative, dadfailed …). */
#define ADDR_FLAGS (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN)
/* Next hop flags that the kernel reports by itself. */
#define HOP_FLAGS_REPORTED (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP | RTNH_F_UNRESOLVED)

static size_t addr_len(int family)
{
        return family == AF_INET6 ? 16 : 4;
}

static const char *ip_text(const struct ip_prefix *ip, char *ret, size_t size)
{
        _cleanup_nladdr_ struct libnl_addr *a = nl_addr_from(ip);

        if (!a || !nl_addr2str(a, ret, size))
                str_copy(ret, size, "?");
        return ret;
}

struct libnl_addr *nl_addr_from(const struct ip_prefix *ip)
{
        struct libnl_addr *a = nl_addr_build(ip->family, ip->addr, addr_len(ip->family));

        if (a)
                nl_addr_set_prefixlen(a, (int)ip->bits);
        return a;
}

bool nl_addr_to(struct libnl_addr *a, struct ip_prefix *ret)
{
        struct ip_prefix ip = {};

        if (!a)
                return false;
        ip.family = nl_addr_get_family(a);
        if (ip.family != AF_INET && ip.family != AF_INET6)
                return false;
        size_t n = nl_addr_get_len(a);
        if (n > addr_len(ip.family))
                return false;
        if (n) /* none: the default route */
                memcpy(ip.addr, nl_addr_get_binary_addr(a), n);
        ip.bits = nl_addr_get_prefixlen(a);
        *ret = ip;
        return true;
}

static int no_memory(struct err *err, const char *what)
{
        return nl_failed(err, NLE_NOMEM, what, "");
}

int nl_addr_add(struct nl *n, const struct nl_addr *a, struct err *err)
{
        static const char what[] = "cannot add an address";
        _cleanup_rtaddr_ struct rtnl_addr *x = rtnl_addr_alloc();
        _cleanup_nladdr_ struct libnl_addr *local = nl_addr_from(&a->ip);
        unsigned flags = a->flags & ADDR_FLAGS;
        char on[INET6_ADDRSTRLEN + 8];

        if (!x || !local)
                return no_memory(err, what);
        int index = nl_index(n, a->link, err);
        if (index < 0)
                return index;
        if (a->ip.family == AF_INET6)
                flags |= IFA_F_NODAD;
        rtnl_addr_set_ifindex(x, index);
        rtnl_addr_set_scope(x, a->scope);
        rtnl_addr_set_flags(x, flags);
        int r = rtnl_addr_set_local(x, local);
        if (r == 0 && a->label[0])
                r = rtnl_addr_set_label(x, a->label);
        if (r == 0)
                r = rtnl_addr_add(n->sock, x, 0);
        if (r < 0 && r != -NLE_EXIST)
                return nl_failed(err, r, what, ip_text(&a->ip, on, sizeof(on)));
        return 0;
}

/* A list that grows by one element at a time. */
struct list {
        void *v;
        size_t n, cap, size;
};

static int list_add(struct list *l, const void *x)
{
        if (l->n == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 16;
                void *v = reallocarray(l->v, cap, l->size);
                if (!v)
                        return -NLE_NOMEM;
                l->v = v;
                l->cap = cap;
        }
        memcpy((char *)l->v + l->n++ * l->size, x, l->size);
        return 0;
}

int nl_addrs(struct nl *n, struct nl_addr **ret, size_t *ret_n, struct err *err)
{
        static const char what[] = "cannot list the addresses";
        _cleanup_nlnames_ struct nl_names *names = NULL;
        _cleanup_nlcache_ struct nl_cache *cache = NULL;
        struct list l = {.size = sizeof(struct nl_addr)};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        r = rtnl_addr_alloc_cache(n->sock, &cache);
        if (r < 0)
                return nl_failed(err, r, what, "");
        for (struct nl_object *o = nl_cache_get_first(cache); o && r == 0; o = nl_cache_get_next(o)) {
                struct rtnl_addr *x = (struct rtnl_addr *)o;
                struct nl_addr a = {.flags = rtnl_addr_get_flags(x), .scope = (uint8_t)rtnl_addr_get_scope(x)};
                if (!nl_addr_to(rtnl_addr_get_local(x), &a.ip))
                        continue;
                str_copy(a.link, sizeof(a.link), nl_name(names, rtnl_addr_get_ifindex(x)));
                const char *label = rtnl_addr_get_label(x);
                if (label && !str_eq(label, a.link))
                        str_copy(a.label, sizeof(a.label), label);
                r = list_add(&l, &a);
        }
        if (r < 0) {
                free(l.v);
                return no_memory(err, what);
        }
        *ret = l.v;
        *ret_n = l.n;
        return 0;
}

static int set_hop(struct rtnl_route *x, const struct nl_route *r, int index)
{
        _cleanup_nladdr_ struct libnl_addr *gw = r->has_gw ? nl_addr_from(&r->gw) : NULL;
        struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

        if (!hop || (r->has_gw && !gw)) {
                rtnl_route_nh_free(hop);
                return -NLE_NOMEM;
        }
        rtnl_route_nh_set_ifindex(hop, index);
        if (gw)
                rtnl_route_nh_set_gateway(hop, gw);
        rtnl_route_add_nexthop(x, hop); /* owns it */
        return 0;
}

static int fill_route(struct rtnl_route *x, const struct nl_route *r, int index)
{
        _cleanup_nladdr_ struct libnl_addr *dst = nl_addr_from(&r->dst);
        _cleanup_nladdr_ struct libnl_addr *src = r->has_src ? nl_addr_from(&r->src) : NULL;

        if (!dst || (r->has_src && !src))
                return -NLE_NOMEM;
        int q = rtnl_route_set_family(x, (uint8_t)r->dst.family);
        if (q == 0)
                q = rtnl_route_set_dst(x, dst);
        if (q == 0 && src)
                q = rtnl_route_set_pref_src(x, src);
        if (q == 0)
                q = rtnl_route_set_type(x, r->type ? r->type : RTN_UNICAST);
        if (q < 0)
                return q;
        rtnl_route_set_table(x, r->table ? r->table : RT_TABLE_MAIN);
        rtnl_route_set_scope(x, r->scope);
        rtnl_route_set_protocol(x, r->protocol ? r->protocol : RTPROT_STATIC);
        if (r->metric)
                rtnl_route_set_priority(x, r->metric);
        return set_hop(x, r, index);
}

int nl_route_add(struct nl *n, const struct nl_route *r, struct err *err)
{
        static const char what[] = "cannot add a route";
        _cleanup_rtroute_ struct rtnl_route *x = rtnl_route_alloc();
        char on[INET6_ADDRSTRLEN + 8];

        if (!x)
                return no_memory(err, what);
        int index = nl_index(n, r->link, err);
        if (index < 0)
                return index;
        int q = fill_route(x, r, index);
        if (q == 0)
                q = rtnl_route_add(n->sock, x, NLM_F_CREATE);
        if (q < 0 && q != -NLE_EXIST)
                return nl_failed(err, q, what, ip_text(&r->dst, on, sizeof(on)));
        return 0;
}

static bool has_metrics(struct rtnl_route *x)
{
        for (int i = 1; i <= RTAX_MAX; i++) {
                uint32_t v;
                if (rtnl_route_get_metric(x, i, &v) == 0)
                        return true;
        }
        return false;
}

static const char *beyond(struct rtnl_route *x)
{
        if (rtnl_route_get_nnexthops(x) != 1)
                return "it has several next hops";
        if (rtnl_route_get_tos(x))
                return "it holds for one type of service";
        if (rtnl_route_get_flags(x) & (uint32_t)~HOP_FLAGS_REPORTED & 0xff)
                return "its next hop has flags";
        if (rtnl_route_get_src(x) && nl_addr_get_prefixlen(rtnl_route_get_src(x)))
                return "it holds for one source";
        return has_metrics(x) ? "it has metrics" : NULL;
}

/* 1: wanted, 0: not a route of ours. */
static int read_route(struct rtnl_route *x, const struct nl_names *names, struct nl_route *ret, struct err *err)
{
        struct nl_route r = {
                .table = rtnl_route_get_table(x),
                .metric = rtnl_route_get_priority(x),
                .scope = rtnl_route_get_scope(x),
                .protocol = rtnl_route_get_protocol(x),
                .type = rtnl_route_get_type(x),
        };
        char on[INET6_ADDRSTRLEN + 8];

        if (r.type != RTN_UNICAST || r.table == RT_TABLE_LOCAL || rtnl_route_get_flags(x) & RTM_F_CLONED)
                return 0;
        if (!nl_addr_to(rtnl_route_get_dst(x), &r.dst))
                return 0;
        const char *why = beyond(x);
        if (why)
                return err_set(err, EX_UNSUPPORTED, "cannot keep a route", why, "%s",
                               ip_text(&r.dst, on, sizeof(on)));
        struct rtnl_nexthop *hop = rtnl_route_nexthop_n(x, 0);
        r.has_gw = nl_addr_to(rtnl_route_nh_get_gateway(hop), &r.gw);
        r.has_src = nl_addr_to(rtnl_route_get_pref_src(x), &r.src);
        str_copy(r.link, sizeof(r.link), nl_name(names, rtnl_route_nh_get_ifindex(hop)));
        *ret = r;
        return 1;
}

int nl_routes(struct nl *n, struct nl_route **ret, size_t *ret_n, struct err *err)
{
        static const char what[] = "cannot list the routes";
        _cleanup_nlnames_ struct nl_names *names = NULL;
        _cleanup_nlcache_ struct nl_cache *cache = NULL;
        struct list l = {.size = sizeof(struct nl_route)};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        r = rtnl_route_alloc_cache(n->sock, AF_UNSPEC, 0, &cache);
        if (r < 0)
                return nl_failed(err, r, what, "");
        for (struct nl_object *o = nl_cache_get_first(cache); o && r >= 0; o = nl_cache_get_next(o)) {
                struct nl_route x;
                r = read_route((struct rtnl_route *)o, names, &x, err);
                if (r == 1 && list_add(&l, &x) < 0)
                        r = no_memory(err, what);
        }
        if (r < 0) {
                free(l.v);
                return r;
        }
        *ret = l.v;
        *ret_n = l.n;
        return 0;
}

int nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err)
{
        static const char what[] = "cannot add a neighbour";
        _cleanup_rtneigh_ struct rtnl_neigh *g = rtnl_neigh_alloc();
        _cleanup_nladdr_ struct libnl_addr *ip = nl_addr_from(&x->ip);
        _cleanup_nladdr_ struct libnl_addr *mac = nl_addr_build(AF_LLC, x->mac, sizeof(x->mac));
        char on[INET6_ADDRSTRLEN + 8];

        if (!g || !ip || !mac)
                return no_memory(err, what);
        int index = nl_index(n, x->link, err);
        if (index < 0)
                return index;
        rtnl_neigh_set_ifindex(g, index);
        rtnl_neigh_set_lladdr(g, mac);
        rtnl_neigh_set_state(g, x->state ? x->state : NUD_REACHABLE);
        int r = rtnl_neigh_set_dst(g, ip);
        if (r == 0)
                r = rtnl_neigh_add(n->sock, g, NLM_F_CREATE | NLM_F_REPLACE);
        return r < 0 ? nl_failed(err, r, what, ip_text(&x->ip, on, sizeof(on))) : 0;
}

static bool read_neigh(struct rtnl_neigh *g, const struct nl_names *names, struct nl_neigh *ret)
{
        struct nl_neigh x = {};
        struct libnl_addr *mac = rtnl_neigh_get_lladdr(g);
        int state = rtnl_neigh_get_state(g);

        /* NOARP entries are computed by the kernel (multicast). */
        if (!mac || nl_addr_get_len(mac) != sizeof(x.mac) || state < 0 || state & NUD_NOARP)
                return false;
        if (!nl_addr_to(rtnl_neigh_get_dst(g), &x.ip))
                return false;
        memcpy(x.mac, nl_addr_get_binary_addr(mac), sizeof(x.mac));
        x.state = (uint16_t)state;
        str_copy(x.link, sizeof(x.link), nl_name(names, rtnl_neigh_get_ifindex(g)));
        *ret = x;
        return true;
}

int nl_neighs(struct nl *n, struct nl_neigh **ret, size_t *ret_n, struct err *err)
{
        static const char what[] = "cannot list the neighbours";
        _cleanup_nlnames_ struct nl_names *names = NULL;
        _cleanup_nlcache_ struct nl_cache *cache = NULL;
        struct list l = {.size = sizeof(struct nl_neigh)};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        r = rtnl_neigh_alloc_cache(n->sock, &cache);
        if (r < 0)
                return nl_failed(err, r, what, "");
        for (struct nl_object *o = nl_cache_get_first(cache); o && r == 0; o = nl_cache_get_next(o)) {
                struct nl_neigh x;
                if (read_neigh((struct rtnl_neigh *)o, names, &x))
                        r = list_add(&l, &x);
        }
        if (r < 0) {
                free(l.v);
                return no_memory(err, what);
        }
        *ret = l.v;
        *ret_n = l.n;
        return 0;
}
