/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: addresses (base/netlink.h). Routes are netroute.c, neighbours netneigh.c.
 *
 * IPv6 addresses are added without duplicate detection: it would keep a moved address unusable for a second, and the address is
 * ours by ownership of the container. Addresses are read attribute by attribute: libnl-route passes over what it does
 * not know. One that cannot be given again as it is (temporary, made from a secret, a duplicate) is refused by name.
 *
 * Kernel facts (6.18): an IPv4 address with another end shows that as IFA_ADDRESS and itself as IFA_LOCAL; IPv6 shows IFA_LOCAL only
 * then. Which address is a secondary one follows from the order in which they are added. A change of the flags of
 * an IPv6 address does not begin duplicate detection.
 */
#include "base/netlink-impl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/str.h"

/* What can be asked for; the rest of the flags is the kernel's report (permanent, tentative, dadfailed …). */
#define ADDR_FLAGS (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN)

static size_t addr_len(int family)
{
        return family == AF_INET6 ? 16 : 4;
}

/* ---- reading addresses ---- */

static bool get_ip(const struct nlattr *a, int family, struct ip_prefix *ret)
{
        *ret = (struct ip_prefix){.family = family, .bits = (unsigned)addr_len(family) * 8};
        if ((size_t)nla_len(a) != addr_len(family))
                return false;
        memcpy(ret->addr, nla_data(a), addr_len(family));
        return true;
}

/* `address` is IFA_ADDRESS, which is the other end where there is an IFA_LOCAL that differs. */
struct parts { struct ip_prefix local, address; bool has_local, has_address, has_cache; struct ifa_cacheinfo cache; };

static const char *get_attr(const struct nlattr *x, struct nl_addr *a, struct parts *p)
{
        bool good = true;

        switch (nla_type(x)) {
        case IFA_LOCAL:
                good = p->has_local = get_ip(x, a->ip.family, &p->local);
                break;
        case IFA_ADDRESS:
                good = p->has_address = get_ip(x, a->ip.family, &p->address);
                break;
        case IFA_BROADCAST:
                good = a->has_broadcast = get_ip(x, a->ip.family, &a->broadcast);
                break;
        case IFA_LABEL:
                good = nla_len(x) > 0 && memchr(nla_data(x), '\0', (size_t)nla_len(x)) && nla_len(x) <= (int)sizeof(a->label);
                if (good)
                        str_copy(a->label, sizeof(a->label), nla_data(x));
                break;
        case IFA_FLAGS:
                good = nla_len(x) == 4;
                a->flags = good ? nla_get_u32(x) : 0;
                break;
        case IFA_RT_PRIORITY:
                good = nla_len(x) == 4;
                a->metric = good ? nla_get_u32(x) : 0;
                break;
        case IFA_PROTO:
                good = nla_len(x) >= 1;
                a->protocol = good ? nla_get_u8(x) : 0;
                break;
        case IFA_CACHEINFO:
                good = p->has_cache = nla_len(x) >= (int)sizeof(p->cache);
                if (good)
                        memcpy(&p->cache, nla_data(x), sizeof(p->cache));
                break;
        default:
                return "it has an attribute that is not known here";
        }
        return good ? NULL : "an attribute of it has another form";
}

static const char *put_together(struct nl_addr *a, const struct parts *p, unsigned bits)
{
        if (!p->has_local && !p->has_address)
                return "the kernel's answer has another form";
        a->ip = p->has_local ? p->local : p->address;
        a->ip.bits = bits;
        if (p->has_local && p->has_address && memcmp(p->local.addr, p->address.addr, addr_len(a->ip.family)) != 0) {
                a->has_peer = true;
                a->peer = p->address;
                a->peer.bits = bits;
        }
        a->valid = p->has_cache ? p->cache.ifa_valid : UINT32_MAX;
        a->preferred = a->flags & IFA_F_DEPRECATED ? 0 : p->has_cache ? p->cache.ifa_prefered : UINT32_MAX;
        a->lifetimes = a->valid != UINT32_MAX || a->preferred != UINT32_MAX;
        if (a->ip.family == AF_INET6 && a->flags & IFA_F_TEMPORARY)
                return "it is a temporary one (privacy extensions), which only the kernel makes";
        if (a->flags & IFA_F_STABLE_PRIVACY)
                return "it was made from a secret of the kernel's";
        if (a->flags & IFA_F_DADFAILED)
                return "somebody else has it: duplicate detection failed";
        return NULL;
}

int nl_addr_read(const struct nlmsghdr *h, struct nl_addr *ret, uint32_t *ret_index, const char **ret_why)
{
        const struct ifaddrmsg *i = NLMSG_DATA(h);
        struct parts p = {};
        const char *why = NULL;

        if (h->nlmsg_type != RTM_NEWADDR)
                return 0;
        *ret = (struct nl_addr){};
        *ret_index = 0;
        *ret_why = "the kernel's answer has another form";
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
                return -EX_UNSUPPORTED;
        struct nl_addr a = {.ip = {.family = i->ifa_family}, .flags = i->ifa_flags, .scope = i->ifa_scope};
        *ret_index = i->ifa_index;
        if ((i->ifa_family != AF_INET && i->ifa_family != AF_INET6) || i->ifa_prefixlen > addr_len(i->ifa_family) * 8) {
                *ret_why = "it is of a family that is not known here";
                return -EX_UNSUPPORTED;
        }
        struct nlattr *x = NULL;
        int left = 0;
        nlmsg_for_each_attr(x, (struct nlmsghdr *)(uintptr_t)h, sizeof(*i), left) {
                if (!why)
                        why = get_attr(x, &a, &p);
        }
        if (!why)
                why = put_together(&a, &p, i->ifa_prefixlen);
        *ret = a;
        *ret_why = why;
        return why ? -EX_UNSUPPORTED : 1;
}

