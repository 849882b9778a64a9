/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: neighbours (base/netlink.h). Messages are read attribute by attribute: libnl-route knows neither who made an entry nor
 * that the kernel is to keep it resolved (NTF_EXT_MANAGED, 5.16).
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

struct neighs {
        const struct nl_names *names;
        struct nl_neigh *v;
        size_t n, cap;
        bool no_memory;
        struct nl_neigh bad;
        const char *why;
};

static void on_neigh(const struct nlmsghdr *h, void *arg)
{
        struct neighs *all = arg;
        struct nl_neigh x = {};
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_neigh_read(h, &x, &index, &why);

        if (q < 0 && !all->why) {
                all->why = why;
                all->bad = x;
        }
        if (q != 1 || all->no_memory)
                return;
        str_copy(x.link, sizeof(x.link), nl_name(all->names, (int)index));
        if (all->n == all->cap) {
                size_t cap = all->cap ? all->cap * 2 : 32;
                struct nl_neigh *v = reallocarray(all->v, cap, sizeof(*v));
                if (!v) {
                        all->no_memory = true;
                        return;
                }
                all->v = v;
                all->cap = cap;
        }
        all->v[all->n++] = x;
}

int nl_neighs(struct nl *n, struct nl_neigh **ret, size_t *ret_n, struct err *err)
{
        static const char what[] = "cannot list the neighbours";
        _cleanup_nlnames_ struct nl_names *names = NULL;
        struct ndmsg m = {};
        char on[NL_IP_TEXT];
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        struct neighs all = {.names = names};
        r = nl_ask(n, RTM_GETNEIGH, &m, sizeof(m), on_neigh, &all);
        if (r == 0 && all.no_memory)
                r = -NLE_NOMEM;
        if (r == 0 && !all.why) {
                *ret = all.v;
                *ret_n = all.n;
                return 0;
        }
        free(all.v);
        if (r < 0)
                return nl_failed(err, r, what, "");
        return err_set(err, EX_UNSUPPORTED, "cannot keep a neighbour", all.why, "%s", nl_ip_text(&all.bad.ip, on));
}

static bool put_neigh(struct nl_msg *m, const struct nl_neigh *x, int index)
{
        struct ndmsg head = {.ndm_family = (unsigned char)x->ip.family, .ndm_ifindex = index, .ndm_state = x->state,
                             .ndm_flags = (unsigned char)((x->router ? NTF_ROUTER : 0) | (x->learned ? NTF_EXT_LEARNED : 0))};

        return nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
               nla_put(m, NDA_DST, x->ip.family == AF_INET6 ? 16 : 4, x->ip.addr) == 0 &&
               (x->no_mac || nla_put(m, NDA_LLADDR, sizeof(x->mac), x->mac) == 0) &&
               (!x->protocol || nla_put_u8(m, NDA_PROTOCOL, x->protocol) == 0) &&
               (!x->managed || nla_put_u32(m, NDA_FLAGS_EXT, NTF_EXT_MANAGED) == 0);
}

int nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err)
{
        static const char what[] = "cannot add a neighbour";
        struct nl_msg *m = NULL;
        char on[NL_IP_TEXT];
        int index = nl_index(n, x->link, err);

        if (index < 0)
                return index;
        m = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
        if (!m || !put_neigh(m, x, index)) {
                nlmsg_free(m);
                return nl_failed(err, NLE_NOMEM, what, "");
        }
        int q = nl_send_sync(n->sock, m);   /* frees it */
        return q < 0 ? nl_failed(err, q, what, nl_ip_text(&x->ip, on)) : 0;
}
