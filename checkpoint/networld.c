/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a network namespace answers, and what of it a new one would not say. The closed world of a namespace, object by object, is in
 * docs/ARCHITECTURE.md; here is what is told by netlink and kept by nobody.
 *
 * Rules of policy routing: a new namespace has 0 → local, 32766 → main, 32767 → default for IPv4, the first two for IPv6, and
 * 32767 → default or main for multicast routing, each without any condition. A rule with an attribute that is not known here counts as a
 * changed one, and so does the lack of a default. A link of a container has no queueing discipline, or the empty one before it
 * was up. Rules for the choice of IPv6 addresses are the ten of the kernel. Policies of sockets show among those of the namespace.
 *
 * Messages come from the kernel, but lengths are looked at all the same, by next_attr(): RTA_NEXT takes the padding of a last attribute
 * off what is left, whether there is any or not.
 */
#include "checkpoint/networld.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/neighbour.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/parse.h"
#include "base/str.h"

/* The bit of a default rule is its place among those of its family. */
static const struct { uint8_t family; unsigned n; struct { uint32_t priority, table; } rule[3]; } defaults[] = {
        { AF_INET, 3, { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT } } },
        { AF_INET6, 2, { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN } } },
        { RTNL_FAMILY_IPMR, 1, { { 32767, RT_TABLE_DEFAULT } } },
        { RTNL_FAMILY_IP6MR, 1, { { 32767, RT_TABLE_MAIN } } },
};
_Static_assert(ELEMENTSOF(defaults) == ELEMENTSOF(((struct rules_seen *)0)->defaults), "a set of bits per family");

struct rule { uint32_t priority, table; bool plain; };

/* The attribute behind `a` (NULL: the first one, behind `head` bytes); NULL: there is none, or not all of it. */
static const struct rtattr *next_attr(const struct nlmsghdr *h, size_t head, const struct rtattr *a)
{
        const uint8_t *begin = (const uint8_t *)h;
        size_t at = a ? (size_t)((const uint8_t *)a - begin) + RTA_ALIGN(a->rta_len) : NLMSG_LENGTH(NLMSG_ALIGN(head));

        if (h->nlmsg_len < at + sizeof(*a))
                return NULL;
        a = (const struct rtattr *)(const void *)(begin + at);
        return a->rta_len >= sizeof(*a) && a->rta_len <= h->nlmsg_len - at ? a : NULL;
}

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
        for (const struct rtattr *a = NULL; (a = next_attr(h, sizeof(*f), a));)
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

        if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS))
                return false;
        for (const struct rtattr *a = NULL; (a = next_attr(h, sizeof(struct nfgenmsg), a));)
                if ((a->rta_type & NLA_TYPE_MASK) == CTA_STATS_GLOBAL_ENTRIES && u32_of(a, &v)) {
                        *ret = ntohl(v);
                        return true;
                }
        return false;
}

/* ---- what else there may be ---- */

/* The first attribute of this type behind `head` bytes; NULL: none. */
static const struct rtattr *attr_of(const struct nlmsghdr *h, size_t head, unsigned type)
{
        for (const struct rtattr *a = NULL; (a = next_attr(h, head, a));)
                if ((a->rta_type & NLA_TYPE_MASK) == type)
                        return a;
        return NULL;
}

static bool text_is(const struct rtattr *a, const char *s)
{
        size_t n = strlen(s) + 1;

        return a && RTA_PAYLOAD(a) == n && memcmp(RTA_DATA(a), s, n) == 0;
}

/* Links of containers have none, which shows as noqueue once they are up, and as noop before. */
static bool default_qdisc(const struct nlmsghdr *h)
{
        const struct tcmsg *t = NLMSG_DATA(h);
        const struct rtattr *kind = attr_of(h, sizeof(*t), TCA_KIND);

        return kind && t->tcm_parent == TC_H_ROOT && t->tcm_handle == 0 && (text_is(kind, "noqueue") || text_is(kind, "noop"));
}

/* net/ipv6/addrlabel.c, by label. */
static const struct { uint32_t label; uint8_t bits, head[2]; } labels[] = {
        { 0, 128, { 0, 0 } },     { 1, 0, { 0, 0 } },        { 2, 16, { 0x20, 0x02 } },  { 3, 96, { 0, 0 } },
        { 4, 96, { 0, 0 } },      { 5, 7, { 0xfc, 0 } },     { 6, 32, { 0x20, 0x01 } },  { 7, 28, { 0x20, 0x01 } },
        { 11, 10, { 0xfe, 0xc0 } }, { 12, 16, { 0x3f, 0xfe } },
};

static void label_seen(struct world_seen *s, const struct nlmsghdr *h)
{
        const struct ifaddrlblmsg *m = NLMSG_DATA(h);
        const struct rtattr *l = attr_of(h, sizeof(*m), IFAL_LABEL), *a = attr_of(h, sizeof(*m), IFAL_ADDRESS);
        uint32_t label = UINT32_MAX;

        if (l && u32_of(l, &label) && a && RTA_PAYLOAD(a) == 16 && !m->ifal_index)
                for (unsigned i = 0; i < ELEMENTSOF(labels); i++)
                        if (labels[i].label == label && labels[i].bits == m->ifal_prefixlen && memcmp(RTA_DATA(a), labels[i].head, 2) == 0) {
                                s->labels |= 1u << i;
                                return;
                        }
        s->other = "rules for the choice of addresses (ip addrlabel)";
}

