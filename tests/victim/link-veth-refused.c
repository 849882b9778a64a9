/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link with more queues than it began with (ethtool -L), or with a broadcast address of its own where one processor allows no more
 * queues: refused, and still so. In a container.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/victim/victim.h"

static int channels(struct ethtool_channels *c)
{
        struct ifreq r = {.ifr_name = "eth0", .ifr_data = (char *)c};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int n = fd < 0 ? -1 : ioctl(fd, SIOCETHTOOL, &r);

        VICTIM_MUST(fd >= 0 && close(fd) == 0);
        return n;
}

static void broadcast(void)
{
        struct ifreq r = {.ifr_name = "eth0", .ifr_hwaddr = {.sa_family = 1, .sa_data = {0x11, 0x11, 0x11, 0x11, 0x11, 0x11}}};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFHWBROADCAST, &r) == 0 && close(fd) == 0);
}

int main(int argc, char **argv)
{
        struct victim v;
        struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS}, now = {.cmd = ETHTOOL_GCHANNELS};

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        VICTIM_MUST(channels(&c) == 0);
        bool room = c.max_rx > c.rx_count && c.max_tx > c.tx_count;   /* as many as there are processors */
        c.cmd = ETHTOOL_SCHANNELS;
        c.rx_count += room;
        c.tx_count += room;
        VICTIM_MUST(channels(&c) == 0 || !room);
        if (!room)
                broadcast();
        victim_file(&v, "words", room ? "a number of queues of its own (ethtool -L)" : "a broadcast address of its own");

        victim_wait(&v);

        VICTIM_CHECK(&v, channels(&now) == 0 && now.rx_count == c.rx_count && now.tx_count == c.tx_count, "it has %u and %u", now.rx_count, now.tx_count);
        return victim_end(&v);
}
