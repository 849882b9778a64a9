/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: both families, a label, and what no address can be. */
#include "proto/net-addr.pb-c.h"
#include "tests/unit/records.h"

Test(net_addr, records)
{
        Gantry__NetAddr m = GANTRY__NET_ADDR__INIT;
        Gantry__NetAddr__Address a = GANTRY__NET_ADDR__ADDRESS__INIT, good, *list[] = {&a};

        ACCEPTED(&kind_net_addr, m);
        a.link = TEXT("eth0");
        a.ip = TEXT("\x0a\x58\x00\x02");
        a.bits = 24;
        m.n_address = 1;
        m.address = list;
        ACCEPTED(&kind_net_addr, m);
        good = a;
#define BAD(change)                                                                                          \
        a = good;                                                                                            \
        change;                                                                                              \
        cr_assert_eq(rec_check(&kind_net_addr, &m.base), EX_IMAGE, "accepted: %s", #change)
        BAD(a.bits = 33);
        BAD(a.ip = TEXT("\x0a\x58"));
        BAD(a.link = TEXT(""));
        BAD(a.link = TEXT("0123456789abcdef"));
        BAD(a.scope = 256);
        BAD(a.has_label = true; a.label = TEXT("0123456789abcdef"));
        BAD(a.has_peer = true; a.peer = TEXT("\xfd\x88\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"));
        BAD(a.has_broadcast = true; a.broadcast = TEXT("\x0a"));
        BAD(a.has_protocol = true; a.protocol = 256);
        BAD(a.has_valid = true; a.valid = 10);
        BAD(a.has_valid = a.has_preferred = true; a.valid = 10; a.preferred = 11);
        a = good;
        a.has_valid = a.has_preferred = a.has_peer = a.has_broadcast = true;
        a.valid = 10;
        a.preferred = 0;
        a.peer = a.broadcast = TEXT("\x0a\x58\x00\x03");
        ACCEPTED(&kind_net_addr, m);
        a = good;
        a.has_label = true;
        a.label = TEXT("eth0:1");
        ACCEPTED(&kind_net_addr, m);
        a = good;
        a.ip = TEXT("\xfd\x88\0\0\0\0\0\0\0\0\0\0\0\0\0\x02");
        a.bits = 128;
        ACCEPTED(&kind_net_addr, m);
        BAD(a.ip = TEXT("\xfd\x88\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"); a.bits = 129);
}
