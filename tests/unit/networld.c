/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts as a changed rule, the number of tracked connections, and all else that nobody keeps, from messages as the kernel makes them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/fib_rules.h>
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/neighbour.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/netlink.h"
#include "checkpoint/networld.h"

struct msg { struct nlmsghdr h; uint8_t body[256]; };

static void attr(struct msg *m, uint16_t type, const void *value, size_t len)
{
        uint8_t *at = (uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len);
        struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

        memcpy(at, &a, sizeof(a));
        memcpy(at + RTA_LENGTH(0), value, len);
        m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

static void number(struct msg *m, uint16_t type, uint32_t v)
{
        attr(m, type, &v, sizeof(v));
}

static struct msg rule(uint8_t family, uint32_t priority, uint32_t table)
{
        struct msg m = {.h = {.nlmsg_type = RTM_NEWRULE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct fib_rule_hdr))}};
        struct fib_rule_hdr *f = NLMSG_DATA(&m.h);
        uint8_t protocol = 2;

        *f = (struct fib_rule_hdr){.family = family, .table = table < 256 ? (uint8_t)table : 0, .action = FR_ACT_TO_TBL};
        number(&m, FRA_TABLE, table);
        number(&m, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
        attr(&m, FRA_PROTOCOL, &protocol, 1);
        if (priority)
                number(&m, FRA_PRIORITY, priority);
        return m;
}

static void add(struct rules_seen *s, struct msg m)
{
        rules_add(s, &m.h);
}

static struct rules_seen fresh(void)
{
        struct rules_seen s = {{0}, false};

        add(&s, rule(AF_INET, 0, 255));
        add(&s, rule(AF_INET, 32766, 254));
        add(&s, rule(AF_INET, 32767, 253));
        add(&s, rule(AF_INET6, 0, 255));
        add(&s, rule(AF_INET6, 32766, 254));
        add(&s, rule(RTNL_FAMILY_IPMR, 32767, 253));
        add(&s, rule(RTNL_FAMILY_IP6MR, 32767, 254));
        return s;
}

Test(networld, fresh)
{
        struct rules_seen s = fresh(), none = {{0}, false};

        cr_assert(!rules_changed(&s, true));
        cr_assert(!rules_changed(&none, true), "a kernel without rules");
}

Test(networld, one_more)
{
        struct rules_seen s = fresh();

        add(&s, rule(AF_INET, 100, 254));
        cr_assert(rules_changed(&s, true));
        s = fresh();
        add(&s, rule(AF_INET, 0, 255));
        cr_assert(rules_changed(&s, true), "a default one twice");
        s = fresh();
        add(&s, rule(AF_INET, 32765, 1000));
        cr_assert(rules_changed(&s, true), "another table");
}

Test(networld, one_less)
{
        struct rules_seen s = {{0}, false};

        add(&s, rule(AF_INET, 0, 255));
        add(&s, rule(AF_INET, 32766, 254));
        cr_assert(rules_changed(&s, false), "the third is missing");
        add(&s, rule(AF_INET, 32767, 253));
        cr_assert(!rules_changed(&s, false));
        cr_assert(rules_changed(&s, true), "those of IPv6 are missing");
}

Test(networld, conditions)
{
        for (int i = 0; i < 5; i++) {
                struct rules_seen s = {{0}, false};
                struct msg m = rule(AF_INET, 0, 255);
                struct fib_rule_hdr *f = NLMSG_DATA(&m.h);
                if (i == 0)
                        number(&m, FRA_FWMARK, 7);
                else if (i == 1)
                        attr(&m, FRA_IIFNAME, "eth0", 5);
                else if (i == 2)
                        f->action = FR_ACT_BLACKHOLE;
                else if (i == 3)
                        number(&m, FRA_SUPPRESS_PREFIXLEN, 0);
                else
                        f->flags = FIB_RULE_INVERT;
                add(&s, m);
                cr_assert(s.other, "condition %d", i);
        }
}

Test(networld, cut_off)
{
        struct rules_seen s = {{0}, false};
        struct msg m = rule(AF_INET, 0, 255);

        m.h.nlmsg_len = NLMSG_LENGTH(4);
        rules_add(&s, &m.h);
        cr_assert(s.other);
        s = (struct rules_seen){{0}, false};
        m.h.nlmsg_type = RTM_NEWROUTE;
        rules_add(&s, &m.h);
        cr_assert(!s.other, "not a rule");
}

