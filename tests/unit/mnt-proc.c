/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proc: its view of tasks as options; plan, and a mount that is made. */
#include <linux/magic.h>

#include "proto/mnt-proc.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntProc Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/proc"}, .options = (char[]){"rw"}, .type = (char[]){"proc"},
                                     .source = (char[]){"proc"}, .super_options = (char[]){"rw"}};

static char **options_of(const struct record *r, size_t *ret_n)
{
        const Message *m = (const void *)r->msg;

        *ret_n = m->n_option;
        return m->option;
}

static void give(struct kt *t, const char *option)
{
        Message *m = KIND_NEW(Message, gantry__mnt_proc__init);

        m->option = one_option(option);
        m->n_option = 1;
        kt_give(t, 1, &kind_mnt_proc, &m->base);
}

Test(mnt_proc, options)
{
        struct mountinfo named = row;

        mount_options(&kind_mnt_proc, &row, "rw", "", options_of);
        mount_options(&kind_mnt_proc, &row, "ro,hidepid=invisible,gid=7,subset=pid", "ro;hidepid=invisible;gid=7;subset=pid", options_of);
        named.source = (char[]){"none"};
        mount_options(&kind_mnt_proc, &named, "rw", "source=none", options_of);
}

Test(mnt_proc, golden)
{
        struct kt *t = kt_new();

        give(t, "hidepid=2");
        kt_golden(t, PH_MOUNTS, "tape of task 1000, 6 calls\n"
                                "# make a proc (mnt-proc 1)\n"
                                "0 fsopen(\"proc\", 1)\n"
                                "1 fsconfig(r0, 1, \"source\", \"proc\", 0)\n"
                                "2 fsconfig(r0, 1, \"hidepid\", \"2\", 0)\n"
                                "3 fsconfig(r0, 6, 0, 0, 0)\n"
                                "4 fsmount(r0, 1, 0) keep 1\n"
                                "5 close(r0)\n");
        kt_free(t);
}

Test(mnt_proc, played)
{
        enter_namespaces(0);
        struct kt *t = kt_new();

        mount_play(t, mount_add(t, &kind_mnt_proc, &row, ""), PROC_SUPER_MAGIC);
        kt_free(t);
}

Test(mnt_proc, hostile)
{
        mount_hostile(&kind_mnt_proc, give);
        static const char *const bad[] = {"hidepid=", "hidepid=A", "gid=-1", "gid=4294967295", "gid", "subset=pid,x"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
}
