/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the ipc namespace: only those of the list, each with a value; nothing else below /proc/sys can be written. */
#include "proto/ns-ipc.pb-c.h"
#include "tests/unit/records.h"

typedef Gantry__NsIpc__Setting Setting;

Test(ns_ipc, records)
{
        Gantry__NsIpc m = GANTRY__NS_IPC__INIT;
        Setting s = GANTRY__NS_IPC__SETTING__INIT, *list[] = {&s};

        ACCEPTED(&kind_ns_ipc, m);
        s.name = TEXT("kernel/msgmax");
        s.value = TEXT("9000");
        m.n_setting = 1;
        m.setting = list;
        ACCEPTED(&kind_ns_ipc, m);
        PLANNED(&kind_ns_ipc, m, PH_MOUNTS, "/proc/sys/kernel/msgmax");
        s.value = TEXT("");
        cr_assert_eq(rec_check(&kind_ns_ipc, &m.base), EX_IMAGE, "a setting without a value");
        s.value = TEXT("1\0002");
        cr_assert_eq(rec_check(&kind_ns_ipc, &m.base), EX_IMAGE, "a value with a NUL");
        s.value = TEXT("9000");
        s.name = TEXT("kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_ipc, &m.base), EX_IMAGE, "a setting of the node");
        s.name = TEXT("kernel/msgmax/../../../kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_ipc, &m.base), EX_IMAGE, "a path out of the list");
}
