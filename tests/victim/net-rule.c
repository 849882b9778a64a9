/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rule of policy routing in a network namespace of its own: refused, and still there. */
#include <linux/fib_rules.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static int add_rule(void)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWRULE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct fib_rule_hdr)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct fib_rule_hdr *f = NLMSG_DATA(&m.h);
        uint32_t mark = 7, priority = 100;

        *f = (struct fib_rule_hdr){.family = AF_INET, .table = RT_TABLE_MAIN, .action = FR_ACT_TO_TBL};
        request_attr(&m, FRA_PRIORITY, &priority, sizeof(priority));
        request_attr(&m, FRA_FWMARK, &mark, sizeof(mark));
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_rule() == 0);

        victim_wait(&v);

        int r = add_rule();
        VICTIM_CHECK(&v, r == EEXIST, "the rule is gone: %s", strerror(r));
        return victim_end(&v);
}
