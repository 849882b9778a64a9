/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's link: its name and address are those of a link, its MTU is possible. */
#include "proto/link-veth.pb-c.h"
#include "tests/unit/records.h"

Test(link_veth, records)
{
        Gantry__LinkVeth m = GANTRY__LINK_VETH__INIT;

        m.name = TEXT("eth0");
        m.mac = TEXT("\x02\x01\x02\x03\x04\x05");
        m.up = true;
        m.mtu = 1500;
        m.queue = 1000;
        m.flags = 0x1000;
        ACCEPTED(&kind_link_veth, m);
        REFUSED(&kind_link_veth, m, m.name = TEXT(""));
        REFUSED(&kind_link_veth, m, m.name = TEXT("a-name-too-long!"));
        REFUSED(&kind_link_veth, m, m.name = TEXT("e\0th"));
        REFUSED(&kind_link_veth, m, m.mac = TEXT("\x02\x01\x02\x03\x04"));
        REFUSED(&kind_link_veth, m, m.mtu = UINT32_MAX);
        REFUSED(&kind_link_veth, m, m.queue = UINT32_MAX);
        REFUSED(&kind_link_veth, m, m.flags = 1);
}

Test(link_veth, odd)
{
        struct facts f = {.cls = CLS_LINK, .link = {.name = "eth0", .kind = "veth"}};
        struct err err = {};

        cr_assert_eq(kind_link_veth.refuse(&f, &err), 0);
        f.link.odd = "an alias";
        cr_assert_eq(kind_link_veth.refuse(&f, &err), -EX_UNSUPPORTED);
        cr_assert(strstr(err.why, "an alias") && strstr(err.on, "eth0"), "%s: %s", err.on, err.why);
}
