/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scheduling: what an unprivileged restore may ask for. */
#include "proto/task-sched.pb-c.h"
#include "tests/unit/records.h"

Test(task_sched, records)
{
        Gantry__TaskSched m = GANTRY__TASK_SCHED__INIT;
        static uint8_t cpus[1025] = {1};

        m.policy = GANTRY__TASK_SCHED__POLICY__BATCH;
        m.nice = 5;
        m.timer_slack_ns = 50000;
        ACCEPTED(&kind_task_sched, m);
        REFUSED(&kind_task_sched, m, m.nice = 20);
        REFUSED(&kind_task_sched, m, m.nice = -21);
        REFUSED(&kind_task_sched, m, m.io_priority = ~0u);
        REFUSED(&kind_task_sched, m, (m.has_affinity = true, m.affinity = TEXT("")));
        REFUSED(&kind_task_sched, m, (m.has_affinity = true, m.affinity = TEXT("\0\0")));
        m.has_affinity = true;
        m.affinity = (ProtobufCBinaryData){8, cpus};
        ACCEPTED(&kind_task_sched, m);
}
