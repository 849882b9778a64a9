/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's own filter is all that a thread may have: the record cannot carry one. */
#include "proto/task-seccomp.pb-c.h"
#include "tests/unit/records.h"

Test(task_seccomp, records)
{
        Gantry__TaskSeccomp m = GANTRY__TASK_SECCOMP__INIT;

        ACCEPTED(&kind_task_seccomp, m);
        m.engine_filter = true;
        ACCEPTED(&kind_task_seccomp, m);
        cr_assert_eq(kind_task_seccomp.msg->n_fields, 1, "a further field: can an image bring a filter?");
        cr_assert_eq(kind_task_seccomp.msg->fields[0].type, PROTOBUF_C_TYPE_BOOL);
}
