/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup namespace: its record says only that there is one, and claims nothing else. */
#include "proto/ns-cgroup.pb-c.h"
#include "tests/unit/records.h"

Test(ns_cgroup, records)
{
        Gantry__NsCgroup m = GANTRY__NS_CGROUP__INIT;

        m.present = true;
        ACCEPTED(&kind_ns_cgroup, m);
        REFUSED(&kind_ns_cgroup, m, m.present = false);
}

Test(ns_cgroup, claims_its_own)
{
        for (unsigned type = 0; type < NS_N; type++) {
                struct facts f = {.cls = CLS_NS, .ns.type = type};
                cr_assert_eq(kind_ns_cgroup.claim(&f), type == NS_CGROUP);
        }
}
