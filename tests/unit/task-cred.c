/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Credentials: four ids each, sets that agree with each other, nothing that no kernel knows. */
#include "proto/task-cred.pb-c.h"
#include "tests/unit/records.h"

Test(task_cred, records)
{
        Gantry__TaskCred m = GANTRY__TASK_CRED__INIT;
        uint32_t ids[4] = {33, 33, 33, 33}, groups[2] = {33, 4}, none[4] = {33, UINT32_MAX, 33, 33};

        m.n_uid = m.n_gid = 4;
        m.uid = m.gid = ids;
        m.n_group = 2;
        m.group = groups;
        m.permitted = m.effective = m.bounding = 0x400;
        ACCEPTED(&kind_task_cred, m);
        REFUSED(&kind_task_cred, m, m.n_uid = 3);
        REFUSED(&kind_task_cred, m, m.uid = none);
        REFUSED(&kind_task_cred, m, m.effective = 0x401);
        REFUSED(&kind_task_cred, m, m.ambient = 0x400);
        REFUSED(&kind_task_cred, m, m.bounding = UINT64_MAX);
        REFUSED(&kind_task_cred, m, m.securebits = ~0u);
        PLANNED(&kind_task_cred, m, PH_CONFINE, "setresuid");
        PLANNED(&kind_task_cred, m, PH_CONFINE, "capset");
}

/* Groups and ids go before the capabilities that are needed to set them. */
Test(task_cred, order)
{
        Gantry__TaskCred m = GANTRY__TASK_CRED__INIT;
        uint32_t ids[4] = {33, 33, 33, 33};

        m.n_uid = m.n_gid = 4;
        m.uid = m.gid = ids;
        char *p = rec_plan(&kind_task_cred, &m.base, PH_CONFINE);
        const char *groups = strstr(p, "setgroups"), *uid = strstr(p, "setresuid"), *caps = p;
        for (const char *c = p; (c = strstr(c, "capset")); c++)
                caps = c;
        cr_assert(groups && uid && groups < uid && uid < caps, "%s", p);
        free(p);
}
