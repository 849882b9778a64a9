/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A queueing discipline on the loopback, in a network namespace of its own: refused, and still there. */
#include <linux/pkt_sched.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static int add_queue(void)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWQDISC, .nlmsg_len = NLMSG_LENGTH(sizeof(struct tcmsg)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct tcmsg *t = NLMSG_DATA(&m.h);
        struct tc_fifo_qopt o = {.limit = 10};

        *t = (struct tcmsg){.tcm_ifindex = 1, .tcm_parent = TC_H_ROOT, .tcm_handle = 0x10000};
        request_attr(&m, TCA_KIND, "pfifo", 6);
        request_attr(&m, TCA_OPTIONS, &o, sizeof(o));
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_queue() == 0);

        victim_wait(&v);

        int r = add_queue();
        VICTIM_CHECK(&v, r == EEXIST, "the queue is gone: %s", strerror(r));
        return victim_end(&v);
}
