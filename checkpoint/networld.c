/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules of policy routing: a new namespace has 0 → local, 32766 → main, 32767 → default for IPv4, the first two for IPv6, and
 * 32767 → default or main for multicast routing, each without any condition. A rule with an attribute that is not known here counts as a
 * changed one, and so does the lack of a default.
 *
 * Messages come from the kernel, but lengths are looked at all the same.
 */
#include "checkpoint/networld.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* The bit of a default rule is its place among those of its family. */
static const struct { uint8_t family; unsigned n; struct { uint32_t priority, table; } rule[3]; } defaults[] = {
        { AF_INET, 3, { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT } } },
        { AF_INET6, 2, { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN } } },
        { RTNL_FAMILY_IPMR, 1, { { 32767, RT_TABLE_DEFAULT } } },
        { RTNL_FAMILY_IP6MR, 1, { { 32767, RT_TABLE_MAIN } } },
};
_Static_assert(ELEMENTSOF(defaults) == ELEMENTSOF(((struct rules_seen *)0)->defaults), "a set of bits per family");

struct rule { uint32_t priority, table; bool plain; };

static bool u32_of(const struct rtattr *a, uint32_t *ret)
{
        if (RTA_PAYLOAD(a) != sizeof(*ret))
                return false;
        memcpy(ret, RTA_DATA(a), sizeof(*ret));
        return true;
}

static void rule_attr(struct rule *r, const struct rtattr *a)
{
        uint32_t v = 0;

        switch (a->rta_type) {
        case FRA_TABLE:
                r->plain = r->plain && u32_of(a, &r->table);
                break;
        case FRA_PRIORITY:
                r->plain = r->plain && u32_of(a, &r->priority);
                break;
        case FRA_SUPPRESS_PREFIXLEN:
                r->plain = r->plain && u32_of(a, &v) && v == UINT32_MAX;   /* what a rule without it shows */
                break;
        case FRA_PROTOCOL:   /* who made it */
        case FRA_PAD:
                break;
        default:
                r->plain = false;
                break;
        }
}

void rules_add(struct rules_seen *s, const struct nlmsghdr *h)
{
        const struct fib_rule_hdr *f = NLMSG_DATA(h);
        struct rule r = { .plain = true };

        if (h->nlmsg_type != RTM_NEWRULE)
                return;
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*f))) {
                s->other = true;
                return;
        }
        r.table = f->table;
        r.plain = f->action == FR_ACT_TO_TBL && !f->dst_len && !f->src_len && !f->tos && !(f->flags & ~(uint32_t)FIB_RULE_PERMANENT);
        unsigned left = h->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*f));
        for (const struct rtattr *a = (const struct rtattr *)(const void *)((const uint8_t *)f + NLMSG_ALIGN(sizeof(*f)));
             RTA_OK(a, left); a = RTA_NEXT(a, left))
                rule_attr(&r, a);
        for (size_t i = 0; r.plain && i < ELEMENTSOF(defaults); i++)
                for (unsigned k = 0; f->family == defaults[i].family && k < defaults[i].n; k++)
                        if (r.priority == defaults[i].rule[k].priority && r.table == defaults[i].rule[k].table &&
                            !(s->defaults[i] & 1u << k)) {
                                s->defaults[i] |= 1u << k;
                                return;
                        }
        s->other = true;
}

bool rules_changed(const struct rules_seen *s, bool ipv6)
{
        const unsigned *d = s->defaults;

        if (!s->other && !d[0] && !d[1] && !d[2] && !d[3])
                return false;
        for (size_t i = 0; i < ELEMENTSOF(defaults); i++)
                if (d[i] && d[i] != (1u << defaults[i].n) - 1)
                        return true;
        return s->other || !d[0] || (ipv6 && !d[1]);
}

bool conntrack_entries(const struct nlmsghdr *h, uint32_t *ret)
{
        uint32_t v;

        if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS) || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
                return false;
        unsigned left = h->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(struct nfgenmsg));
        const uint8_t *at = (const uint8_t *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
        for (const struct rtattr *a = (const struct rtattr *)(const void *)at; RTA_OK(a, left); a = RTA_NEXT(a, left))
                if ((a->rta_type & NLA_TYPE_MASK) == CTA_STATS_GLOBAL_ENTRIES && u32_of(a, &v)) {
                        *ret = ntohl(v);
                        return true;
                }
        return false;
}
