/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pid namespace: where the search for the next number goes on. */
#include "proto/ns-pid.pb-c.h"
#include "tests/unit/records.h"

Test(ns_pid, records)
{
        Gantry__NsPid m = GANTRY__NS_PID__INIT;

        ACCEPTED(&kind_ns_pid, m);
        m.has_last = true;
        m.last = 4711;
        ACCEPTED(&kind_ns_pid, m);
        REFUSED(&kind_ns_pid, m, m.last = 0x7fffffff);
        PLANNED(&kind_ns_pid, m, PH_ATTR, "ns_last_pid");
        PLANNED(&kind_ns_pid, m, PH_ATTR, "4711");
        m.has_max = true;
        m.max = 5000;
        ACCEPTED(&kind_ns_pid, m);
        PLANNED(&kind_ns_pid, m, PH_ATTR, "pid_max");
        REFUSED(&kind_ns_pid, m, m.max = 300);
        REFUSED(&kind_ns_pid, m, m.max = 0x400000);
}
