/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What prctl(2) sets for a process. */
#include "proto/task-prctl.pb-c.h"
#include "tests/unit/records.h"

Test(task_prctl, records)
{
        Gantry__TaskPrctl m = GANTRY__TASK_PRCTL__INIT;

        m.dumpable = 1;
        m.oom_score_adj = 100;
        m.coredump_filter = 0x33;
        ACCEPTED(&kind_task_prctl, m);
        m.oom_score_adj = -1000;
        ACCEPTED(&kind_task_prctl, m);
        REFUSED(&kind_task_prctl, m, m.dumpable = 3);
        REFUSED(&kind_task_prctl, m, m.mdwe = ~0u);
        REFUSED(&kind_task_prctl, m, m.oom_score_adj = 1001);
        REFUSED(&kind_task_prctl, m, m.oom_score_adj = -1001);
        m.has_loginuid = true;
        m.loginuid = 1000;
        ACCEPTED(&kind_task_prctl, m);
        REFUSED(&kind_task_prctl, m, m.loginuid = UINT32_MAX);
        m.subreaper = true;
        PLANNED(&kind_task_prctl, m, PH_ATTR, "prctl");
}
