/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that wait for a process, with all that siginfo_t carries. */
#include <signal.h>

#include "proto/task-sigshared.pb-c.h"
#include "tests/unit/records.h"

Test(task_sigshared, records)
{
        Gantry__TaskSigshared m = GANTRY__TASK_SIGSHARED__INIT;
        Gantry__TaskSigshared__Signal s = GANTRY__TASK_SIGSHARED__SIGNAL__INIT, *list[] = {&s};
        static uint8_t fields[113];

        ACCEPTED(&kind_task_sigshared, m);
        s.signal = SIGUSR1;
        s.code = SI_QUEUE;
        s.fields = (ProtobufCBinaryData){112, fields};
        m.n_signal = 1;
        m.signal = list;
        ACCEPTED(&kind_task_sigshared, m);
        s.signal = 0;
        cr_assert_eq(rec_check(&kind_task_sigshared, &m.base), EX_IMAGE, "signal 0");
        s.signal = 65;
        cr_assert_eq(rec_check(&kind_task_sigshared, &m.base), EX_IMAGE, "a signal that is none");
        s.signal = SIGUSR1;
        s.fields.len = 113;
        cr_assert_eq(rec_check(&kind_task_sigshared, &m.base), EX_IMAGE, "more fields than there are");
        s.fields.len = 4;
        cr_assert_eq(rec_check(&kind_task_sigshared, &m.base), EX_IMAGE, "fewer fields than there are");
}
