/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes: with and without a gateway, and what no route can be. */
#include "proto/net-route.pb-c.h"
#include "tests/unit/records.h"

Test(net_route, records)
{
        Gantry__NetRoute m = GANTRY__NET_ROUTE__INIT;
        Gantry__NetRoute__Route a = GANTRY__NET_ROUTE__ROUTE__INIT, good, *list[] = {&a};

        ACCEPTED(&kind_net_route, m);
        a.dst = TEXT("\x0a\x58\x00\x00");
        a.dst_bits = 24;
        a.link = TEXT("eth0");
        a.table = 254;
        m.n_route = 1;
        m.route = list;
        ACCEPTED(&kind_net_route, m);
        a.has_gateway = true;
        a.gateway = TEXT("\x0a\x58\x00\x01");
        ACCEPTED(&kind_net_route, m);
        good = a;
#define BAD(change)                                                                                          \
        a = good;                                                                                            \
        change;                                                                                              \
        cr_assert_eq(rec_check(&kind_net_route, &m.base), EX_IMAGE, "accepted: %s", #change)
        BAD(a.dst_bits = 33);
        BAD(a.dst = TEXT("\x0a"));
        BAD(a.gateway = TEXT("\x0a\x58"));
        BAD(a.link = TEXT(""));
        BAD(a.scope = 256);
        BAD(a.protocol = 256);
}
