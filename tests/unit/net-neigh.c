/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbours: an address of one family and a hardware address of six bytes. */
#include "proto/net-neigh.pb-c.h"
#include "tests/unit/records.h"

Test(net_neigh, records)
{
        Gantry__NetNeigh m = GANTRY__NET_NEIGH__INIT;
        Gantry__NetNeigh__Neighbour a = GANTRY__NET_NEIGH__NEIGHBOUR__INIT, good, *list[] = {&a};

        ACCEPTED(&kind_net_neigh, m);
        a.ip = TEXT("\x0a\x58\x00\x01");
        a.mac = TEXT("\x02\x00\x00\x12\x34\x56");
        a.link = TEXT("eth0");
        m.n_neighbour = 1;
        m.neighbour = list;
        ACCEPTED(&kind_net_neigh, m);
        good = a;
#define BAD(change)                                                                                          \
        a = good;                                                                                            \
        change;                                                                                              \
        cr_assert_eq(rec_check(&kind_net_neigh, &m.base), EX_IMAGE, "accepted: %s", #change)
        BAD(a.ip = TEXT("\x0a\x58\x00\x01\x02"));
        BAD(a.mac = TEXT("\x02\x00"));
        BAD(a.link = TEXT(""));
        BAD(a.mac = TEXT(""));                /* unknown, and of no interest */
        BAD(a.has_noarp = a.noarp = a.permanent = true);
        BAD(a.has_managed = a.managed = a.permanent = true);
        BAD(a.has_protocol = true; a.protocol = 256);
        BAD(a.mac = TEXT(""); a.has_learned = a.learned = a.has_noarp = a.noarp = true);
        a = good;
        a.mac = TEXT("");
        a.has_managed = a.managed = true;
        ACCEPTED(&kind_net_neigh, m);
}
