/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resource limits: all of them, none above its own bound. */
#include <sys/resource.h>

#include "proto/task-rlimit.pb-c.h"
#include "tests/unit/records.h"

Test(task_rlimit, records)
{
        Gantry__TaskRlimit m = GANTRY__TASK_RLIMIT__INIT;
        uint64_t soft[RLIM_NLIMITS], hard[RLIM_NLIMITS];

        for (int i = 0; i < RLIM_NLIMITS; i++) {
                soft[i] = 1000;
                hard[i] = 2000;
        }
        m.n_soft = m.n_hard = RLIM_NLIMITS;
        m.soft = soft;
        m.hard = hard;
        ACCEPTED(&kind_task_rlimit, m);
        PLANNED(&kind_task_rlimit, m, PH_ATTR, "limit");
        REFUSED(&kind_task_rlimit, m, m.n_soft--);
        REFUSED(&kind_task_rlimit, m, m.n_hard = 0);
        soft[3] = 2001;
        cr_assert_eq(rec_check(&kind_task_rlimit, &m.base), EX_IMAGE, "a soft limit above the hard one");
}
