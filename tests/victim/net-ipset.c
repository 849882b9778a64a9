/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set that no rule uses, in a network namespace of its own: refused, and still there. */
#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static int add_set(void)
{
        struct request m = {.h = {.nlmsg_type = NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_CREATE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct nfgenmsg *g = NLMSG_DATA(&m.h);
        uint8_t protocol = IPSET_PROTOCOL_MIN, revision = 3, family = AF_UNSPEC;
        uint16_t from = htons(1), to = htons(100);

        *g = (struct nfgenmsg){.nfgen_family = AF_INET};
        request_attr(&m, IPSET_ATTR_PROTOCOL, &protocol, 1);
        request_attr(&m, IPSET_ATTR_SETNAME, "ports", 6);
        request_attr(&m, IPSET_ATTR_TYPENAME, "bitmap:port", 12);
        request_attr(&m, IPSET_ATTR_REVISION, &revision, 1);
        request_attr(&m, IPSET_ATTR_FAMILY, &family, 1);
        struct rtattr *data = request_nest(&m, IPSET_ATTR_DATA);
        request_attr(&m, IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, &from, 2);
        request_attr(&m, IPSET_ATTR_PORT_TO | NLA_F_NET_BYTEORDER, &to, 2);
        request_end(&m, data);
        return request_send(NETLINK_NETFILTER, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_set() == 0);

        victim_wait(&v);

        int r = add_set();
        VICTIM_CHECK(&v, r == EEXIST, "the set is gone: %s", strerror(r));
        return victim_end(&v);
}