bool world_labels_changed(const struct world_seen *s)
{
        return s->labels && s->labels != (1u << ELEMENTSOF(labels)) - 1;
}

static void neigh_seen(struct world_seen *s, const struct nlmsghdr *h)
{
        const struct ndmsg *m = NLMSG_DATA(h);
        const struct rtattr *mac = attr_of(h, sizeof(*m), NDA_LLADDR);

        if (m->ndm_family == AF_BRIDGE && !(mac && RTA_PAYLOAD(mac) && *(const uint8_t *)RTA_DATA(mac) & 1))
                s->other = "link-layer addresses of its own (bridge fdb)";
        else if (m->ndm_flags & NTF_PROXY)
                s->other = "proxied neighbours (ip neigh add proxy)";
}

void world_route(struct world_seen *s, const struct nlmsghdr *h)
{
        if (h->nlmsg_type == RTM_NEWQDISC)
                s->qdisc = s->qdisc || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct tcmsg)) || !default_qdisc(h);
        else if (h->nlmsg_type == RTM_NEWNEXTHOP)
                s->nexthop = true;
        else if (h->nlmsg_type == RTM_NEWADDRLABEL && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrlblmsg)))
                label_seen(s, h);
        else if (h->nlmsg_type == RTM_NEWNEIGH && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ndmsg)))
                neigh_seen(s, h);
}

void world_xfrm(struct world_seen *s, const struct nlmsghdr *h)
{
        const struct xfrm_userpolicy_default *p = NLMSG_DATA(h);

        if (h->nlmsg_type == XFRM_MSG_NEWSA || h->nlmsg_type == XFRM_MSG_NEWPOLICY)
                s->xfrm = true;
        else if (h->nlmsg_type == XFRM_MSG_GETDEFAULT && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*p)))
                s->xfrm = s->xfrm || p->in == XFRM_USERPOLICY_BLOCK || p->fwd == XFRM_USERPOLICY_BLOCK || p->out == XFRM_USERPOLICY_BLOCK;
}

void world_netfilter(struct world_seen *s, const struct nlmsghdr *h)
{
        if (h->nlmsg_type == (NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST) && attr_of(h, sizeof(struct nfgenmsg), IPSET_ATTR_SETNAME))
                s->ipset = true;
        else if (h->nlmsg_type >> 8 == NFNL_SUBSYS_ACCT)
                s->other = "counters of the packet filter (nfacct)";
        else if (h->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK_TIMEOUT)
                s->other = "timeout policies of connection tracking (nfct timeout)";
}

bool genl_family(const struct nlmsghdr *h, uint16_t *ret_id, char ret_name[32])
{
        const struct rtattr *id, *name;

        if (h->nlmsg_type != GENL_ID_CTRL)
                return false;
        id = attr_of(h, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID);
        name = attr_of(h, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_NAME);
        if (!id || RTA_PAYLOAD(id) != sizeof(*ret_id) || !name || RTA_PAYLOAD(name) < 2 || RTA_PAYLOAD(name) > 32 ||
            ((const char *)RTA_DATA(name))[RTA_PAYLOAD(name) - 1])
                return false;
        memcpy(ret_id, RTA_DATA(id), sizeof(*ret_id));
        str_copy(ret_name, 32, RTA_DATA(name));
        return true;
}

/* "INDEX LINK USERS BY-HAND ADDRESS" in each line. */
bool mcast_by_hand(const char *text)
{
        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
                uint64_t by_hand = 0;
                const char *q = p;
                for (int column = 0; column < 3; column++) {
                        q += strspn(q, " ");
                        q += strcspn(q, " \n");
                }
                q += strspn(q, " ");
                if (scan_u64(&q, &by_hand) && by_hand)
                        return true;
        }
        return false;
}

static bool hex_address(const char *p, uint8_t ret[16])
{
        static const char digits[] = "0123456789abcdef";

        for (unsigned i = 0; i < 32; i++) {
                const char *at = p[i] ? strchr(digits, p[i]) : NULL;
                if (!at)
                        return false;
                ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (uint8_t)(at - digits));
        }
        return true;
}

/* The prefix of `a`, and nothing but zeroes behind it. */
static bool first_of(const struct nl_addr *a, const uint8_t ip[16])
{
        for (unsigned i = 0; i < 128; i++) {
                unsigned bit = ip[i / 8] >> (7 - i % 8) & 1, own = a->ip.addr[i / 8] >> (7 - i % 8) & 1;
                if (bit != (i < a->ip.bits ? own : 0))
                        return false;
        }
        return true;
}

/* "INDEX LINK ADDRESS USERS" in each line. */
bool anycast_by_hand(const char *text, const struct nl_addr *a, size_t n)
{
        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
                const char *q = p, *link = p;
                uint8_t ip[16] = { 0 };
                for (int column = 0; column < 2; column++) {
                        link = q += strspn(q, " ");
                        q += strcspn(q, " \n");
                }
                size_t len = (size_t)(q - link);
                bool known = false;
                q += strspn(q, " ");
                if (!hex_address(q, ip))
                        return true;
                for (size_t i = 0; i < n && !known; i++)
                        known = a[i].ip.family == AF_INET6 && strlen(a[i].link) == len && memcmp(a[i].link, link, len) == 0 && first_of(&a[i], ip);
                if (!known)
                        return true;
        }
        return false;
}
