/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the net namespace: only those of the list, each with a value; nothing else below /proc/sys can be written. */
#include "proto/ns-net.pb-c.h"
#include "tests/unit/records.h"

typedef Gantry__NsNet__Setting Setting;

Test(ns_net, records)
{
        Gantry__NsNet m = GANTRY__NS_NET__INIT;
        Setting s = GANTRY__NS_NET__SETTING__INIT, *list[] = {&s};

        ACCEPTED(&kind_ns_net, m);
        s.name = TEXT("net/ipv4/ip_forward");
        s.value = TEXT("1");
        m.n_setting = 1;
        m.setting = list;
        ACCEPTED(&kind_ns_net, m);
        PLANNED(&kind_ns_net, m, PH_MOUNTS, "/proc/sys/net/ipv4/ip_forward");
        s.value = TEXT("");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a setting without a value");
        s.value = TEXT("1\0002");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a value with a NUL");
        s.value = TEXT("1");
        s.name = TEXT("kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a setting of the node");
        s.name = TEXT("net/ipv4/ip_forward/../../../kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a path out of the list");
}
