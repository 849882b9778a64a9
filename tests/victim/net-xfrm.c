/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An IPsec policy, in a network namespace of its own: refused, and still there. */
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <sched.h>

#include "tests/victim/netlink.h"

static int add_policy(void)
{
        struct request m = {.h = {.nlmsg_type = XFRM_MSG_NEWPOLICY, .nlmsg_len = NLMSG_LENGTH(sizeof(struct xfrm_userpolicy_info)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
        struct xfrm_userpolicy_info *p = NLMSG_DATA(&m.h);

        *p = (struct xfrm_userpolicy_info){.sel = {.family = AF_INET, .prefixlen_d = 32, .prefixlen_s = 32},
                                           .lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF},
                                           .dir = XFRM_POLICY_OUT, .action = XFRM_POLICY_BLOCK};
        VICTIM_MUST(inet_pton(AF_INET, "192.0.2.1", &p->sel.daddr) == 1 && inet_pton(AF_INET, "192.0.2.2", &p->sel.saddr) == 1);
        return request_send(NETLINK_XFRM, &m, m.h.nlmsg_len);
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        VICTIM_MUST(add_policy() == 0);

        victim_wait(&v);

        int r = add_policy();
        VICTIM_CHECK(&v, r == EEXIST, "the policy is gone: %s", strerror(r));
        return victim_end(&v);
}
