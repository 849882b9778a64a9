/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base/netlink.h on real links: a bridge here, a container's end in another namespace, packets through it.
 *
 *      here: br0 ─┬─ v0 ── eth0 ┐
 *                 └─ v1 ── eth1 ┘ there
 *
 * Shown: the pair is made in one request with its MAC and bridge; addresses, routes and neighbours read back as they
 * were added; a blocked port passes nothing in either direction and the inside sees no carrier change; announcements
 * pass by the other port while the first is blocked, and the kernel there believes them (so checksums are right).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/spawn.h"
#include "base/str.h"
#include "tests/system/own.h"

static const unsigned char mac0[6] = {0x02, 0, 0, 0, 0, 0x10}, mac1[6] = {0x02, 0, 0, 0, 0, 0x11};

struct net {
        struct nl *here, *there;
        int here_fd, there_fd;
};

static int ns_fd(void)
{
        return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static struct ip_prefix ip(const char *s)
{
        struct ip_prefix p;

        OK(parse_prefix(s, &p, err));
        return p;
}

static bool ip_eq(const struct ip_prefix *a, const char *s)
{
        struct ip_prefix b = ip(s);

        return a->family == b.family && a->bits == b.bits && memcmp(a->addr, b.addr, sizeof(b.addr)) == 0;
}

static void add_addr(struct nl *n, const char *link, const char *text)
{
        struct nl_addr a = {.ip = ip(text)};

        str_copy(a.link, sizeof(a.link), link);
        OK(nl_addr_add(n, &a, err));
        OK(nl_addr_add(n, &a, err)); /* existing is fine */
}

static void make(struct net *x)
{
        static const char *const bridge[] = {"ip", "link", "add", "br0", "type", "bridge", NULL};
        struct nl_link l = {};

        x->here_fd = ns_fd();
        CHECK(unshare(CLONE_NEWNET) == 0);
        x->there_fd = ns_fd();
        CHECK(setns(x->here_fd, CLONE_NEWNET) == 0);
        OK(nl_open(&x->here, err));
        OK(nl_open_in(x->there_fd, &x->there, err));
        OK(spawn_check(EX_FAIL, bridge, err));
        OK(nl_veth_create(x->here, "v0", "br0", x->there_fd, "eth0", mac0, err));
        OK(nl_veth_create(x->here, "v1", "br0", x->there_fd, "eth1", mac1, err));
        struct err e = {};
        CHECK(nl_veth_create(x->here, "v0", "br0", x->there_fd, "eth2", NULL, &e) == -EX_EXISTS);
        CHECK(nl_veth_create(x->here, "v3", "none", x->there_fd, "eth2", NULL, &e) == -EX_UNKNOWN);
        CHECK(nl_link_get(x->there, "v0", &l, NULL) == 1); /* this end only here */
        CHECK(nl_link_get(x->here, "eth0", &l, NULL) == 1);
        CHECK(nl_link_get(x->there, "eth0", &l, NULL) == 0);
        CHECK(memcmp(l.mac, mac0, 6) == 0);
        CHECK(str_eq(l.kind, "veth"));
        int peer = l.peer;
        CHECK(nl_link_get(x->here, "v0", &l, NULL) == 0);
        CHECK(l.index == peer && l.master == (int)if_nametoindex("br0"));
        CHECK(l.mac[0] == 0xfe); /* never becomes the bridge's own */
        OK(nl_link_mtu(x->here, "v0", 1400, err));
        CHECK(nl_link_get(x->here, "v0", &l, NULL) == 0 && l.mtu == 1400);
        OK(nl_link_mtu(x->here, "v0", 1500, err));
        static const char *const ups[] = {"br0", "v0", "v1"}, *const inner[] = {"lo", "eth0", "eth1"};
        for (size_t i = 0; i < 3; i++) {
                OK(nl_link_up(x->here, ups[i], true, err));
                OK(nl_link_up(x->there, inner[i], true, err));
        }
        add_addr(x->here, "br0", "10.9.0.1/24");
        add_addr(x->here, "br0", "fd09::1/64");
        add_addr(x->there, "eth0", "10.9.0.2/24");
        add_addr(x->there, "eth0", "fd09::2/64");
}

static uint32_t port_state(struct nl *n, const char *name)
{
        struct nl_link l = {};

        OK(nl_link_get(n, name, &l, err));
        return l.port_state;
}

/* ---- addresses, routes, neighbours ---- */

static void check_addrs(struct net *x)
{
        struct nl_addr *a = NULL;
        size_t n = 0;
        int four = 0, six = 0;

        OK(nl_addrs(x->there, &a, &n, err));
        for (size_t i = 0; i < n; i++) {
                if (!str_eq(a[i].link, "eth0"))
                        continue;
                four += ip_eq(&a[i].ip, "10.9.0.2/24");
                if (ip_eq(&a[i].ip, "fd09::2/64")) {
                        six++;
                        CHECK(!(a[i].flags & 0x40)); /* not tentative: usable at once */
                }
        }
        CHECK(four == 1 && six == 1);
        free(a);
}

static struct nl_route route(const char *dst, const char *gw, const char *link)
{
        struct nl_route r = {.dst = ip(dst), .has_gw = gw != NULL, .metric = 77};

        if (gw)
                r.gw = ip(gw);
        str_copy(r.link, sizeof(r.link), link);
        return r;
}

static int count_routes(struct net *x, const char *dst, const char *gw)
{
        struct nl_route *r = NULL;
        size_t n = 0;
        int found = 0;

        OK(nl_routes(x->there, &r, &n, err));
        for (size_t i = 0; i < n; i++)
                found += ip_eq(&r[i].dst, dst) && r[i].metric == 77 && r[i].has_gw == (gw != NULL) &&
                         (!gw || ip_eq(&r[i].gw, gw)) && str_eq(r[i].link, "eth0") && r[i].table == RT_TABLE_MAIN &&
                         r[i].type == RTN_UNICAST;
        free(r);
        return found;
}

static void check_routes(struct net *x)
{
        static const char *const rows[][2] = {
                {"0.0.0.0/0", "10.9.0.1/32"}, {"::/0", "fd09::1/128"}, {"10.77.0.0/16", NULL}, {"fd77::/48", NULL}};
        struct nl_route bad = route("10.88.0.0/16", "10.200.0.1/32", "eth0");
        struct err e = {};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct nl_route r = route(rows[i][0], rows[i][1], "eth0");
                if (!rows[i][1])
                        r.scope = RT_SCOPE_LINK;
                OK(nl_route_add(x->there, &r, err));
                OK(nl_route_add(x->there, &r, err)); /* existing is fine */
                CHECK(count_routes(x, rows[i][0], rows[i][1]) == 1);
        }
        CHECK(nl_route_add(x->there, &bad, &e) < 0); /* the gateway cannot be reached */
}

