/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts as a changed rule, and the number of tracked connections, from messages as the kernel makes them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/fib_rules.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "checkpoint/networld.h"

struct msg { struct nlmsghdr h; uint8_t body[256]; };

static void attr(struct msg *m, uint16_t type, const void *value, size_t len)
{
        struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len));

        *a = (struct rtattr){.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};
        memcpy(RTA_DATA(a), value, len);
        m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
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
