/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mqueue: options, plan, and a mount that is made. */
#include <linux/magic.h>

#include "proto/mnt-mqueue.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntMqueue Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/dev/mqueue"}, .options = (char[]){"rw"}, .type = (char[]){"mqueue"},
                                     .source = (char[]){"mqueue"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

static void give(struct kt *t, const char *option)
{
        Message *m = KIND_NEW(Message, gantry__mnt_mqueue__init);

        m->option = one_option(option);
        m->n_option = 1;
        kt_give(t, 1, &kind_mnt_mqueue, &m->base);
}

Test(mnt_mqueue, options)
{
        struct mountinfo named = row;

        mount_options(&kind_mnt_mqueue, &row, "rw", "", options_of);
        mount_options(&kind_mnt_mqueue, &row, "ro", "ro", options_of);
        named.source = (char[]){"none"};
        mount_options(&kind_mnt_mqueue, &named, "rw", "source=none", options_of);
}

Test(mnt_mqueue, golden)
{
        struct kt *t = kt_new();

        give(t, "source=queues");
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 5 calls\n"
                                "# make a mqueue (mnt-mqueue 1)\n"
                                "0 fsopen(\"mqueue\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"queues\", 0)\n"
                                "2 fsconfig(r0, 6, 0, 0, 0)\n"
                                "3 fsmount(r0, 1, 0) keep 1\n"
                                "4 close(r0)\n");
        kt_free(t);
}

Test(mnt_mqueue, played)
{
        enter_namespaces(CLONE_NEWIPC);
        struct kt *t = kt_new();

        mount_play(t, mount_add(t, &kind_mnt_mqueue, &row, ""), 0x19800202);
        kt_free(t);
}

Test(mnt_mqueue, hostile)
{
        mount_hostile(&kind_mnt_mqueue, give);
}
