/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tracked connection without any rule, in a network namespace of its own: refused, and still there. */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static void tuple(struct request *m, uint16_t type, const char *from, const char *to)
{
        struct in_addr a;
        uint8_t udp = IPPROTO_UDP;
        uint16_t port = htons(5353);
        struct rtattr *all = request_nest(m, type), *part = request_nest(m, CTA_TUPLE_IP);

        VICTIM_MUST(inet_pton(AF_INET, from, &a) == 1);
        request_attr(m, CTA_IP_V4_SRC, &a, sizeof(a));
        VICTIM_MUST(inet_pton(AF_INET, to, &a) == 1);
        request_attr(m, CTA_IP_V4_DST, &a, sizeof(a));
        request_end(m, part);
        part = request_nest(m, CTA_TUPLE_PROTO);
        request_attr(m, CTA_PROTO_NUM, &udp, sizeof(udp));
        request_attr(m, CTA_PROTO_SRC_PORT, &port, sizeof(port));
        request_attr(m, CTA_PROTO_DST_PORT, &port, sizeof(port));
        request_end(m, part);
        request_end(m, all);
}

static int add_entry(void)
{
        struct request m = {.h = {.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW,
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                                  .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg))}};
        struct nfgenmsg *g = NLMSG_DATA(&m.h);
        uint32_t seconds = htonl(600);

        *g = (struct nfgenmsg){.nfgen_family = AF_INET};
        tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2");
        tuple(&m, CTA_TUPLE_REPLY, "192.0.2.2", "192.0.2.1");
        request_attr(&m, CTA_TIMEOUT, &seconds, sizeof(seconds));
        return request_send(NETLINK_NETFILTER, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_entry() == 0);

        victim_wait(&v);

        int r = add_entry();
        VICTIM_CHECK(&v, r == EEXIST, "the entry is gone: %s", strerror(r));
        return victim_end(&v);
}
