/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user namespace: how many ids it has, never which of the node's. */
#include "proto/ns-user.pb-c.h"
#include "tests/unit/records.h"

Test(ns_user, records)
{
        Gantry__NsUser m = GANTRY__NS_USER__INIT;

        m.count = 65536;
        ACCEPTED(&kind_ns_user, m);
        REFUSED(&kind_ns_user, m, m.count = 0);
        Gantry__NsUser__Limit l = GANTRY__NS_USER__LIMIT__INIT, *list[] = {&l};
        l.name = TEXT("max_net_namespaces");
        l.value = 5;
        m.n_limit = 1;
        m.limit = list;
        ACCEPTED(&kind_ns_user, m);
        PLANNED(&kind_ns_user, m, PH_MOUNTS, "/proc/sys/user/max_net_namespaces");
        l.name = TEXT("../kernel/pid_max");
        cr_assert_eq(rec_check(&kind_ns_user, &m.base), EX_IMAGE, "a setting of the node");
        l.name = TEXT("max_net_namespaces");
        l.value = 0x80000000;
        cr_assert_eq(rec_check(&kind_ns_user, &m.base), EX_IMAGE, "a limit that is none");
        cr_assert_eq(kind_ns_user.msg->n_fields, 2, "a further field: does it name an id of the node?");
}