/* What a nl_route cannot hold is refused, not dropped. */
static void check_odd_routes(struct net *x)
{
        static const char *const add[] = {"ip", "route", "add", "10.99.0.0/16", "nexthop", "dev", "br0", "nexthop", "via", "10.9.0.7", NULL};
        static const char *const del[] = {"ip", "route", "del", "10.99.0.0/16", NULL};
        struct nl_route *r = NULL;
        size_t n;
        struct err e = {};

        OK(spawn_check(EX_FAIL, add, err));
        CHECK(nl_routes(x->here, &r, &n, &e) == -EX_UNSUPPORTED);
        CHECK(str_starts(e.on, "10.99.0.0"));
        OK(spawn_check(EX_FAIL, del, err));
        OK(nl_routes(x->here, &r, &n, err));
        free(r);
}

static void add_neigh(struct nl *n, const char *link, const char *text, const unsigned char mac[6])
{
        struct nl_neigh g = {.ip = ip(text), .state = NUD_STALE};

        str_copy(g.link, sizeof(g.link), link);
        memcpy(g.mac, mac, 6);
        OK(nl_neigh_add(n, &g, err));
}

static bool neigh_is(struct nl *n, const char *text, const unsigned char mac[6])
{
        struct nl_neigh *v = NULL;
        size_t count = 0;
        bool found = false;

        OK(nl_neighs(n, &v, &count, err));
        for (size_t i = 0; i < count; i++)
                found |= ip_eq(&v[i].ip, text) && memcmp(v[i].mac, mac, 6) == 0;
        free(v);
        return found;
}

/* ---- packets ---- */

static int udp(int netns, int here, const char *addr)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7000)};

        CHECK(setns(netns, CLONE_NEWNET) == 0);
        int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(inet_pton(AF_INET, addr, &a.sin_addr) == 1);
        CHECK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0);
        CHECK(setns(here, CLONE_NEWNET) == 0);
        return s;
}

static void send_to(int s, const char *addr)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7000)};

        CHECK(inet_pton(AF_INET, addr, &a.sin_addr) == 1);
        CHECK(sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1);
}

static int arrived(int s)
{
        char c[64];
        int n = 0;

        while (recv(s, c, sizeof(c), MSG_DONTWAIT) > 0)
                n++;
        return n;
}

/* A datagram gets through: sent again until it does, the first ones may wait for neighbours. */
static bool passes(int from, int to, const char *addr)
{
        for (int i = 0; i < 200; i++) {
                send_to(from, addr);
                usleep(5000);
                if (arrived(to))
                        return true;
        }
        return false;
}

