/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to one thread: name, robust list, signal stack, modes. */
#include "proto/task-thread.pb-c.h"
#include "tests/unit/records.h"

Test(task_thread, records)
{
        Gantry__TaskThread m = GANTRY__TASK_THREAD__INIT;

        m.name = TEXT("worker");
        m.robust_list = 0x7f0000001000;
        m.robust_len = 24;
        m.tid_address = 0x7f0000002000;
        m.altstack_flags = 2;
        m.tsc = 1;
        m.machine_check = 2;
        m.cpuid = true;
        struct kt *t = rec_given(&kind_task_thread, &m.base);
        struct err err = {};
        int r = kt_check(t, &err);
        cr_assert_eq(r, 0, "%s", err.why);
        kt_free(t);
        REFUSED(&kind_task_thread, m, m.name = TEXT("a name of 16 char"));
        REFUSED(&kind_task_thread, m, m.robust_list = UINT64_C(0xffff888000000000));
        REFUSED(&kind_task_thread, m, m.robust_len = 8);
        REFUSED(&kind_task_thread, m, m.altstack_flags = ~0u);
        REFUSED(&kind_task_thread, m, m.death_signal = 65);
        REFUSED(&kind_task_thread, m, m.tsc = 7);
        PLANNED(&kind_task_thread, m, PH_CONFINE, "set_robust_list");
        PLANNED(&kind_task_thread, m, PH_CONFINE, "worker");
}
