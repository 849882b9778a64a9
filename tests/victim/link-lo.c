/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loopback link: up, with an mtu of its own. In a container. */
#include "tests/victim/netif.h"
#include "tests/victim/netlink.h"

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        struct ifreq r = {.ifr_name = "lo", .ifr_mtu = 40000};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFMTU, &r) == 0);
        VICTIM_MUST(link_queue(1, 78) == 0 && close(fd) == 0);
        link_line(&before, "lo");
        VICTIM_MUST(before.n >= 1);

        victim_wait(&v);

        link_line(&after, "lo");
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
