/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mnt namespace: its record says only that there is one, and claims nothing else. */
#include "proto/ns-mnt.pb-c.h"
#include "tests/unit/records.h"

Test(ns_mnt, records)
{
        Gantry__NsMnt m = GANTRY__NS_MNT__INIT;

        m.present = true;
        ACCEPTED(&kind_ns_mnt, m);
        REFUSED(&kind_ns_mnt, m, m.present = false);
}

Test(ns_mnt, claims_its_own)
{
        for (unsigned type = 0; type < NS_N; type++) {
                struct facts f = {.cls = CLS_NS, .ns.type = type};
                cr_assert_eq(kind_ns_mnt.claim(&f), type == NS_MNT);
        }
}
