/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A permanent neighbour that the container has set itself. In a container. */
#include <net/if_arp.h>

#include "tests/victim/netif.h"

static void set_neighbour(void)
{
        static const unsigned char mac[6] = {2, 0, 0, 0x12, 0x34, 0x56};
        struct arpreq r = {.arp_flags = ATF_COM | ATF_PERM, .arp_dev = "eth0"};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a5800c8)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(&r.arp_pa, &a, sizeof(a));
        r.arp_ha.sa_family = ARPHRD_ETHER;
        memcpy(r.arp_ha.sa_data, mac, sizeof(mac));
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSARP, &r) == 0 && close(fd) == 0);
}

static bool known(void)
{
        static struct lines l;

        l.n = 0;
        proc_lines(&l, "/proc/net/arp", 6);   /* address, type, flags, hardware address, mask, link */
        for (unsigned i = 0; i < l.n; i++)
                if (strcmp(l.at[i], "10.88.0.200 0x1 0x6 02:00:00:12:34:56 * eth0 ") == 0)
                        return true;
        return false;
}

int main(int argc, char **argv)
{
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        set_neighbour();
        VICTIM_MUST(known());

        victim_wait(&v);

        VICTIM_CHECK(&v, known(), "the neighbour is gone, or another");
        return victim_end(&v);
}