static void check_block(struct net *x)
{
        struct nl_link l = {};
        int a = udp(x->here_fd, x->here_fd, "10.9.0.1"), b = udp(x->there_fd, x->here_fd, "10.9.0.2");

        UNTIL(port_state(x->here, "v0") == 3);
        CHECK(passes(a, b, "10.9.0.2") && passes(b, a, "10.9.0.1"));
        /* Seeded for ever, so that silence below is the port's and not a lost neighbour's. */
        struct nl_neigh g = {.ip = ip("10.9.0.2/32"), .link = "br0", .state = NUD_PERMANENT};
        memcpy(g.mac, mac0, 6);
        OK(nl_neigh_add(x->here, &g, err));
        OK(nl_port_block(x->here, "v0", true, err));
        OK(nl_port_block(x->here, "v0", true, err)); /* idempotent */
        CHECK(port_state(x->here, "v0") == 0);
        usleep(20000);
        arrived(a);
        arrived(b);
        for (int i = 0; i < 50; i++) {
                send_to(a, "10.9.0.2");
                send_to(b, "10.9.0.1");
                usleep(1000);
        }
        CHECK(arrived(a) == 0 && arrived(b) == 0);
        OK(nl_link_get(x->there, "eth0", &l, err));
        CHECK(l.flags & IFF_RUNNING); /* the inside sees no carrier loss */
        OK(nl_port_block(x->here, "v0", false, err));
        CHECK(port_state(x->here, "v0") == 3);
        CHECK(passes(a, b, "10.9.0.2") && passes(b, a, "10.9.0.1"));
        close(a);
        close(b);
}

static void check_announce(struct net *x)
{
        static const unsigned char old[6] = {0x02, 0, 0, 0, 0, 0xee}, moved[6] = {0x02, 0, 0, 0, 0, 0xab};
        struct ip_prefix four = ip("10.8.0.9/24"), six = ip("fd08::9/64");
        struct err e = {};

        add_addr(x->there, "eth1", "10.8.0.2/24");
        add_addr(x->there, "eth1", "fd08::2/64");
        UNTIL(port_state(x->here, "v1") == 3);
        add_neigh(x->there, "eth1", "10.8.0.9/32", old);
        add_neigh(x->there, "eth1", "fd08::9/128", old);
        CHECK(neigh_is(x->there, "10.8.0.9/32", old) && neigh_is(x->there, "fd08::9/128", old));
        OK(nl_port_block(x->here, "v0", true, err));
        OK(nl_announce("br0", moved, &four, err));
        OK(nl_announce("br0", moved, &six, err));
        UNTIL(neigh_is(x->there, "10.8.0.9/32", moved));
        UNTIL(neigh_is(x->there, "fd08::9/128", moved));
        OK(nl_port_block(x->here, "v0", false, err));
        CHECK(nl_announce("none", moved, &four, &e) == -EX_UNKNOWN);
}

/* Frames that a link has received; those of the kernel's own IPv6 are what is waited for. */
static unsigned long long received(const char *link)
{
        char line[512], name[32];
        unsigned long long bytes, packets = 0, found = 0;
        FILE *f = fopen("/proc/self/net/dev", "re");

        CHECK(f);
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, " %31[^:]: %llu %llu", name, &bytes, &packets) == 3 && str_eq(name, link)) {
                        found = packets;
                        break;
                }
        fclose(f);
        return found;
}

/* A link that comes up without address generation says nothing, where one with it asks for its address. */
static void check_silence(struct net *x)
{
        OK(nl_veth_create(x->here, "s0", NULL, -1, "s1", NULL, err));
        OK(nl_veth_create(x->here, "t0", NULL, -1, "t1", NULL, err));
        OK(nl_link_autoconf(x->here, "s0", false, err));
        OK(nl_link_autoconf(x->here, "s1", false, err));
        static const char *const all[] = {"s0", "s1", "t0", "t1"};
        for (int i = 0; i < 4; i++)
                OK(nl_link_up(x->here, all[i], true, err));
        UNTIL(received("t0") > 0);
        usleep(300000);
        CHECK(received("s0") == 0 && received("s1") == 0);
        OK(nl_link_delete(x->here, "s0", err));
        OK(nl_link_delete(x->here, "t0", err));
}

static void test(void)
{
        struct net x = {};

        make(&x);
        check_addrs(&x);
        check_routes(&x);
        check_odd_routes(&x);
        check_block(&x);
        check_announce(&x);
        check_silence(&x);
        OK(nl_link_delete(x.here, "v0", err));
        OK(nl_link_delete(x.here, "v0", err)); /* missing is fine */
        struct nl_link l;
        CHECK(nl_link_get(x.there, "eth0", &l, NULL) == 1);
        nl_free(x.here);
        nl_free(x.there);
        printf("ok\n");
}

int main(void)
{
        return run_in_own_namespaces(test, NULL);
}
