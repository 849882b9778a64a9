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
        cr_assert_eq(kind_ns_user.msg->n_fields, 1, "a further field: does it name an id of the node?");
}
