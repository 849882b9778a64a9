/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loopback link. */
#include <net/if.h>

#include "proto/link-lo.pb-c.h"
#include "tests/unit/records.h"

Test(link_lo, records)
{
        Gantry__LinkLo m = GANTRY__LINK_LO__INIT;

        m.up = true;
        m.mtu = 65536;
        ACCEPTED(&kind_link_lo, m);
        REFUSED(&kind_link_lo, m, m.mtu = UINT32_MAX);
        REFUSED(&kind_link_lo, m, m.queue = UINT32_MAX);
        REFUSED(&kind_link_lo, m, m.flags = 1);
}

Test(link_lo, claims_no_other_link)
{
        struct facts lo = {.cls = CLS_LINK, .link = {.name = "lo", .flags = IFF_LOOPBACK}};
        struct facts veth = {.cls = CLS_LINK, .link = {.name = "lo", .kind = "veth"}};

        cr_assert_eq(kind_link_lo.claim(&lo), 1);
        cr_assert_eq(kind_link_lo.claim(&veth), 0, "a name says nothing");
}
