/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cgroup2: the options of the node are not kept; plan, and a mount that is made. */
#include <linux/magic.h>

#include "proto/mnt-cgroup2.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntCgroup2 Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/sys/fs/cgroup"}, .options = (char[]){"rw"}, .type = (char[]){"cgroup2"},
                                     .source = (char[]){"cgroup2"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

static void give(struct kt *t, const char *option)
{
        Message *m = KIND_NEW(Message, gantry__mnt_cgroup2__init);

        m->option = one_option(option);
        m->n_option = 1;
        kt_give(t, 1, &kind_mnt_cgroup2, &m->base);
}

Test(mnt_cgroup2, options)
{
        struct mountinfo named = row;

        mount_options(&kind_mnt_cgroup2, &row, "rw", "", options_of);
        mount_options(&kind_mnt_cgroup2, &row, "ro,nsdelegate,memory_recursiveprot,favordynmods", "", options_of);
        named.source = (char[]){"none"};
        mount_options(&kind_mnt_cgroup2, &named, "rw", "source=none", options_of);
}

Test(mnt_cgroup2, golden)
{
        struct kt *t = kt_new();

        give(t, "source=cgroup");
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 5 calls\n"
                                "# make a cgroup2 (mnt-cgroup2 1)\n"
                                "0 fsopen(\"cgroup2\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"cgroup\", 0)\n"
                                "2 fsconfig(r0, 6, 0, 0, 0)\n"
                                "3 fsmount(r0, 1, 0) keep 1\n"
                                "4 close(r0)\n");
        kt_free(t);
}

Test(mnt_cgroup2, played)
{
        enter_namespaces(CLONE_NEWCGROUP);
        struct kt *t = kt_new();

        mount_play(t, mount_add(t, &kind_mnt_cgroup2, &row, ""), CGROUP2_SUPER_MAGIC);
        kt_free(t);
}

Test(mnt_cgroup2, hostile)
{
        mount_hostile(&kind_mnt_cgroup2, give);
        static const char *const bad[] = {"nsdelegate", "memory_recursiveprot"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
}
