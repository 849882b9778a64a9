/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: routes (base/netlink.h). Messages are read attribute by attribute: libnl-route passes over what it does not know,
 * and a route without its encapsulation or its congestion control would be another route. What a `struct nl_route` cannot
 * hold is refused by name when routes are read.
 *
 * Kernel facts (6.18): an answer for all families holds multicast routing tables and MPLS too. IPv6 shows a route of
 * type unreachable and its like on lo, IPv4 on no link. A deleted IPv4 route is found by everything but its metrics. IPv4
 * takes equal routes but for the next hop in the order of NLM_F_APPEND; IPv6 would make one multipath route of them.
 *
 * Next hop objects, several next hops, encapsulations and source-specific IPv6 routes are not held.
 */
#include "base/netlink-impl.h"

#include <linux/rtnetlink.h>
#include <string.h>

#include "base/str.h"

/* Next hop flags that the kernel reports by itself. */
#define HOP_REPORTED (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP | RTNH_F_UNRESOLVED)
#define HOP_BITS 0xffu
#define EXPIRES_PER_SECOND 100   /* USER_HZ */

static bool put_ip(struct nl_msg *m, int type, const struct ip_prefix *ip)
{
        return nla_put(m, type, ip->family == AF_INET6 ? 16 : 4, ip->addr) == 0;
}

static bool get_ip(const struct nlattr *a, int family, struct ip_prefix *ret)
{
        *ret = (struct ip_prefix){.family = family, .bits = family == AF_INET6 ? 128 : 32};
        if ((unsigned)nla_len(a) != ret->bits / 8)
                return false;
        memcpy(ret->addr, nla_data(a), ret->bits / 8);
        return true;
}

/* ---- reading ---- */

static const char *get_metrics(const struct nlattr *all, struct nl_route *r)
{
        struct nlattr *a = NULL;
        int left = 0;

        nla_for_each_nested(a, all, left) {
                int type = nla_type(a);
                if (type == RTAX_CC_ALGO)
                        return "it has a congestion control of its own";
                if (type <= 0 || type > NL_ROUTE_METRICS)
                        return "it has a metric that is not known here";
                if (nla_len(a) != 4)
                        return "it has a metric of another form";
                r->metrics[type - 1] = nla_get_u32(a);
        }
        return NULL;
}

static const char *get_via(const struct nlattr *a, struct nl_route *r)
{
        struct rtvia via;
        size_t head = sizeof(via), len = (size_t)nla_len(a);

        if (len < head)
                return "its next hop has another form";
        memcpy(&via, nla_data(a), head);
        if ((via.rtvia_family != AF_INET && via.rtvia_family != AF_INET6) || len - head != (via.rtvia_family == AF_INET6 ? 16 : 4))
                return "its next hop is of another family";
        r->gw = (struct ip_prefix){.family = via.rtvia_family, .bits = (unsigned)(len - head) * 8};
        memcpy(r->gw.addr, (const char *)nla_data(a) + head, len - head);
        r->has_gw = true;
        return NULL;
}

static const char *get_cache(const struct nlattr *a, struct nl_route *r)
{
        struct rta_cacheinfo c;

        if (nla_len(a) < (int)sizeof(c))
                return NULL;
        memcpy(&c, nla_data(a), sizeof(c));
        if (c.rta_expires > 0)
                r->expires = ((uint32_t)c.rta_expires + EXPIRES_PER_SECOND - 1) / EXPIRES_PER_SECOND;
        return NULL;
}

static const char *get_number(const struct nlattr *a, uint32_t *ret)
{
        if (nla_len(a) != 4)
                return "a number of it has another form";
        *ret = nla_get_u32(a);
        return NULL;
}

