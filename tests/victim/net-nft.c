/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An empty table of nf_tables in a network namespace of its own: refused, and still there. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static size_t put(uint8_t *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t res, const char *name)
{
        struct request m = {.h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg))}};
        struct nfgenmsg *g = NLMSG_DATA(&m.h);

        *g = (struct nfgenmsg){.nfgen_family = family, .res_id = htons(res)};
        if (name)
                request_attr(&m, NFTA_TABLE_NAME, name, strlen(name) + 1);
        memcpy(at, &m, m.h.nlmsg_len);
        return NLMSG_ALIGN(m.h.nlmsg_len);
}

static int add_table(void)
{
        uint8_t batch[1024];
        size_t n = put(batch, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, NULL);

        n += put(batch + n, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                 NFPROTO_IPV4, 0, "gantry");
        n += put(batch + n, NFNL_MSG_BATCH_END, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, NULL);
        return request_send(NETLINK_NETFILTER, batch, n);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_table() == 0);

        victim_wait(&v);

        int r = add_table();
        VICTIM_CHECK(&v, r == EEXIST, "the table is gone: %s", strerror(r));
        return victim_end(&v);
}
