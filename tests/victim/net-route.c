/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes of IPv4 and IPv6, one of them added by the container itself. In a container. */
#include <net/route.h>

#include "tests/victim/netif.h"

static void add_route(void)
{
        struct rtentry r = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_metric = 8};
        struct sockaddr_in dst = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a4d0000)};
        struct sockaddr_in mask = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xffff0000)};
        struct sockaddr_in gw = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a580001)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(&r.rt_dst, &dst, sizeof(dst));
        memcpy(&r.rt_genmask, &mask, sizeof(mask));
        memcpy(&r.rt_gateway, &gw, sizeof(gw));
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCADDRT, &r) == 0 && close(fd) == 0);
}

static void read_routes(struct lines *l)
{
        l->n = 0;
        proc_lines(l, "/proc/net/route", 4);          /* link, destination, gateway, flags */
}

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        add_route();
        read_routes(&before);
        VICTIM_MUST(before.n >= 2);

        victim_wait(&v);

        read_routes(&after);
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
