/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what reads a namespace's answers for things that nobody keeps (checkpoint/networld.h), and lines of /proc/keys.
 */
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/collect.h"
#include "checkpoint/networld.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const struct nlmsghdr *h)
{
        struct rules_seen r = {};
        struct world_seen s = {};
        uint32_t n = 0;
        uint16_t id = 0;
        char name[32];

        rules_add(&r, h);
        (void)rules_changed(&r, true);
        (void)conntrack_entries(h, &n);
        world_route(&s, h);
        world_xfrm(&s, h);
        world_netfilter(&s, h);
        (void)world_labels_changed(&s);
        if (genl_family(h, &id, name) && strlen(name) >= sizeof(name))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nlmsghdr *copy = malloc(size ? size : 1);   /* aligned, and its end is where the data's is */
        char *text = malloc(size + 1);
        unsigned left = (unsigned)size;

        if (copy && text) {
                memcpy(copy, data, size);
                for (struct nlmsghdr *h = copy; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
                        one(h);
                memcpy(text, data, size);
                text[size] = '\0';
                (void)mcast_by_hand(text);
                (void)keys_persistent(text, 0);
        }
        free(copy);
        free(text);
        return 0;
}
