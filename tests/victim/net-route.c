/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes of IPv4 and IPv6, of every type, with metrics and in other tables, added by the container itself; and routes that the
 * kernel has made for prefixes, addresses and links and the container has removed. In a container.
 */
#include "tests/victim/netif.h"
#include "tests/victim/netlink.h"

struct route {
        int family;
        const char *dst;
        uint8_t bits, type, scope, protocol, tos, preference, flags;
        const char *gw, *src, *link;
        uint32_t table, metric, mtu, lock, realm, expires;
};

static const struct route added[] = {
        {AF_INET, "10.77.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "10.88.0.1", .link = "eth0", .metric = 8},
        {AF_INET, "10.77.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "10.88.0.2", .link = "eth0", .metric = 8},
        {AF_INET, "10.78.0.0", 16, RTN_BLACKHOLE, RT_SCOPE_UNIVERSE, RTPROT_BOOT},
        {AF_INET, "10.79.0.0", 16, RTN_UNREACHABLE, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .table = 100, .metric = 5},
        {AF_INET, "10.80.0.0", 16, RTN_PROHIBIT, RT_SCOPE_UNIVERSE, 99, .table = 4711},
        {AF_INET, "10.81.0.0", 16, RTN_THROW, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .table = 100},
        {AF_INET, "10.82.0.1", 32, RTN_LOCAL, RT_SCOPE_HOST, RTPROT_STATIC, .link = "lo", .table = RT_TABLE_LOCAL},
        {AF_INET, "10.82.0.255", 32, RTN_BROADCAST, RT_SCOPE_LINK, RTPROT_STATIC, .link = "eth0", .table = RT_TABLE_LOCAL},
        {AF_INET, "239.1.0.0", 16, RTN_MULTICAST, RT_SCOPE_LINK, RTPROT_STATIC, .link = "eth0"},
        {AF_INET, "10.83.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .tos = 0x10, .gw = "10.88.0.1", .link = "eth0"},
        {AF_INET, "10.84.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "10.88.0.1", .link = "eth0", .mtu = 1280, .lock = 1u << RTAX_MTU},
        {AF_INET, "10.85.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "10.200.0.1", .link = "eth0", .flags = RTNH_F_ONLINK},
        {AF_INET, "10.86.0.0", 16, RTN_UNICAST, RT_SCOPE_LINK, RTPROT_STATIC, .src = "10.99.1.1", .link = "eth0"},
        {AF_INET, "10.87.0.0", 16, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "fd88::1", .link = "eth0"},
        {AF_INET6, "fd70::", 32, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .gw = "fd88::1", .link = "eth0", .metric = 9, .preference = 1},
        {AF_INET6, "fd71::", 32, RTN_UNREACHABLE, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .link = "lo", .metric = 10},
        {AF_INET6, "fd72::", 32, RTN_BLACKHOLE, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .link = "lo", .table = 100},
        {AF_INET6, "fd73::", 32, RTN_UNICAST, RT_SCOPE_UNIVERSE, RTPROT_STATIC, .link = "eth0", .expires = 10000, .mtu = 1300},
};

static uint8_t address(int family, const char *text, uint8_t ret[16])
{
        VICTIM_MUST(inet_pton(family, text, ret) == 1);
        return family == AF_INET6 ? 16 : 4;
}

static int change(const struct route *r, uint16_t type)
{
        struct request m = {.h = {.nlmsg_type = type, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
        struct rtmsg *t = NLMSG_DATA(&m.h);
        uint32_t table = r->table ? r->table : RT_TABLE_MAIN, index = r->link ? if_nametoindex(r->link) : 0;
        uint8_t a[16];

        if (type == RTM_NEWROUTE)
                m.h.nlmsg_flags |= NLM_F_CREATE | NLM_F_APPEND;
        *t = (struct rtmsg){.rtm_family = (uint8_t)r->family, .rtm_dst_len = r->bits, .rtm_tos = r->tos, .rtm_table = table < 256 ? (uint8_t)table : 0,
                            .rtm_protocol = r->protocol, .rtm_scope = r->scope, .rtm_type = r->type, .rtm_flags = r->flags};
        request_attr(&m, RTA_DST, a, address(r->family, r->dst, a));
        request_attr(&m, RTA_TABLE, &table, 4);
        if (r->gw && strchr(r->gw, ':') && r->family == AF_INET) {
                struct { uint16_t family; uint8_t addr[16]; } via = {.family = AF_INET6};
                (void)address(AF_INET6, r->gw, via.addr);
                request_attr(&m, RTA_VIA, &via, sizeof(via));
        } else if (r->gw) {
                request_attr(&m, RTA_GATEWAY, a, address(r->family, r->gw, a));
        }
        if (r->src)
                request_attr(&m, RTA_PREFSRC, a, address(r->family, r->src, a));
        if (index)
                request_attr(&m, RTA_OIF, &index, 4);
        if (r->metric)
                request_attr(&m, RTA_PRIORITY, &r->metric, 4);
        if (r->preference)
                request_attr(&m, RTA_PREF, &r->preference, 1);
        if (r->expires)
                request_attr(&m, RTA_EXPIRES, &r->expires, 4);
        if (r->mtu) {
                struct rtattr *all = request_nest(&m, RTA_METRICS);
                request_attr(&m, RTAX_MTU, &r->mtu, 4);
                if (r->lock)
                        request_attr(&m, RTAX_LOCK, &r->lock, 4);
                request_end(&m, all);
        }
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

static void change_all(void)
{
        static const struct route gone[] = {
                {AF_INET, "10.99.1.0", 24, RTN_UNICAST, RT_SCOPE_LINK, RTPROT_KERNEL, .src = "10.99.1.1", .link = "eth0"},
                {AF_INET, "10.99.1.255", 32, RTN_BROADCAST, RT_SCOPE_LINK, RTPROT_KERNEL, .src = "10.99.1.1", .link = "eth0", .table = RT_TABLE_LOCAL},
                {AF_INET6, "fd88::30", 128, RTN_LOCAL, RT_SCOPE_UNIVERSE, RTPROT_KERNEL, .link = "eth0", .table = RT_TABLE_LOCAL},
                {AF_INET6, "ff00::", 8, RTN_MULTICAST, RT_SCOPE_UNIVERSE, RTPROT_KERNEL, .link = "eth0", .table = RT_TABLE_LOCAL, .metric = 256},
        };
        struct ifreq r = {.ifr_name = "eth0:1"};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a630101)};
        struct sockaddr_in mask = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xffffff00)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(&r.ifr_addr, &a, sizeof(a));
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFADDR, &r) == 0);
        memcpy(&r.ifr_netmask, &mask, sizeof(mask));
        VICTIM_MUST(ioctl(fd, SIOCSIFNETMASK, &r) == 0 && close(fd) == 0);
        for (unsigned i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
                int e = change(&added[i], RTM_NEWROUTE);
                if (e)
                        fprintf(stderr, "route %s: %s\n", added[i].dst, strerror(e));
                VICTIM_MUST(e == 0);
        }
        for (unsigned i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
                int e = change(&gone[i], RTM_DELROUTE);
                if (e)
                        fprintf(stderr, "route %s: %s\n", gone[i].dst, strerror(e));
                VICTIM_MUST(e == 0);
        }
}

static void read_routes(struct lines *l)
{
        struct request m = {.h = {.nlmsg_type = RTM_GETROUTE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};

        l->n = 0;
        request_lines(NETLINK_ROUTE, &m, sizeof(struct rtmsg), RTA_CACHEINFO, lines_add, l);
        lines_sort(l);
}

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        change_all();
        addresses_settle();
        read_routes(&before);
        VICTIM_MUST(before.n >= sizeof(added) / sizeof(added[0]));

        victim_wait(&v);

        addresses_settle();
        read_routes(&after);
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
