/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Binds: an ordinary one is the planner's to clone, one of the engine's is a name. */
#include "proto/mnt-bind.pb-c.h"
#include "tests/unit/mount-common.h"

static const struct mountinfo row = {.root = (char[]){"/srv"}, .target = (char[]){"/a"}, .options = (char[]){"rw"}, .type = (char[]){"ext4"},
                                     .source = (char[]){"/dev/loop0"}, .super_options = (char[]){"rw,whatever"}};

int restore_external(struct restore *rs, const char *name, uint64_t object, struct err *err)
{
        (void)rs;
        return strcmp(name, "bind:boot_id") == 0 && object == 1 ? 0 : err_set(err, EX_IMAGE, "no such thing", name, "%s", "");
}

static void give(struct kt *t, const char *external)
{
        Gantry__MntBind *m = KIND_NEW(Gantry__MntBind, gantry__mnt_bind__init);

        m->external = external ? strdup(external) : NULL;
        kt_give(t, 1, &kind_mnt_bind, &m->base);
}

Test(mnt_bind, ordinary)
{
        struct kt *t = kt_new();
        uint64_t id = mount_add(t, &kind_mnt_bind, &row, "");

        kt_dump(t);
        cr_assert_null(((const Gantry__MntBind *)(const void *)kt_record(t, id)->msg)->external);
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_golden(t, PH_MOUNTS, "");
        kt_free(t);
}

Test(mnt_bind, the_engines)
{
        struct kt *t = kt_new();
        uint64_t id = mount_add(t, &kind_mnt_bind, &row, "bind:boot_id");
        uint64_t entries = 0;

        kt_dump(t);
        cr_assert_str_eq(((const Gantry__MntBind *)(const void *)kt_record(t, id)->msg)->external, "bind:boot_id");
        cr_assert_eq(kt_try_restore(t, 0, &entries, NULL), 0);
        give(t, "bind:other");
        cr_assert_eq(kt_try_restore(t, 0, &entries, NULL), -EX_IMAGE, "the engine has given something that it has not");
        kt_free(t);
}

Test(mnt_bind, deleted_source)
{
        struct mountinfo gone = row;
        struct facts f = {.cls = CLS_MOUNT, .comm = "init", .mnt = {.m = &gone}};
        struct err err = {};

        gone.root = (char[]){"/x//deleted"};
        cr_assert_eq(kind_mnt_bind.refuse(&f, &err), -EX_UNSUPPORTED);
        cr_assert(strstr(err.why, "deleted"), "%s", err.why);
        gone.root = (char[]){"/x/deleted"};
        cr_assert_eq(kind_mnt_bind.refuse(&f, &err), 0);
}

/* A whole file system is no bind, unless the engine says so. */
Test(mnt_bind, claims)
{
        struct mountinfo whole = row;
        struct facts f = {.cls = CLS_MOUNT, .mnt = {.m = &whole}};

        whole.root = (char[]){"/"};
        whole.type = (char[]){"tmpfs"};
        cr_assert_eq(kind_mnt_bind.claim(&f), 0);
        snprintf(f.mnt.external, sizeof(f.mnt.external), "root");
        cr_assert_eq(kind_mnt_bind.claim(&f), 0);
}

Test(mnt_bind, hostile)
{
        static const char *const bad[] = {"", "root", "dev", "bind", "/etc", "xbind:boot_id",
                                          "bind:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
}