/* Nothing pads it, and nothing is behind it: what is left after it is less than nothing. */
Test(networld, last_attribute_without_padding)
{
        struct rules_seen s = {{0}, false};
        struct msg m = rule(AF_INET, 0, 255);
        uint32_t n = 0;

        attr(&m, FRA_PROTOCOL, "x", 1);
        m.h.nlmsg_len -= 3;
        struct nlmsghdr *exact = malloc(m.h.nlmsg_len);
        cr_assert(exact);
        memcpy(exact, &m, m.h.nlmsg_len);
        rules_add(&s, exact);
        cr_assert(!s.other);
        exact->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
        cr_assert(!conntrack_entries(exact, &n));
        free(exact);
}

Test(networld, entries)
{
        uint32_t n = 99;
        struct msg m = {.h = {.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS,
                              .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg))}};

        cr_assert(!conntrack_entries(&m.h, &n) && n == 99);
        number(&m, CTA_STATS_GLOBAL_ENTRIES, htonl(3));
        cr_assert(conntrack_entries(&m.h, &n));
        cr_assert_eq(n, 3);
        m.h.nlmsg_len = 18;
        cr_assert(!conntrack_entries(&m.h, &n));
}

static struct msg begin(uint16_t type, const void *head, size_t len)
{
        struct msg m = {.h = {.nlmsg_type = type, .nlmsg_len = (uint32_t)NLMSG_LENGTH(len)}};

        memcpy(m.body, head, len);
        return m;
}

static bool queue(uint32_t parent, uint32_t handle, const char *kind)
{
        struct tcmsg t = {.tcm_ifindex = 2, .tcm_parent = parent, .tcm_handle = handle};
        struct msg m = begin(RTM_NEWQDISC, &t, sizeof(t));
        struct world_seen s = {};

        if (kind)
                attr(&m, TCA_KIND, kind, strlen(kind) + 1);
        world_route(&s, &m.h);
        return s.qdisc;
}

Test(networld, queues)
{
        cr_assert(!queue(TC_H_ROOT, 0, "noqueue"));
        cr_assert(!queue(TC_H_ROOT, 0, "noop"));
        cr_assert(queue(TC_H_ROOT, 0, "pfifo_fast"));
        cr_assert(queue(TC_H_ROOT, 0x10000, "noqueue"));
        cr_assert(queue(TC_H_INGRESS, 0xffff0000, "ingress"));
        cr_assert(queue(TC_H_ROOT, 0, NULL), "one that does not say what it is");
}

static struct msg label(uint32_t n, uint8_t bits, const char *prefix)
{
        struct ifaddrlblmsg l = {.ifal_family = AF_INET6, .ifal_prefixlen = bits};
        struct msg m = begin(RTM_NEWADDRLABEL, &l, sizeof(l));

        attr(&m, IFAL_ADDRESS, prefix, 16);
        number(&m, IFAL_LABEL, n);
        return m;
}

