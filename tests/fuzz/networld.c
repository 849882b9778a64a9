/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what reads a namespace's answers for things that nobody keeps (checkpoint/networld.h). Each message lies in memory of
 * exactly its length, and what a message is too short to say is not believed.
 */
#include <linux/fib_rules.h>
#include <linux/if_addrlabel.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "checkpoint/networld.h"
#include "tests/fuzz/fuzz.h"

static void one(const struct nlmsghdr *h)
{
        struct rules_seen r = {};
        struct world_seen s = {};
        uint32_t n = 0;
        uint16_t id = 0;
        char *name = fuzz_array(32, 1);

        rules_add(&r, h);
        (void)rules_changed(&r, true);
        FUZZ_CHECK(r.other || h->nlmsg_type != RTM_NEWRULE || h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct fib_rule_hdr)));
        (void)conntrack_entries(h, &n);
        world_route(&s, h);
        FUZZ_CHECK(s.qdisc || h->nlmsg_type != RTM_NEWQDISC || h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct tcmsg)));
        FUZZ_CHECK(!s.labels || h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrlblmsg)) + 2 * 8 + 16 - 4);
        world_xfrm(&s, h);
        world_netfilter(&s, h);
        (void)world_labels_changed(&s);
        if (genl_family(h, &id, name))
                FUZZ_CHECK(memchr(name, '\0', 32));
        free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nlmsghdr *copy = fuzz_copy(data, size);   /* aligned, and its end is where the data's is */
        unsigned left = (unsigned)size;

        for (struct nlmsghdr *h = copy; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                struct nlmsghdr *exact = fuzz_copy(h, h->nlmsg_len);
                one(exact);
                free(exact);
                if (NLMSG_ALIGN(h->nlmsg_len) > left)
                        break;
        }
        free(copy);
        return 0;
}
