/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's link: up, its mtu, queue, flags and hardware address. In a container. */
#include "tests/victim/netif.h"
#include "tests/victim/netlink.h"

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        struct ifreq r = {.ifr_name = "eth0", .ifr_mtu = 1400};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFMTU, &r) == 0);
        VICTIM_MUST(link_queue((int)if_nametoindex("eth0"), 77) == 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0);
        r.ifr_flags |= IFF_ALLMULTI | IFF_PROMISC;
        r.ifr_flags &= (short)~IFF_MULTICAST;
        VICTIM_MUST(ioctl(fd, SIOCSIFFLAGS, &r) == 0 && close(fd) == 0);
        link_line(&before, "eth0");
        VICTIM_MUST(before.n >= 1);

        victim_wait(&v);

        link_line(&after, "eth0");
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
