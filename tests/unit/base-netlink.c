/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of the netlink files that need no privilege: reading. Changes: tests/system/base-net.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/str.h"

Test(netlink, links)
{
        struct nl *n = NULL;
        struct nl_link l = {}, *v = NULL;
        size_t count = 0;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0, "%s", e.why);
        cr_assert_eq(nl_link_get(n, "lo", &l, &e), 0, "%s", e.why);
        cr_assert_str_eq(l.name, "lo");
        cr_assert_eq(l.index, (int)if_nametoindex("lo"));
        cr_assert(l.flags & IFF_LOOPBACK);
        cr_assert_gt(l.mtu, 0);
        cr_assert_eq(l.master, 0);
        cr_assert_eq(nl_link_get(n, "gantry-none", &l, &e), 1);
        cr_assert_lt(nl_link_get(n, "name-that-is-too-long", &l, &e), 0);
        cr_assert_lt(nl_link_get(n, "", &l, &e), 0);
        cr_assert_eq(nl_links(n, &v, &count, &e), 0);
        bool lo = false;
        for (size_t i = 0; i < count; i++)
                lo |= str_eq(v[i].name, "lo");
        cr_assert(lo);
        free(v);
        /* The socket is in step after each of the answers above. */
        cr_assert_eq(nl_link_get(n, "lo", &l, &e), 0);
        nl_free(n);
        nl_free(NULL);
}

Test(netlink, lists)
{
        struct nl *n = NULL;
        struct nl_addr *a = NULL;
        struct nl_route *r = NULL;
        struct nl_neigh *g = NULL;
        size_t count = 0;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0);
        cr_assert_eq(nl_addrs(n, &a, &count, &e), 0, "%s", e.why);
        for (size_t i = 0; i < count; i++)
                cr_expect_neq(a[i].link[0], '\0');
        int q = nl_routes(n, &r, &count, &e);
        cr_assert(q == 0 || q == -EX_UNSUPPORTED, "%s", e.why);
        cr_assert_eq(nl_neighs(n, &g, &count, &e), 0, "%s", e.why);
        free(a);
        free(r);
        free(g);
        nl_free(n);
}

Test(netlink, port_of_a_link_that_is_none)
{
        struct nl *n = NULL;
        struct err e = {};

        cr_assert_eq(nl_open(&n, &e), 0);
        cr_assert_eq(nl_port_block(n, "lo", true, &e), -EX_STATE);
        cr_assert_eq(nl_port_block(n, "gantry-none", true, &e), -EX_UNKNOWN);
        cr_assert_eq(nl_link_delete(n, "gantry-none", &e), 0, "missing is fine");
        nl_free(n);
}