static void on_addr(const struct nlmsghdr *h, void *arg)
{
        struct nl_found *all = arg;
        struct nl_addr a = {};
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_addr_read(h, &a, &index, &why);

        str_copy(a.link, sizeof(a.link), nl_name(all->names, (int)index));
        if (str_eq(a.label, a.link))
                a.label[0] = '\0';
        nl_found_add(all, q, &a, &a.ip, why);
}

int nl_addrs(struct nl *n, struct nl_addr **ret, size_t *ret_n, struct err *err)
{
        _cleanup_nlnames_ struct nl_names *names = NULL;
        struct ifaddrmsg i = {};
        int r = nl_names_read(n, &names, err);

        if (r < 0)
                return r;
        struct nl_found all = {.size = sizeof(struct nl_addr), .names = names};
        r = nl_ask(n, RTM_GETADDR, &i, sizeof(i), on_addr, &all);
        r = nl_found_end(&all, r, "cannot list the addresses", "cannot keep an address", err);
        if (r == 0) {
                *ret = all.v;
                *ret_n = all.n;
        }
        return r;
}

/* ---- changing addresses ---- */

unsigned nl_addr_flags(const struct nl_addr *a)
{
        return a->flags & ADDR_FLAGS;
}

static bool same_ip(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->family == b->family && a->bits == b->bits && memcmp(a->addr, b->addr, addr_len(a->family)) == 0;
}

bool nl_addr_same(const struct nl_addr *a, const struct nl_addr *b)
{
        return same_ip(&a->ip, &b->ip) && a->has_peer == b->has_peer && (!a->has_peer || same_ip(&a->peer, &b->peer)) &&
               a->has_broadcast == b->has_broadcast && (!a->has_broadcast || same_ip(&a->broadcast, &b->broadcast)) &&
               a->lifetimes == b->lifetimes && str_eq(a->link, b->link) && str_eq(a->label, b->label) &&
               nl_addr_flags(a) == nl_addr_flags(b) && a->scope == b->scope && a->protocol == b->protocol && a->metric == b->metric;
}

static bool put_addr(struct nl_msg *m, const struct nl_addr *a, uint32_t index, unsigned flags)
{
        struct ifaddrmsg i = {.ifa_family = (uint8_t)a->ip.family, .ifa_prefixlen = (uint8_t)a->ip.bits, .ifa_flags = (uint8_t)flags,
                              .ifa_scope = a->scope, .ifa_index = index};
        struct ifa_cacheinfo c = {.ifa_prefered = a->preferred, .ifa_valid = a->valid};
        int len = (int)addr_len(a->ip.family);

        return nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO) == 0 && nla_put(m, IFA_LOCAL, len, a->ip.addr) == 0 &&
               nla_put(m, IFA_ADDRESS, len, a->has_peer ? a->peer.addr : a->ip.addr) == 0 &&
               (!a->has_broadcast || nla_put(m, IFA_BROADCAST, len, a->broadcast.addr) == 0) &&
               (!a->label[0] || nla_put_string(m, IFA_LABEL, a->label) == 0) && nla_put_u32(m, IFA_FLAGS, flags) == 0 &&
               (!a->metric || nla_put_u32(m, IFA_RT_PRIORITY, a->metric) == 0) &&
               (!a->protocol || nla_put_u8(m, IFA_PROTO, a->protocol) == 0) &&
               (!a->lifetimes || nla_put(m, IFA_CACHEINFO, sizeof(c), &c) == 0);
}

/* libnl's error. */
static int change(struct nl *n, int type, int flags, const struct nl_addr *a, int index, unsigned addr_flags)
{
        struct nl_msg *m = nlmsg_alloc_simple(type, flags);

        if (!m || !put_addr(m, a, (uint32_t)index, addr_flags)) {
                nlmsg_free(m);
                return -NLE_NOMEM;
        }
        return nl_send_sync(n->sock, m);   /* frees it */
}

/* IPv6: without duplicate detection; if the address had it, the flag goes again, which does not start it. */
int nl_addr_add(struct nl *n, const struct nl_addr *a, struct err *err)
{
        unsigned flags = nl_addr_flags(a);
        bool six = a->ip.family == AF_INET6;
        char on[NL_IP_TEXT];
        int index = nl_index(n, a->link, err);

        if (index < 0)
                return index;
        int r = change(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a, index, six ? flags | IFA_F_NODAD : flags);
        if (r == 0 && six && a->keep_dad)
                r = change(n, RTM_NEWADDR, NLM_F_REPLACE, a, index, flags);
        if (r < 0 && r != -NLE_EXIST)
                return nl_failed(err, r, "cannot add an address", nl_ip_text(&a->ip, on));
        return 0;
}

int nl_addr_del(struct nl *n, const struct nl_addr *a, struct err *err)
{
        char on[NL_IP_TEXT];
        int index = nl_index(n, a->link, err);

        if (index < 0)
                return index;
        int r = change(n, RTM_DELADDR, 0, a, index, 0);
        return r < 0 && r != -NLE_NOADDR ? nl_failed(err, r, "cannot remove an address", nl_ip_text(&a->ip, on)) : 0;
}
