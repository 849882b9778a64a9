/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CHECK of the cgroups of an image: directories that hang together, below one payload, and members that are where a restore can
 * put them. The planner's tapes need a kernel: tests/system/engine-cgroup.sh.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/cgtree.h"
#include "checkpoint/kind/cgdir.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/restore-int.h"
#include "proto/cg-dir.pb-c.h"

#define N 6

struct image_of {
        struct restore rs;
        struct record rec[N];
        size_t by_id[N];
        Gantry__CgDir dir[N];
        struct restore_task task[2];
        struct restore_thread thread[2][2];
        struct restore_dead dead[1];
};

/* ns-cgroup, and directories 1 (the payload), 2 in it, 3 in that, 4 in the payload; ids are places in the image. */
static void make(struct image_of *m)
{
        static const uint64_t parent[N] = {0, 0, 1, 2, 1, 0};

        *m = (struct image_of){.rs = {.rec = m->rec, .n_rec = 5, .by_id = m->by_id, .task = m->task, .n_task = 2, .dead = m->dead, .n_dead = 1}};
        m->rec[0] = (struct record){.kind = KIND_NS_CGROUP, .id = 100};
        m->by_id[4] = 0;
        for (size_t i = 1; i < N; i++) {
                m->dir[i] = (Gantry__CgDir)GANTRY__CG_DIR__INIT;
                m->dir[i].has_parent = m->dir[i].has_name = parent[i] != 0;
                m->dir[i].parent = parent[i];
                m->dir[i].name = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t)"d"};
                m->rec[i] = (struct record){.kind = KIND_CG_DIR, .id = i, .msg = &m->dir[i].base};
                m->by_id[i - 1] = i;
        }
        m->by_id[4] = 0;
        for (size_t i = 0; i < 2; i++)
                m->task[i] = (struct restore_task){.thread = m->thread[i], .n_thread = 2};
}

#define CHECKED(m, want, says)                                                                               \
        do {                                                                                                 \
                struct err _e = {};                                                                          \
                cr_assert_eq(cgtree_check(&(m).rs, &_e), (want), "%s: %s: %s", says, _e.on, _e.why);          \
        } while (0)

Test(cgtree, good)
{
        static struct image_of m;

        make(&m);
        m.task[0].cgroup = 3;
        m.thread[0][1].cgroup = 4;
        CHECKED(m, 0, "good");
        cr_assert_eq(m.rs.cg_payload, 1);
        make(&m);
        m.rs.n_rec = 0;   /* a tree without cgroups of its own */
        CHECKED(m, 0, "none");
        cr_assert_eq(m.rs.cg_payload, 0);
}

Test(cgtree, directories)
{
        static struct image_of m;

        make(&m);
        m.dir[2].parent = 3;
        CHECKED(m, -EX_IMAGE, "one that stands behind it");
        make(&m);
        m.dir[2].parent = 2;
        CHECKED(m, -EX_IMAGE, "in itself");
        make(&m);
        m.dir[4].parent = 100;
        CHECKED(m, -EX_IMAGE, "in a record of another kind");
        make(&m);
        m.dir[4].parent = 77;
        CHECKED(m, -EX_IMAGE, "in nothing");
        make(&m);
        m.dir[3].has_name = m.dir[3].has_parent = 0;
        CHECKED(m, -EX_IMAGE, "two payloads");
        make(&m);
        m.rec[0].id = 1;   /* the payload's, and of a kind that is found first */
        m.by_id[0] = 0;
        for (size_t i = 1; i < 5; i++)
                m.by_id[i] = i;
        CHECKED(m, -EX_IMAGE, "another record has its id");
        make(&m);
        m.rec[0].kind = KIND_NS_UTS;
        CHECKED(m, -EX_IMAGE, "no cgroup namespace");
        make(&m);
        m.rs.n_rec = 1;
        m.by_id[0] = 0;
        CHECKED(m, -EX_IMAGE, "no payload");
}

Test(cgtree, members)
{
        static struct image_of m;

        make(&m);
        m.task[1].cgroup = 9;
        CHECKED(m, -EX_IMAGE, "in nothing");
        make(&m);
        m.task[1].cgroup = 100;
        CHECKED(m, -EX_IMAGE, "in a record of another kind");
        make(&m);
        m.task[1].cgroup = 1;
        CHECKED(m, -EX_IMAGE, "the payload has no number");
        make(&m);
        m.thread[1][1].cgroup = 9;
        CHECKED(m, -EX_IMAGE, "a thread in nothing");
        make(&m);
        m.dead[0].cgroup = 9;
        CHECKED(m, -EX_IMAGE, "a dead one in nothing");
}

/* One deeper than a path may be. */
Test(cgtree, deep)
{
        enum { DEEP = CG_DEPTH_MAX + 3 };
        static struct record rec[DEEP];
        static size_t by_id[DEEP];
        static Gantry__CgDir dir[DEEP];
        struct restore rs = {.rec = rec, .by_id = by_id, .n_rec = DEEP - 1};

        rec[0] = (struct record){.kind = KIND_NS_CGROUP, .id = 1000};
        for (size_t i = 1; i < DEEP; i++) {
                dir[i] = (Gantry__CgDir)GANTRY__CG_DIR__INIT;
                dir[i].has_parent = dir[i].has_name = i > 1;
                dir[i].parent = i - 1;
                dir[i].name = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t)"d"};
                rec[i] = (struct record){.kind = KIND_CG_DIR, .id = i, .msg = &dir[i].base};
                by_id[i - 1] = i;
        }
        by_id[DEEP - 2] = 0;
        cr_assert_eq(cgtree_check(&rs, NULL), 0);
        by_id[DEEP - 2] = DEEP - 1;
        by_id[DEEP - 1] = 0;
        rs.n_rec = DEEP;
        rs.cg_payload = 0;
        cr_assert_eq(cgtree_check(&rs, NULL), -EX_IMAGE);
}
