/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rule for the choice of IPv6 addresses, in a network namespace of its own: refused, and still there. */
#include <linux/if_addrlabel.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static int add_label(void)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWADDRLABEL, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrlblmsg)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct ifaddrlblmsg *l = NLMSG_DATA(&m.h);
        uint32_t label = 99;
        uint8_t prefix[16] = {0xfd, 0x99};

        *l = (struct ifaddrlblmsg){.ifal_family = AF_INET6, .ifal_prefixlen = 16};
        request_attr(&m, IFAL_ADDRESS, prefix, sizeof(prefix));
        request_attr(&m, IFAL_LABEL, &label, sizeof(label));
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_label() == 0);

        victim_wait(&v);

        int r = add_label();
        VICTIM_CHECK(&v, r == EEXIST, "the label is gone: %s", strerror(r));
        return victim_end(&v);
}
