/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clocks: what they showed becomes offsets of this node's clocks, written before anybody is inside. */
#include "proto/ns-time.pb-c.h"
#include "tests/unit/records.h"

Test(ns_time, records)
{
        Gantry__NsTime m = GANTRY__NS_TIME__INIT;

        m.monotonic_s = 1000;
        m.boottime_s = 2000;
        ACCEPTED(&kind_ns_time, m);
        REFUSED(&kind_ns_time, m, m.monotonic_ns = 1000000000);
        REFUSED(&kind_ns_time, m, m.boottime_ns = UINT32_MAX);
        REFUSED(&kind_ns_time, m, m.monotonic_s = UINT64_MAX);
        REFUSED(&kind_ns_time, m, m.boottime_s = UINT64_MAX);
}

Test(ns_time, order)
{
        Gantry__NsTime m = GANTRY__NS_TIME__INIT;

        m.monotonic_s = 1000;
        char *p = rec_plan(&kind_ns_time, &m.base, PH_GROUND);
        const char *unshare = strstr(p, "unshare"), *offsets = strstr(p, "timens_offsets"), *setns = strstr(p, "setns");
        cr_assert(unshare && offsets && setns, "%s", p);
        cr_assert(unshare < offsets && offsets < setns, "offsets are written between unshare and setns:\n%s", p);
        free(p);
}