static const char *get_attr(const struct nlattr *a, struct nl_route *r, uint32_t *index)
{
        switch (nla_type(a)) {
        case RTA_DST: {
                unsigned bits = r->dst.bits;
                bool good = get_ip(a, r->dst.family, &r->dst);
                r->dst.bits = bits;
                return good ? NULL : "its destination has another form";
        }
        case RTA_GATEWAY:
                r->has_gw = get_ip(a, r->dst.family, &r->gw);
                return r->has_gw ? NULL : "its next hop has another form";
        case RTA_VIA:
                return get_via(a, r);
        case RTA_PREFSRC:
                r->has_src = get_ip(a, r->dst.family, &r->src);
                return r->has_src ? NULL : "its source has another form";
        case RTA_OIF:
                return get_number(a, index);
        case RTA_TABLE:
                return get_number(a, &r->table);
        case RTA_PRIORITY:
                return get_number(a, &r->metric);
        case RTA_FLOW:
                return get_number(a, &r->realm);
        case RTA_METRICS:
                return get_metrics(a, r);
        case RTA_PREF:
                r->preference = nla_len(a) >= 1 ? nla_get_u8(a) : 0;
                return NULL;
        case RTA_CACHEINFO:
                return get_cache(a, r);
        case RTA_PAD:
                return NULL;
        case RTA_MULTIPATH:
                return "it has several next hops";
        case RTA_NH_ID:
                return "it uses a next hop object";
        case RTA_ENCAP:
        case RTA_ENCAP_TYPE:
                return "it encapsulates packets";
        case RTA_SRC:
                return "it holds for one source";
        default:
                return "it has an attribute that is not known here";
        }
}

static const char *get_head(const struct rtmsg *t, struct nl_route *r)
{
        if (t->rtm_family == RTNL_FAMILY_IPMR || t->rtm_family == RTNL_FAMILY_IP6MR)
                return "it routes multicast packets";
        if (t->rtm_family != AF_INET && t->rtm_family != AF_INET6)
                return "it is of a family that is not known here";
        if (t->rtm_src_len)
                return "it holds for one source";
        if (t->rtm_type == RTN_UNSPEC || t->rtm_type > RTN_THROW)
                return "its type is not known here";
        if (t->rtm_flags & HOP_BITS & ~(unsigned)(HOP_REPORTED | RTNH_F_ONLINK))
                return "its next hop has flags";
        if (t->rtm_dst_len > (t->rtm_family == AF_INET6 ? 128 : 32))
                return "its destination has another form";
        *r = (struct nl_route){.dst = {.family = t->rtm_family, .bits = t->rtm_dst_len}, .table = t->rtm_table, .scope = t->rtm_scope,
                               .protocol = t->rtm_protocol, .type = t->rtm_type, .tos = t->rtm_tos,
                               .onlink = t->rtm_flags & RTNH_F_ONLINK};
        return NULL;
}

int nl_route_read(const struct nlmsghdr *h, struct nl_route *ret, uint32_t *ret_index, const char **ret_why)
{
        struct nl_route r = {};
        uint32_t index = 0;
        const struct rtmsg *t = NLMSG_DATA(h);

        if (h->nlmsg_type != RTM_NEWROUTE)
                return 0;
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*t))) {
                *ret_why = "the kernel's answer has another form";
                return -EX_UNSUPPORTED;
        }
        if (t->rtm_flags & RTM_F_CLONED)   /* learnt for one destination: a cache */
                return 0;
        const char *why = get_head(t, &r);
        struct nlattr *a = NULL;
        int left = 0;
        nlmsg_for_each_attr(a, (struct nlmsghdr *)(uintptr_t)h, sizeof(*t), left) {
                if (!why)
                        why = get_attr(a, &r, &index);
        }
        *ret = r;
        *ret_index = index;
        *ret_why = why;
        return why ? -EX_UNSUPPORTED : 1;
}

static void on_route(const struct nlmsghdr *h, void *arg)
{
        struct nl_found *all = arg;
        struct nl_route r = {};
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_route_read(h, &r, &index, &why);

        if (index)
                str_copy(r.link, sizeof(r.link), nl_name(all->names, (int)index));
        nl_found_add(all, q, &r, &r.dst, why);
}

int nl_routes(struct nl *n, struct nl_route **ret, size_t *ret_n, struct err *err)
{
        _cleanup_nlnames_ struct nl_names *names = NULL;
        struct rtmsg t = {};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        struct nl_found all = {.size = sizeof(struct nl_route), .names = names};
        r = nl_ask(n, RTM_GETROUTE, &t, sizeof(t), on_route, &all);
        r = nl_found_end(&all, r, "cannot list the routes", "cannot keep a route", err);
        if (r == 0) {
                *ret = all.v;
                *ret_n = all.n;
        }
        return r;
}

/* ---- changing ---- */

static bool put_metrics(struct nl_msg *m, const struct nl_route *r)
{
        struct nlattr *all = NULL;

        for (int i = 0; i < NL_ROUTE_METRICS; i++) {
                if (!r->metrics[i])
                        continue;
                if (!all && !(all = nla_nest_start(m, RTA_METRICS)))
                        return false;
                if (nla_put_u32(m, i + 1, r->metrics[i]) < 0)
                        return false;
        }
        if (all)
                nla_nest_end(m, all);
        return true;
}

