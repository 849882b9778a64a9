/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three interval timers: each once, with a possible time; armed last of all. */
#include "proto/task-itimer.pb-c.h"
#include "tests/unit/records.h"

Test(task_itimer, records)
{
        Gantry__TaskItimer m = GANTRY__TASK_ITIMER__INIT;
        Gantry__TaskItimer__Timer a = GANTRY__TASK_ITIMER__TIMER__INIT, b = GANTRY__TASK_ITIMER__TIMER__INIT, *list[] = {&a, &b};

        ACCEPTED(&kind_task_itimer, m);
        a.which = 0;
        a.value_us = 1500000;
        a.interval_us = 2000000;
        b.which = 2;
        b.interval_us = 5;
        m.n_timer = 2;
        m.timer = list;
        ACCEPTED(&kind_task_itimer, m);
        PLANNED(&kind_task_itimer, m, PH_PARK, "setitimer");
        b.which = 0;
        cr_assert_eq(rec_check(&kind_task_itimer, &m.base), EX_IMAGE, "one timer twice");
        b.which = 3;
        cr_assert_eq(rec_check(&kind_task_itimer, &m.base), EX_IMAGE, "a timer that is none");
        b.which = 2;
        b.value_us = UINT64_MAX;
        cr_assert_eq(rec_check(&kind_task_itimer, &m.base), EX_IMAGE, "a time without end");
}
