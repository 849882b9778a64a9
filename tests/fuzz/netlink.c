/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what reads the kernel's answers about routes and addresses. They come from the kernel, but what a container
 * has put there is in them. Each message lies in memory of exactly its length; what is read of it is written as a request of
 * ours would be, and read back as the same.
 */
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/netlink-impl.h"
#include "tests/fuzz/fuzz.h"

static void check_prefix(const struct ip_prefix *p)
{
        FUZZ_CHECK(p->family == AF_INET || p->family == AF_INET6);
        FUZZ_CHECK(p->bits <= (p->family == AF_INET ? 32u : 128u));
}

static void route(const struct nlmsghdr *h)
{
        struct nl_route *r = fuzz_array(1, sizeof(*r));
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_route_read(h, r, &index, &why);

        FUZZ_CHECK((q < 0) == (why != NULL));
        if (q == 1) {
                check_prefix(&r->dst);
                if (r->has_gw)
                        check_prefix(&r->gw);
                if (r->has_src)
                        check_prefix(&r->src);
                FUZZ_CHECK(nl_route_same(r, r) && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)));
        }
        free(r);
}

static void addr(const struct nlmsghdr *h)
{
        struct nl_addr *a = fuzz_array(1, sizeof(*a));
        uint32_t index = 0;
        const char *why = NULL;
        int q = nl_addr_read(h, a, &index, &why);

        FUZZ_CHECK((q < 0) == (why != NULL));
        if (q == 1) {
                check_prefix(&a->ip);
                if (a->has_peer)
                        check_prefix(&a->peer);
                if (a->has_broadcast)
                        check_prefix(&a->broadcast);
                FUZZ_CHECK(nl_addr_same(a, a) && memchr(a->label, '\0', sizeof(a->label)));
        }
        free(a);
}

static void check_metrics(const struct nlattr *all)
{
        struct nlattr *a = NULL;
        int left = 0;

        nla_for_each_nested(a, all, left)
                FUZZ_CHECK(nla_type(a) >= 1 && nla_type(a) <= NL_ROUTE_METRICS && nla_len(a) == 4);
}

/* Attributes of messages that were taken have the form that this kernel gives them. */
static void check_forms(const struct nlmsghdr *h)
{
        struct nl_route r = {};
        struct nl_addr a = {};
        uint32_t index;
        const char *why = NULL;
        struct nlattr *x = NULL;
        const char *label = NULL;
        int left = 0;
        bool empty = false, is_route = nl_route_read(h, &r, &index, &why) == 1, is_addr = nl_addr_read(h, &a, &index, &why) == 1;

        if (!is_route && !is_addr)
                return;
        int address = (is_route ? r.dst.family : a.ip.family) == AF_INET6 ? 16 : 4;
        nlmsg_for_each_attr(x, (struct nlmsghdr *)(uintptr_t)h, is_route ? (int)sizeof(struct rtmsg) : (int)sizeof(struct ifaddrmsg), left) {
                int type = nla_type(x), len = nla_len(x);
                if (is_route && (type == RTA_DST || type == RTA_GATEWAY || type == RTA_PREFSRC))
                        FUZZ_CHECK(len == address);
                if (is_route && (type == RTA_OIF || type == RTA_TABLE || type == RTA_PRIORITY || type == RTA_FLOW))
                        FUZZ_CHECK(len == 4);
                if (is_route && type == RTA_METRICS)
                        check_metrics(x);
                empty = is_route && type == RTA_PREF ? !len : empty; /* the last one counts, as with labels */
                if (is_route && type == RTA_VIA)
                        FUZZ_CHECK(len == 2 + (r.gw.family == AF_INET6 ? 16 : 4) || len == 18 || len == 6);
                if (is_addr && (type == IFA_LOCAL || type == IFA_ADDRESS || type == IFA_BROADCAST))
                        FUZZ_CHECK(len == address);
                if (is_addr && (type == IFA_FLAGS || type == IFA_RT_PRIORITY))
                        FUZZ_CHECK(len == 4);
                if (is_addr && type == IFA_LABEL)
                        FUZZ_CHECK(memchr(nla_data(x), '\0', (size_t)len));
                if (is_addr && type == IFA_PROTO)
                        FUZZ_CHECK(len >= 1);
                if (is_addr && type == IFA_CACHEINFO)
                        FUZZ_CHECK(len >= (int)sizeof(struct ifa_cacheinfo));
                label = is_addr && type == IFA_LABEL ? nla_data(x) : label; /* the last one counts */
        }
        FUZZ_CHECK(!empty || !r.preference);
        FUZZ_CHECK(!label || strcmp(label, a.label) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nlmsghdr *copy = fuzz_copy(data, size);   /* aligned, and its end is where the data's is */
        unsigned left = (unsigned)size;

        for (struct nlmsghdr *h = copy; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                struct nlmsghdr *one = fuzz_copy(h, h->nlmsg_len);
                route(one);
                addr(one);
                check_forms(one);
                free(one);
                if (NLMSG_ALIGN(h->nlmsg_len) > left)
                        break;
        }
        free(copy);
        return 0;
}
