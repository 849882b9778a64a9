/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A next hop object, in a network namespace of its own: refused, and still there. */
#include <linux/nexthop.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "tests/victim/netlink.h"

static int add_hop(void)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWNEXTHOP, .nlmsg_len = NLMSG_LENGTH(sizeof(struct nhmsg)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct nhmsg *n = NLMSG_DATA(&m.h);
        uint32_t id = 7;

        *n = (struct nhmsg){.nh_family = AF_INET, .nh_protocol = RTPROT_STATIC};
        request_attr(&m, NHA_ID, &id, sizeof(id));
        request_attr(&m, NHA_BLACKHOLE, NULL, 0);
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        VICTIM_MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && close(fd) == 0);
        VICTIM_MUST(add_hop() == 0);

        victim_wait(&v);

        int r = add_hop();
        VICTIM_CHECK(&v, r == EEXIST, "the next hop is gone: %s", strerror(r));
        return victim_end(&v);
}
