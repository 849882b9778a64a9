/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of the netlink files that need no privilege: reading, from the kernel and from bytes. Changes: tests/system/base-net.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/netlink-impl.h"
#include "base/str.h"

Test(netlink, links)
{
        struct nl *n = NULL;
        struct nl_link l = {}, *v = NULL;
        size_t count = 0;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0, "%s", e.why);
        cr_assert_eq(nl_link_get(n, "lo", &l, &e), 0, "%s", e.why);
        cr_assert_str_eq(l.name, "lo");
        cr_assert_eq(l.index, (int)if_nametoindex("lo"));
        cr_assert(l.flags & IFF_LOOPBACK);
        cr_assert_gt(l.mtu, 0);
        cr_assert_eq(l.master, 0);
        cr_assert_eq(nl_link_get(n, "gantry-none", &l, &e), 1);
        cr_assert_lt(nl_link_get(n, "name-that-is-too-long", &l, &e), 0);
        cr_assert_lt(nl_link_get(n, "", &l, &e), 0);
        cr_assert_eq(nl_links(n, &v, &count, &e), 0);
        bool lo = false;
        for (size_t i = 0; i < count; i++)
                lo |= str_eq(v[i].name, "lo");
        cr_assert(lo);
        free(v);
        /* The socket is in step after each of the answers above. */
        cr_assert_eq(nl_link_get(n, "lo", &l, &e), 0);
        nl_free(n);
        nl_free(NULL);
}

Test(netlink, lists)
{
        struct nl *n = NULL;
        struct nl_addr *a = NULL;
        struct nl_route *r = NULL;
        struct nl_neigh *g = NULL;
        size_t count = 0;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0);
        cr_assert_eq(nl_addrs(n, &a, &count, &e), 0, "%s", e.why);
        for (size_t i = 0; i < count; i++)
                cr_expect_neq(a[i].link[0], '\0');
        int q = nl_routes(n, &r, &count, &e);
        cr_assert(q == 0 || q == -EX_UNSUPPORTED, "%s", e.why);
        cr_assert_eq(nl_neighs(n, &g, &count, &e), 0, "%s", e.why);
        free(a);
        free(r);
        free(g);
        nl_free(n);
}

Test(netlink, port_of_a_link_that_is_none)
{
        struct nl *n = NULL;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0);
        cr_assert_eq(nl_port_block(n, "lo", true, &e), -EX_STATE);
        cr_assert_eq(nl_port_block(n, "gantry-none", true, &e), -EX_UNKNOWN);
        cr_assert_eq(nl_link_delete(n, "gantry-none", &e), 0, "missing is fine");
        nl_free(n);
}

/* ---- answers, as the kernel makes them ---- */

struct answer { struct nlmsghdr h; uint8_t body[512]; };

static void put(struct answer *m, uint16_t type, const void *value, size_t len)
{
        uint8_t *at = (uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len);
        struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

        memcpy(at, &a, sizeof(a));
        memcpy(at + RTA_LENGTH(0), value, len);
        m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

static void put32(struct answer *m, uint16_t type, uint32_t v)
{
        put(m, type, &v, sizeof(v));
}

static struct answer route(uint8_t family, uint8_t type)
{
        struct answer m = {.h = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};

        struct rtmsg t = {.rtm_family = family, .rtm_dst_len = 16, .rtm_table = RT_TABLE_COMPAT, .rtm_type = type, .rtm_protocol = RTPROT_STATIC};

        memcpy(m.body, &t, sizeof(t));
        put32(&m, RTA_TABLE, 1000);
        put(&m, RTA_DST, "\x0a\x4d\0\0\0\0\0\0\0\0\0\0\0\0\0", family == AF_INET6 ? 16 : 4);
        put32(&m, RTA_OIF, 7);
        return m;
}

static int read_route(const struct answer *m, struct nl_route *r)
{
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_route_read(&m->h, r, &index, &why);

        cr_assert_eq(q < 0, why != NULL);
        return q;
}

Test(netlink, route_whole)
{
        struct answer m = route(AF_INET, RTN_UNICAST), metrics = {.h = {.nlmsg_len = sizeof(struct nlmsghdr)}};
        struct nl_route r = {}, s;
        uint32_t index = 0;
        const char *why = NULL;

        put32(&metrics, RTAX_MTU, 1280);
        put32(&metrics, RTAX_LOCK, 4);
        put(&m, RTA_METRICS, metrics.body, metrics.h.nlmsg_len - sizeof(metrics.h));
        put(&m, RTA_VIA, "\x0a\0\xfd\x88\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 18);
        put32(&m, RTA_PRIORITY, 8);
        cr_assert_eq(nl_route_read(&m.h, &r, &index, &why), 1, "%s", why);
        cr_assert_eq(index, 7);
        cr_assert_eq(r.table, 1000);
        cr_assert_eq(r.metric, 8);
        cr_assert(r.has_gw && r.gw.family == AF_INET6 && r.gw.addr[0] == 0xfd && r.gw.addr[15] == 1);
        cr_assert(r.dst.family == AF_INET && r.dst.bits == 16);
        cr_assert(r.metrics[RTAX_MTU - 1] == 1280 && r.metrics[RTAX_LOCK - 1] == 4);
        s = r;
        cr_assert(nl_route_same(&r, &s));
        s.metrics[RTAX_MTU - 1]++;
        cr_assert(!nl_route_same(&r, &s));
        s = r;
        s.type = RTN_BLACKHOLE;
        cr_assert(!nl_route_same(&r, &s));
}

Test(netlink, route_refused)
{
        static const uint16_t beyond[] = {RTA_MULTIPATH, RTA_NH_ID, RTA_ENCAP, RTA_SRC, 77};
        struct nl_route r;
        struct answer m, metrics = {.h = {.nlmsg_len = sizeof(struct nlmsghdr)}};

        for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
                m = route(AF_INET, RTN_UNICAST);
                put32(&m, beyond[i], 1);
                cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED, "attribute %u", beyond[i]);
        }
        m = route(RTNL_FAMILY_IPMR, RTN_MULTICAST);
        cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED);
        m = route(28, RTN_UNICAST);   /* MPLS */
        cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED);
        m = route(AF_INET, RTN_UNICAST);
        put(&metrics, RTAX_CC_ALGO, "bbr", 4);
        put(&m, RTA_METRICS, metrics.body, metrics.h.nlmsg_len - sizeof(metrics.h));
        cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED);
        m = route(AF_INET, RTN_UNICAST);
        m.body[offsetof(struct rtmsg, rtm_flags)] = RTNH_F_PERVASIVE;
        cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED);
        memcpy(m.body + offsetof(struct rtmsg, rtm_flags), &(unsigned){RTM_F_CLONED}, sizeof(unsigned));
        cr_assert_eq(read_route(&m, &r), 0, "a cached one");
        m.h.nlmsg_len = NLMSG_LENGTH(4);
        cr_assert_eq(read_route(&m, &r), -EX_UNSUPPORTED, "cut off");
}