static bool put_hop(struct nl_msg *m, const struct nl_route *r)
{
        const struct rtvia head = {.rtvia_family = (uint16_t)r->gw.family};
        uint8_t via[sizeof(head) + 16];
        size_t len = r->gw.family == AF_INET6 ? 16 : 4;

        if (!r->has_gw)
                return true;
        if (r->gw.family == r->dst.family)
                return put_ip(m, RTA_GATEWAY, &r->gw);
        memcpy(via, &head, sizeof(head));
        memcpy(via + sizeof(head), r->gw.addr, len);
        return nla_put(m, RTA_VIA, (int)(sizeof(head) + len), via) == 0;
}

static bool put_route(struct nl_msg *m, const struct nl_route *r, uint32_t index)
{
        uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
        struct rtmsg t = {.rtm_family = (unsigned char)r->dst.family, .rtm_dst_len = (unsigned char)r->dst.bits, .rtm_tos = r->tos,
                          .rtm_table = table < 256 ? (unsigned char)table : RT_TABLE_COMPAT, .rtm_scope = r->scope,
                          .rtm_protocol = r->protocol ? r->protocol : RTPROT_STATIC, .rtm_type = r->type ? r->type : RTN_UNICAST,
                          .rtm_flags = r->onlink ? RTNH_F_ONLINK : 0};

        return nlmsg_append(m, &t, sizeof(t), NLMSG_ALIGNTO) == 0 && (!r->dst.bits || put_ip(m, RTA_DST, &r->dst)) && put_hop(m, r) &&
               (!r->has_src || put_ip(m, RTA_PREFSRC, &r->src)) && (!index || nla_put_u32(m, RTA_OIF, index) == 0) &&
               nla_put_u32(m, RTA_TABLE, table) == 0 && (!r->metric || nla_put_u32(m, RTA_PRIORITY, r->metric) == 0) &&
               (!r->realm || nla_put_u32(m, RTA_FLOW, r->realm) == 0) && put_metrics(m, r) &&
               (!r->preference || nla_put_u8(m, RTA_PREF, r->preference) == 0) &&
               (!r->expires || nla_put_u32(m, RTA_EXPIRES, r->expires) == 0);
}

static int change(struct nl *n, int type, int flags, const struct nl_route *r, const char *what, struct err *err)
{
        struct nl_msg *m = NULL;
        char on[NL_IP_TEXT];
        int index = r->link[0] ? nl_index(n, r->link, err) : 0;

        if (index < 0)
                return index;
        m = nlmsg_alloc_simple(type, flags);
        if (!m || !put_route(m, r, (uint32_t)index)) {
                nlmsg_free(m);
                return nl_failed(err, NLE_NOMEM, what, "");
        }
        int q = nl_send_sync(n->sock, m);   /* frees it */
        bool done = q == -NLE_EXIST || (type == RTM_DELROUTE && q == -NLE_OBJ_NOTFOUND);
        return q < 0 && !done ? nl_failed(err, q, what, nl_ip_text(&r->dst, on)) : 0;
}

int nl_route_add(struct nl *n, const struct nl_route *r, struct err *err)
{
        return change(n, RTM_NEWROUTE, NLM_F_CREATE | (r->dst.family == AF_INET ? NLM_F_APPEND : NLM_F_EXCL), r, "cannot add a route", err);
}

int nl_route_del(struct nl *n, const struct nl_route *r, struct err *err)
{
        return change(n, RTM_DELROUTE, 0, r, "cannot remove a route", err);
}

static bool ip_same(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->family == b->family && a->bits == b->bits && memcmp(a->addr, b->addr, a->family == AF_INET6 ? 16 : 4) == 0;
}

bool nl_route_same(const struct nl_route *a, const struct nl_route *b)
{
        return ip_same(&a->dst, &b->dst) && a->has_gw == b->has_gw && a->has_src == b->has_src && (!a->has_gw || ip_same(&a->gw, &b->gw)) &&
               (!a->has_src || ip_same(&a->src, &b->src)) && str_eq(a->link, b->link) && a->table == b->table && a->metric == b->metric &&
               a->scope == b->scope && a->protocol == b->protocol && a->type == b->type && a->tos == b->tos && a->onlink == b->onlink &&
               a->preference == b->preference && a->realm == b->realm && !a->expires == !b->expires &&
               memcmp(a->metrics, b->metrics, sizeof(a->metrics)) == 0;
}
