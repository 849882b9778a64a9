/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A descriptor table: numbers rise, every entry has a file. */
#include "proto/task-files.pb-c.h"
#include "tests/unit/records.h"

Test(task_files, records)
{
        Gantry__TaskFiles m = GANTRY__TASK_FILES__INIT;
        Gantry__TaskFiles__Entry a = GANTRY__TASK_FILES__ENTRY__INIT, b = GANTRY__TASK_FILES__ENTRY__INIT, *list[] = {&a, &b};

        ACCEPTED(&kind_task_files, m);
        a.fd = 0;
        a.file = 5;
        b.fd = 7;
        b.file = 5;
        m.n_entry = 2;
        m.entry = list;
        ACCEPTED(&kind_task_files, m);
        b.fd = 0;
        cr_assert_eq(rec_check(&kind_task_files, &m.base), EX_IMAGE, "one number twice");
        b.fd = UINT32_MAX;
        cr_assert_eq(rec_check(&kind_task_files, &m.base), EX_IMAGE, "a number that no table has");
        b.fd = 7;
        b.file = 0;
        cr_assert_eq(rec_check(&kind_task_files, &m.base), EX_IMAGE, "an entry without a file");
}
