/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk of a container: a name, which only the engine can turn into a mount. */
#include "proto/mnt-root.pb-c.h"
#include "tests/unit/mount-common.h"

typedef Gantry__MntRoot Message;

static const struct mountinfo row = {.root = (char[]){"/"}, .target = (char[]){"/"}, .options = (char[]){"rw"}, .type = (char[]){"ext4"},
                                     .source = (char[]){"ext4"}, .super_options = (char[]){"rw,whatever"}};

/* The engine of this test has one thing to give. */
int restore_external(struct restore *rs, const char *name, uint64_t object, struct err *err)
{
        (void)rs;
        if (strcmp(name, "root") != 0 || object != 1)
                return err_set(err, EX_IMAGE, "no such thing", name, "%s", "");
        return 0;
}

static void give(struct kt *t, const char *external)
{
        Message *m = KIND_NEW(Message, gantry__mnt_root__init);

        m->external = strdup(external);
        kt_give(t, 1, &kind_mnt_root, &m->base);
}

Test(mnt_root, a_name)
{
        struct kt *t = kt_new();
        uint64_t id = mount_add(t, &kind_mnt_root, &row, "root");

        kt_dump(t);
        cr_assert_str_eq(((const Message *)(const void *)kt_record(t, id)->msg)->external, "root");
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_golden(t, PH_MOUNTS, "");
        kt_free(t);
}

/* What is not the engine's own is another kind's. */
Test(mnt_root, claims)
{
        struct facts f = {.cls = CLS_MOUNT, .mnt = {.m = &row}};

        cr_assert_eq(kind_mnt_root.claim(&f), 0);
        snprintf(f.mnt.external, sizeof(f.mnt.external), "bind:root");
        cr_assert_eq(kind_mnt_root.claim(&f), 0);
}

/* The engine has nothing more: the restore ends. */
Test(mnt_root, the_engine_has_none)
{
        struct kt *t = kt_new();
        struct err err = {};
        uint64_t entries = 0;

        give(t, "root");
        kt_give(t, 2, &kind_mnt_root, protobuf_c_message_unpack(&gantry__mnt_root__descriptor, NULL, 6, (const uint8_t *)"\n\004root"));
        cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_IMAGE);
        kt_free(t);
}

Test(mnt_root, hostile)
{
        static const char *const bad[] = {"", "dev", "rootx", "root/", "bind:root", "/root"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                give(t, bad[i]);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", bad[i]);
                kt_free(t);
        }
}
