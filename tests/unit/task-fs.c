/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Current directory, root and umask. */
#include "proto/task-fs.pb-c.h"
#include "tests/unit/records.h"

Test(task_fs, records)
{
        Gantry__TaskFs m = GANTRY__TASK_FS__INIT;

        m.cwd = TEXT("/var/www");
        m.root = TEXT("/");
        m.umask = 022;
        ACCEPTED(&kind_task_fs, m);
        REFUSED(&kind_task_fs, m, m.cwd = TEXT("var/www"));
        REFUSED(&kind_task_fs, m, m.root = TEXT(""));
        REFUSED(&kind_task_fs, m, m.cwd = TEXT("/var\0/www"));
        REFUSED(&kind_task_fs, m, m.umask = 01000);
        PLANNED(&kind_task_fs, m, PH_HAND, "chdir");
        PLANNED(&kind_task_fs, m, PH_HAND, "/var/www");
}
