/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signal actions: each signal once, never one that cannot be caught, handlers in the program's half. */
#include <signal.h>

#include "proto/task-sigact.pb-c.h"
#include "tests/unit/records.h"

Test(task_sigact, records)
{
        Gantry__TaskSigact m = GANTRY__TASK_SIGACT__INIT;
        Gantry__TaskSigact__Action a = GANTRY__TASK_SIGACT__ACTION__INIT, b = GANTRY__TASK_SIGACT__ACTION__INIT, *list[] = {&a, &b};

        ACCEPTED(&kind_task_sigact, m);
        a.signal = SIGUSR1;
        a.handler = 0x401000;
        a.flags = SA_RESTART;
        b.signal = SIGUSR2;
        b.handler = 1;
        m.n_action = 2;
        m.action = list;
        ACCEPTED(&kind_task_sigact, m);
        PLANNED(&kind_task_sigact, m, PH_ATTR, "rt_sigaction");
        b.signal = SIGUSR1;
        cr_assert_eq(rec_check(&kind_task_sigact, &m.base), EX_IMAGE, "one signal twice");
        b.signal = 65;
        cr_assert_eq(rec_check(&kind_task_sigact, &m.base), EX_IMAGE, "a signal that is none");
        b.signal = 0;
        cr_assert_eq(rec_check(&kind_task_sigact, &m.base), EX_IMAGE, "signal 0");
        b.signal = SIGUSR2;
        b.handler = UINT64_C(0xffffffff81000000);
        cr_assert_eq(rec_check(&kind_task_sigact, &m.base), EX_IMAGE, "a handler in the kernel's half");
}
