/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: neighbours (base/netlink.h). Messages are read attribute by attribute: libnl-route knows neither who made an entry nor
 * that the kernel is to keep it resolved (NTF_EXT_MANAGED, 5.16). It builds those that are added.
 *
 * Kernel facts (6.18): the dump shows entries of every state, those too that arp_constructor() and ndisc_constructor() make of
 * their own accord, with NUD_NOARP; nothing in the answer tells these from others, their addresses do. An entry that is managed,
 * or was learnt elsewhere (NTF_EXT_LEARNED), is not collected when it has no hardware address.
 *
 * Not here: proxied neighbours, which have a table of their own, and the forwarding tables of bridges.
 */
#include "base/netlink-impl.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/str.h"

DEFINE_CLEANUP(struct rtnl_neigh *, rtnl_neigh_put)
#define _cleanup_rtneigh_ CLEANUP(rtnl_neigh_putp)

#define FLAGS_KEPT (NTF_EXT_LEARNED | NTF_ROUTER)
#define FLAGS_REPORTED NTF_OFFLOADED
#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED 1
#endif

/* NULL, or why it cannot be held. */
static const char *get_attr(const struct nlattr *a, struct nl_neigh *x)
{
        size_t len = x->ip.family == AF_INET6 ? 16 : 4;

        switch (nla_type(a)) {
        case NDA_DST:
                if ((size_t)nla_len(a) != len)
                        return "its address has another form";
                memcpy(x->ip.addr, nla_data(a), len);
                return NULL;
        case NDA_LLADDR:
                x->no_mac = (size_t)nla_len(a) != sizeof(x->mac);
                if (!x->no_mac)
                        memcpy(x->mac, nla_data(a), sizeof(x->mac));
                return NULL;
        case NDA_PROTOCOL:
                x->protocol = nla_len(a) >= 1 ? nla_get_u8(a) : 0;
                return NULL;
        case NDA_FLAGS_EXT:
                if (nla_len(a) != 4 || nla_get_u32(a) & ~(uint32_t)NTF_EXT_MANAGED)
                        return "it has a flag that is not known here";
                x->managed = nla_get_u32(a) & NTF_EXT_MANAGED;
                return NULL;
        case NDA_CACHEINFO:
        case NDA_PROBES:
                return NULL;
        default:
                return "it has an attribute that is not known here";
        }
}

int nl_neigh_read(const struct nlmsghdr *h, struct nl_neigh *ret, uint32_t *ret_index, const char **ret_why)
{
        const struct ndmsg *m = NLMSG_DATA(h);
        const char *why = NULL;
        struct nlattr *a = NULL;
        int left = 0;

        if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
                return 0;
        if ((m->ndm_family != AF_INET && m->ndm_family != AF_INET6) || m->ndm_flags & NTF_PROXY)
                return 0;
        struct nl_neigh x = {.ip = {.family = m->ndm_family, .bits = m->ndm_family == AF_INET6 ? 128 : 32}, .state = m->ndm_state,
                             .no_mac = true, .router = m->ndm_flags & NTF_ROUTER, .learned = m->ndm_flags & NTF_EXT_LEARNED};
        if (m->ndm_flags & ~(FLAGS_KEPT | FLAGS_REPORTED))
                why = "it has a flag that is not known here";
        nlmsg_for_each_attr(a, (struct nlmsghdr *)(uintptr_t)h, sizeof(*m), left) {
                if (!why)
                        why = get_attr(a, &x);
        }
        *ret = x;
        *ret_index = (uint32_t)m->ndm_ifindex;
        *ret_why = why;
        return why ? -EX_UNSUPPORTED : 1;
}

static void on_neigh(const struct nlmsghdr *h, void *arg)
{
        struct nl_found *all = arg;
        struct nl_neigh x = {};
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_neigh_read(h, &x, &index, &why);

        str_copy(x.link, sizeof(x.link), nl_name(all->names, (int)index));
        nl_found_add(all, q, &x, &x.ip, why);
}

int nl_neighs(struct nl *n, struct nl_neigh **ret, size_t *ret_n, struct err *err)
{
        _cleanup_nlnames_ struct nl_names *names = NULL;
        struct ndmsg m = {};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        struct nl_found all = {.size = sizeof(struct nl_neigh), .names = names};
        r = nl_ask(n, RTM_GETNEIGH, &m, sizeof(m), on_neigh, &all);
        r = nl_found_end(&all, r, "cannot list the neighbours", "cannot keep a neighbour", err);
        if (r == 0) {
                *ret = all.v;
                *ret_n = all.n;
        }
        return r;
}

/* libnl-route's message, and behind it what libnl-route does not know. */
static int build(const struct nl_neigh *x, int index, struct nl_msg **ret)
{
        _cleanup_rtneigh_ struct rtnl_neigh *g = rtnl_neigh_alloc();
        _cleanup_nladdr_ struct libnl_addr *ip = nl_addr_from(&x->ip);
        _cleanup_nladdr_ struct libnl_addr *mac = nl_addr_build(AF_LLC, x->mac, sizeof(x->mac));

        if (!g || !ip || !mac)
                return -NLE_NOMEM;
        rtnl_neigh_set_ifindex(g, index);
        rtnl_neigh_set_state(g, x->state);
        rtnl_neigh_set_flags(g, (unsigned)((x->router ? NTF_ROUTER : 0) | (x->learned ? NTF_EXT_LEARNED : 0)));
        if (!x->no_mac)
                rtnl_neigh_set_lladdr(g, mac);
        int r = rtnl_neigh_set_dst(g, ip);
        if (r == 0)
                r = rtnl_neigh_build_add_request(g, NLM_F_CREATE | NLM_F_REPLACE, ret);
        if (r == 0 && x->protocol)
                r = nla_put_u8(*ret, NDA_PROTOCOL, x->protocol);
        if (r == 0 && x->managed)
                r = nla_put_u32(*ret, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
        return r;
}

int nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err)
{
        struct nl_msg *m = NULL;
        char on[NL_IP_TEXT];
        int index = nl_index(n, x->link, err);

        if (index < 0)
                return index;
        int r = build(x, index, &m);
        if (r == 0)
                r = nl_send_sync(n->sock, m);   /* frees it */
        else
                nlmsg_free(m);
        return r < 0 ? nl_failed(err, r, "cannot add a neighbour", nl_ip_text(&x->ip, on)) : 0;
}
