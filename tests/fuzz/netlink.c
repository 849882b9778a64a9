/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what reads the kernel's answers about routes and addresses. They come from the kernel, but what a container
 * has put there is in them.
 */
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/netlink-impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const struct nlmsghdr *h)
{
        struct nl_route r = {};
        struct nl_addr a = {};
        uint32_t index = 0;
        const char *why = NULL;

        int q = nl_route_read(h, &r, &index, &why);
        if ((q < 0) != (why != NULL) || (q == 1 && (!nl_route_same(&r, &r) || r.dst.bits > 128)))
                abort();
        why = NULL;
        q = nl_addr_read(h, &a, &index, &why);
        if ((q < 0) != (why != NULL) || (q == 1 && (!nl_addr_same(&a, &a) || strlen(a.label) >= sizeof(a.label))))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nlmsghdr *copy = malloc(size ? size : 1);   /* aligned, and its end is where the data's is */
        unsigned left = (unsigned)size;

        if (!copy)
                return 0;
        memcpy(copy, data, size);
        for (struct nlmsghdr *h = copy; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
                one(h);
        free(copy);
        return 0;
}
