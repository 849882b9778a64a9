/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysfs: options, plan, and a mount that is made. */
#include <linux/magic.h>

#include "proto/mnt-sysfs.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntSysfs Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/sys"}, .options = (char[]){"rw"}, .type = (char[]){"sysfs"},
                                     .source = (char[]){"sysfs"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

static void give(struct kt *t, const char *option)
{
        Message *m = KIND_NEW(Message, gantry__mnt_sysfs__init);

        m->option = one_option(option);
        m->n_option = 1;
        kt_give(t, 1, &kind_mnt_sysfs, &m->base);
}

Test(mnt_sysfs, options)
{
        struct mountinfo named = row;

        mount_options(&kind_mnt_sysfs, &row, "rw", "", options_of);
        mount_options(&kind_mnt_sysfs, &row, "ro", "ro", options_of);
        named.source = (char[]){"none"};
        mount_options(&kind_mnt_sysfs, &named, "rw", "source=none", options_of);
}

Test(mnt_sysfs, golden)
{
        struct kt *t = kt_new();

        give(t, "ro");
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 9 calls\n"
                                "# make a sysfs (mnt-sysfs 1)\n"
                                "0 fsopen(\"sysfs\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"sysfs\", 0)\n"
                                "2 fsconfig(r0, 6, 0, 0, 0)\n"
                                "3 fsmount(r0, 1, 0) keep 1\n"
                                "4 close(r0)\n"
                                "5 fspick(r3, hex:00, 9)\n"
                                "6 fsconfig(r5, 0, \"ro\", 0, 0)\n"
                                "7 fsconfig(r5, 7, 0, 0, 0)\n"
                                "8 close(r5)\n");
        kt_free(t);
}

Test(mnt_sysfs, played)
{
        enter_namespaces(CLONE_NEWNET);
        struct kt *t = kt_new();

        mount_play(t, mount_add(t, &kind_mnt_sysfs, &row, ""), SYSFS_MAGIC);
        kt_free(t);
}

Test(mnt_sysfs, hostile)
{
        mount_hostile(&kind_mnt_sysfs, give);
}
