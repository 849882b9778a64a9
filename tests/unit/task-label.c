/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels: text, or none. */
#include "proto/task-label.pb-c.h"
#include "tests/unit/records.h"

Test(task_label, records)
{
        Gantry__TaskLabel m = GANTRY__TASK_LABEL__INIT;

        ACCEPTED(&kind_task_label, m);
        m.has_current = true;
        m.current = TEXT("a\0b");
        cr_assert_eq(rec_check(&kind_task_label, &m.base), EX_IMAGE, "a label with a NUL");
        m.current = TEXT("");
        cr_assert_eq(rec_check(&kind_task_label, &m.base), EX_IMAGE, "an empty label that is there");
}
