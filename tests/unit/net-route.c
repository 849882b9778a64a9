/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes: with and without a gateway or a link, with metrics, and what no route can be. */
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
        a.has_link = true;
        a.type = 1;
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
        BAD(a.has_tos = true; a.tos = 256);
        BAD(a.has_preference = true; a.preference = 256);
        BAD(a.type = 0);
        BAD(a.type = 10);
        BAD(a.table = 255; a.protocol = 2);   /* the kernel's own */
        Gantry__NetRoute__Metric x = GANTRY__NET_ROUTE__METRIC__INIT, *metrics[] = {&x};
        x.number = 2;
        x.value = 1280;
        good.n_metrics = 1;
        good.metrics = metrics;
        a = good;
        ACCEPTED(&kind_net_route, m);
        BAD(x.number = 16);
        BAD(x.number = 0);
        BAD(x.number = 18);
        x.number = 2;
        a = good;
        a.has_link = a.has_gateway = false;
        a.type = 6;
        a.table = 4711;
        ACCEPTED(&kind_net_route, m);
        a.gateway = TEXT("\xfd\x88\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
        a.has_gateway = true;
        ACCEPTED(&kind_net_route, m);   /* by a router of the other family */

        Gantry__NetRoute__Local l = GANTRY__NET_ROUTE__LOCAL__INIT, fine, *locals[] = {&l};
        l.dst = TEXT("\x0a\x58\x00\x1e");
        l.dst_bits = 32;
        l.type = 2;
        l.link = TEXT("eth0");
        m.n_local = 1;
        m.local = locals;
        ACCEPTED(&kind_net_route, m);
        fine = l;
#define BAD_LOCAL(change)                                                                                    \
        l = fine;                                                                                            \
        change;                                                                                              \
        cr_assert_eq(rec_check(&kind_net_route, &m.base), EX_IMAGE, "accepted: %s", #change)
        BAD_LOCAL(l.dst_bits = 33);
        BAD_LOCAL(l.dst = TEXT("\x0a"));
        BAD_LOCAL(l.link = TEXT(""));
        BAD_LOCAL(l.type = 0);
        BAD_LOCAL(l.type = 10);
}
