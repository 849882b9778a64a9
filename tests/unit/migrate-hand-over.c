/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-over, with either side dying before every step it takes: afterwards, and after --resolve on both, exactly one
 * node owns the container, it runs there, and nothing is left on the other. The sweep ends with a run in which nobody
 * died, so no step is left out; how many there were is printed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/migrate-world.h"

static void settle_target(void)
{
        /* The target's process is not ours: with us as subreaper it becomes so, and its end can be waited for. */
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
}

static void expect_clean(const char *when, unsigned k)
{
        const struct side *s = &world->at[0], *t = &world->at[1];
        bool here = s->tasks == TASKS_RUNNING && s->dir == DIR_NAMED;
        bool there = t->tasks == TASKS_RUNNING && t->dir == DIR_NAMED;

        cr_expect_not(world->killed_unowned, "%s %u: %s", when, k, world->why);
        cr_expect_neq(here, there, "%s %u: exactly one runs (source %d/%d, target %d/%d)", when, k, s->tasks, s->dir, t->tasks,
                      t->dir);
        cr_expect_not(s->port_off || t->port_off, "%s %u: a port stays off", when, k);
        if (here) {
                cr_expect_eq(s->journal.owner, OWNER_HERE, "%s %u: source's journal %d", when, k, s->journal.owner);
                cr_expect_not(s->journal.frozen, "%s %u", when, k);
                cr_expect_eq(t->dir, DIR_NONE, "%s %u: target's directory %d", when, k, t->dir);
                cr_expect_eq(t->tasks, TASKS_NONE, "%s %u: target's tasks", when, k);
        }
        if (there) {
                cr_expect_eq(s->tasks, TASKS_NONE, "%s %u: source's tasks", when, k);
                cr_expect_neq(s->dir, DIR_NAMED, "%s %u: source's directory", when, k);
                cr_expect(t->journal.owner == OWNER_HERE || t->journal.owner == OWNER_CLAIMED, "%s %u: target's journal %d",
                          when, k, t->journal.owner);
        }
}

static void sweep(int side, const char *name)
{
        unsigned k = 1;

        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        for (;; k++) {
                world_reset(side, k);
                world_image();
                int r = world_migrate();
                settle_target();
                world_guards();
                bool died = world->died;
                world->die_step = 0;
                if (!died) {
                        cr_expect_eq(r, 0, "nobody died: %d", r);
                        expect_clean("nobody died", k);
                        break;
                }
                cr_expect(r != 0 || side == 1, "%s died before step %u", name, k);
                /* The source first: it asks, and the answer is what the target then lives by. */
                int a = world_resolve(0), b = world_resolve(1);
                settle_target();
                cr_expect(a == 0 || a == EX_UNKNOWN, "%s %u: resolve there says %d", name, k, a);
                cr_expect(b == 0 || b == EX_UNKNOWN, "%s %u: resolve here says %d", name, k, b);
                expect_clean(name, k);
        }
        printf("%s: died before each of %u steps\n", name, k - 1);
        cr_expect_gt(k, 8, "the sweep met too few steps");
        world_free();
}

Test(hand_over, the_source_dies_before_each_of_its_steps, .timeout = 60)
{
        sweep(0, "source");
}

Test(hand_over, the_target_dies_before_each_of_its_steps, .timeout = 60)
{
        sweep(1, "target");
}

/* The administrator of the target resolves first: what it decides, the source must be told later. */
Test(hand_over, the_target_is_resolved_first, .timeout = 60)
{
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        for (unsigned k = 1;; k++) {
                world_reset(0, k);
                world_image();
                (void)world_migrate();
                settle_target();
                world_guards();
                if (!world->died)
                        break;
                world->die_step = 0;
                (void)world_resolve(1);
                (void)world_resolve(0);
                settle_target();
                expect_clean("target first", k);
        }
        world_free();
}
