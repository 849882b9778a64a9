/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The addresses of all links, most of them added by the container itself: with labels, other ends, lifetimes, flags, a maker, secondary
 * ones, several of one scope in IPv6; and one that the kernel had made and the container has removed. In a container.
 */
#include <linux/if_addr.h>

#include "tests/victim/netif.h"
#include "tests/victim/netlink.h"

struct address {
        int family;
        const char *link, *ip, *peer, *broadcast, *label;
        uint8_t bits, scope, protocol;
        uint32_t flags, valid, preferred, metric;
};

static const struct address added[] = {
        {AF_INET, "lo", "10.99.99.99", .label = "lo:1", .bits = 8},
        {AF_INET, "eth0", "10.98.0.2", .broadcast = "10.98.0.255", .bits = 24, .protocol = 99, .metric = 55},
        {AF_INET, "eth0", "10.98.0.1", .bits = 24, .flags = IFA_F_NOPREFIXROUTE},
        {AF_INET, "eth0", "10.97.0.1", .peer = "10.97.0.2", .bits = 32, .scope = RT_SCOPE_LINK},
        {AF_INET, "eth0", "10.96.0.1", .bits = 24, .valid = 90000, .preferred = 80000},
        {AF_INET6, "eth0", "fd97::3", .bits = 64, .flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE},
        {AF_INET6, "eth0", "fd97::1", .bits = 64, .valid = 90000, .flags = IFA_F_NODAD},
        {AF_INET6, "eth0", "fd97::2", .bits = 64, .flags = IFA_F_NODAD, .protocol = 98},
        {AF_INET6, "eth0", "fd98::1", .peer = "fd98::2", .bits = 128, .flags = IFA_F_NODAD | IFA_F_HOMEADDRESS},
        {AF_INET6, "lo", "fd99::1", .bits = 128, .metric = 66},
};

static int change(const struct address *x, uint16_t type)
{
        struct request m = {.h = {.nlmsg_type = type, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
        struct ifaddrmsg *i = NLMSG_DATA(&m.h);
        struct ifa_cacheinfo c = {.ifa_valid = x->valid, .ifa_prefered = x->preferred};
        uint8_t a[16];
        size_t len = x->family == AF_INET6 ? 16 : 4;

        if (type == RTM_NEWADDR)
                m.h.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
        *i = (struct ifaddrmsg){.ifa_family = (uint8_t)x->family, .ifa_prefixlen = x->bits, .ifa_scope = x->scope, .ifa_index = if_nametoindex(x->link)};
        VICTIM_MUST(inet_pton(x->family, x->ip, a) == 1);
        request_attr(&m, IFA_LOCAL, a, len);
        VICTIM_MUST(inet_pton(x->family, x->peer ? x->peer : x->ip, a) == 1);
        request_attr(&m, IFA_ADDRESS, a, len);
        if (x->broadcast) {
                VICTIM_MUST(inet_pton(x->family, x->broadcast, a) == 1);
                request_attr(&m, IFA_BROADCAST, a, len);
        }
        if (x->label)
                request_attr(&m, IFA_LABEL, x->label, strlen(x->label) + 1);
        request_attr(&m, IFA_FLAGS, &x->flags, 4);
        if (x->protocol)
                request_attr(&m, IFA_PROTO, &x->protocol, 1);
        if (x->metric)
                request_attr(&m, IFA_RT_PRIORITY, &x->metric, 4);
        if (x->valid)
                request_attr(&m, IFA_CACHEINFO, &c, sizeof(c));
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

static void read_addresses(struct lines *l)
{
        struct request m = {.h = {.nlmsg_type = RTM_GETADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};

        l->n = 0;
        request_lines(NETLINK_ROUTE, &m, sizeof(struct ifaddrmsg), IFA_CACHEINFO, lines_add, l);
}

/* Of `ip`: the seconds that are left. */
static uint32_t left_of(const char *ip)
{
        struct request m = {.h = {.nlmsg_type = RTM_GETADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
        static struct lines l;
        char want[48] = "";
        uint8_t a[16];
        unsigned n = strchr(ip, ':') ? 16 : 4;

        VICTIM_MUST(inet_pton(n == 16 ? AF_INET6 : AF_INET, ip, a) == 1);
        for (unsigned i = 0; i < n; i++)
                snprintf(want + 2 * i, sizeof(want) - 2 * i, "%02x", a[i]);
        l.n = 0;
        request_lines(NETLINK_ROUTE, &m, sizeof(struct ifaddrmsg), 0xffff, lines_add, &l);
        for (unsigned i = 0; i < l.n; i++) {
                const char *c = strstr(l.at[i], " 6=");
                if (strstr(l.at[i], want) && c)
                        return (uint32_t)__builtin_bswap32((uint32_t)strtoul((char[]){c[11], c[12], c[13], c[14], c[15], c[16], c[17], c[18], 0}, NULL, 16));
        }
        return 0;
}

int main(int argc, char **argv)
{
        static struct lines before, after;
        static const struct address gone = {AF_INET6, "lo", "::1", .bits = 128};
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
                int e = change(&added[i], RTM_NEWADDR);
                if (e)
                        fprintf(stderr, "address %s: %s\n", added[i].ip, strerror(e));
                VICTIM_MUST(e == 0);
        }
        VICTIM_MUST(change(&gone, RTM_DELADDR) == 0);
        addresses_settle();
        read_addresses(&before);
        VICTIM_MUST(before.n >= sizeof(added) / sizeof(added[0]));

        victim_wait(&v);

        addresses_settle();
        read_addresses(&after);
        lines_compare(&v, &before, &after);
        uint32_t left = left_of("10.96.0.1"), left6 = left_of("fd97::1");
        VICTIM_CHECK(&v, left > 80000 && left <= 90000, "%u seconds are left of 90000 (IPv4)", left);
        VICTIM_CHECK(&v, left6 > 80000 && left6 <= 90000, "%u seconds are left of 90000 (IPv6)", left6);
        return victim_end(&v);
}
