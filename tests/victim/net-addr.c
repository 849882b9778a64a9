/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of all links, one of them added by the container itself. In a container. */
#include "tests/victim/netif.h"

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        struct ifreq r = {.ifr_name = "lo:1"};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a636363)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        memcpy(&r.ifr_addr, &a, sizeof(a));
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFADDR, &r) == 0 && close(fd) == 0);
        address_lines(&before);
        VICTIM_MUST(before.n >= 1);

        victim_wait(&v);

        address_lines(&after);
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