Test(networld, labels)
{
        static const struct { uint32_t n; uint8_t bits; const char *prefix; } ten[] = {
                {0, 128, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"}, {1, 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
                {2, 16, "\x20\x02\0\0\0\0\0\0\0\0\0\0\0\0\0"},    {3, 96, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
                {4, 96, "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0"},    {5, 7, "\xfc\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
                {6, 32, "\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0"},    {7, 28, "\x20\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0"},
                {11, 10, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0"},   {12, 16, "\x3f\xfe\0\0\0\0\0\0\0\0\0\0\0\0\0"},
        };
        struct world_seen s = {};
        struct msg m;

        cr_assert(!world_labels_changed(&s), "a kernel without IPv6");
        for (unsigned i = 0; i < sizeof(ten) / sizeof(ten[0]); i++) {
                m = label(ten[i].n, ten[i].bits, ten[i].prefix);
                world_route(&s, &m.h);
                cr_assert_eq(world_labels_changed(&s), i + 1 < sizeof(ten) / sizeof(ten[0]), "after %u", i);
        }
        cr_assert_null(s.other);
        m = label(5, 16, "\xfd\x99\0\0\0\0\0\0\0\0\0\0\0\0\0");
        world_route(&s, &m.h);
        cr_assert_not_null(s.other);
}

Test(networld, neighbours)
{
        struct ndmsg n = {.ndm_family = AF_BRIDGE, .ndm_flags = NTF_SELF};
        struct msg m = begin(RTM_NEWNEIGH, &n, sizeof(n));
        struct world_seen s = {};

        attr(&m, NDA_LLADDR, "\x33\x33\0\0\0\1", 6);
        world_route(&s, &m.h);
        cr_assert_null(s.other, "a multicast address");
        m = begin(RTM_NEWNEIGH, &n, sizeof(n));
        attr(&m, NDA_LLADDR, "\x02\0\0\0\0\1", 6);
        world_route(&s, &m.h);
        cr_assert_not_null(s.other);
        s.other = NULL;
        n = (struct ndmsg){.ndm_family = AF_INET};
        m = begin(RTM_NEWNEIGH, &n, sizeof(n));
        world_route(&s, &m.h);
        cr_assert_null(s.other, "any neighbour");
        n.ndm_flags = NTF_PROXY;
        m = begin(RTM_NEWNEIGH, &n, sizeof(n));
        world_route(&s, &m.h);
        cr_assert_not_null(s.other);
}

Test(networld, ipsec)
{
        struct xfrm_userpolicy_default p = {2, 2, 2};
        struct msg m = begin(XFRM_MSG_GETDEFAULT, &p, sizeof(p));
        struct world_seen s = {};

        world_xfrm(&s, &m.h);
        cr_assert(!s.xfrm);
        p.out = 1;
        m = begin(XFRM_MSG_GETDEFAULT, &p, sizeof(p));
        world_xfrm(&s, &m.h);
        cr_assert(s.xfrm, "the default is to block");
        s.xfrm = false;
        m = begin(XFRM_MSG_NEWPOLICY, &p, sizeof(p));
        world_xfrm(&s, &m.h);
        cr_assert(s.xfrm);
}

Test(networld, sets)
{
        struct nfgenmsg g = {};
        struct msg m = begin(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST, &g, sizeof(g));
        struct world_seen s = {};

        world_netfilter(&s, &m.h);
        cr_assert(!s.ipset, "an answer that names no set");
        attr(&m, IPSET_ATTR_SETNAME, "x", 2);
        world_netfilter(&s, &m.h);
        cr_assert(s.ipset);
}

Test(networld, families)
{
        struct genlmsghdr g = {};
        struct msg m = begin(GENL_ID_CTRL, &g, sizeof(g));
        uint16_t id = 27;
        char name[32];

        cr_assert(!genl_family(&m.h, &id, name));
        attr(&m, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
        id = 0;
        attr(&m, CTRL_ATTR_FAMILY_NAME, "l2tp", 5);
        cr_assert(genl_family(&m.h, &id, name));
        cr_assert_eq(id, 27);
        cr_assert_str_eq(name, "l2tp");
        m = begin(GENL_ID_CTRL, &g, sizeof(g));
        attr(&m, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
        attr(&m, CTRL_ATTR_FAMILY_NAME, "l2tp", 4);
        cr_assert(!genl_family(&m.h, &id, name), "a name without an end");
}

Test(networld, multicast)
{
        cr_assert(!mcast_by_hand(""));
        cr_assert(!mcast_by_hand("2    eth0            1     0     333300000001\n2    eth0            1     0     01005e000001\n"));
        cr_assert(mcast_by_hand("2    eth0            1     0     333300000001\n2    eth0            1     1     01005e000007\n"));
        cr_assert(!mcast_by_hand("2 eth0 1"));
}

Test(networld, anycast)
{
        const struct nl_addr a = {.link = "eth0", .ip = {.family = AF_INET6, .addr = {0xfd, 0x88, [15] = 0x30}, .bits = 64}};

        cr_assert(!anycast_by_hand("", NULL, 0));
        cr_assert(!anycast_by_hand("2    eth0            fd880000000000000000000000000000     1\n", &a, 1), "a router's own");
        cr_assert(anycast_by_hand("2    eth0            fd880000000000000000000000000000     1\n", NULL, 0));
        cr_assert(anycast_by_hand("3    eth1            fd880000000000000000000000000000     1\n", &a, 1), "of another link");
        cr_assert(anycast_by_hand("2    eth0            fd880000000000000000000000000077     1\n", &a, 1));
        cr_assert(anycast_by_hand("2    eth0            fd88000000000000\n", &a, 1), "cut off");
}