static struct answer address(uint8_t family, uint32_t flags)
{
        struct answer m = {.h = {.nlmsg_type = RTM_NEWADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};

        struct ifaddrmsg i = {.ifa_family = family, .ifa_prefixlen = 24, .ifa_index = 7, .ifa_flags = (uint8_t)flags};

        memcpy(m.body, &i, sizeof(i));
        put(&m, IFA_ADDRESS, "\x0a\x4d\0\x02\0\0\0\0\0\0\0\0\0\0\0\x02", family == AF_INET6 ? 16 : 4);
        put32(&m, IFA_FLAGS, flags);
        return m;
}

static int read_address(const struct answer *m, struct nl_addr *a)
{
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_addr_read(&m->h, a, &index, &why);

        cr_assert_eq(q < 0, why != NULL);
        return q;
}

Test(netlink, address_whole)
{
        struct answer m = address(AF_INET, IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE | IFA_F_SECONDARY);
        struct ifa_cacheinfo c = {.ifa_valid = 100, .ifa_prefered = 90};
        struct nl_addr a = {}, b;

        put(&m, IFA_LOCAL, "\x0a\x4d\0\x01", 4);
        put(&m, IFA_LABEL, "eth0:1", 7);
        put(&m, IFA_CACHEINFO, &c, sizeof(c));
        cr_assert_eq(read_address(&m, &a), 1);
        cr_assert(a.ip.addr[3] == 1 && a.has_peer && a.peer.addr[3] == 2 && a.peer.bits == 24);
        cr_assert(a.lifetimes && a.valid == 100 && a.preferred == 90);
        cr_assert_str_eq(a.label, "eth0:1");
        cr_assert_eq(nl_addr_flags(&a), IFA_F_NOPREFIXROUTE);
        b = a;
        b.valid = 99;
        cr_assert(nl_addr_same(&a, &b));
        b.flags = 0;
        cr_assert(!nl_addr_same(&a, &b));
        m = address(AF_INET6, IFA_F_PERMANENT | IFA_F_DEPRECATED);
        cr_assert_eq(read_address(&m, &a), 1);
        cr_assert(a.lifetimes && a.valid == UINT32_MAX && a.preferred == 0 && !a.has_peer);
        m = address(AF_INET6, IFA_F_PERMANENT);
        cr_assert_eq(read_address(&m, &a), 1);
        cr_assert(!a.lifetimes);
}

Test(netlink, address_refused)
{
        static const uint32_t flags[] = {IFA_F_TEMPORARY, IFA_F_STABLE_PRIVACY, IFA_F_DADFAILED};
        struct nl_addr a;
        struct answer m;

        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
                m = address(AF_INET6, flags[i]);
                cr_assert_eq(read_address(&m, &a), -EX_UNSUPPORTED, "flag 0x%x", flags[i]);
        }
        m = address(AF_INET, 0);
        put32(&m, 77, 1);
        cr_assert_eq(read_address(&m, &a), -EX_UNSUPPORTED, "an unknown attribute");
        m = address(AF_INET, 0);
        put(&m, IFA_BROADCAST, "\x0a", 1);
        cr_assert_eq(read_address(&m, &a), -EX_UNSUPPORTED);
        m = address(AF_INET, 0);
        m.body[offsetof(struct ifaddrmsg, ifa_prefixlen)] = 33;
        cr_assert_eq(read_address(&m, &a), -EX_UNSUPPORTED);
}
