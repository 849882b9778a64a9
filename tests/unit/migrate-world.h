/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two nodes that do not exist: what the engine and the session would do is noted in memory that survives the processes which
 * do it, so that either may die before any step. migrate/ is the real one; it cannot tell.
 */
#pragma once

#include <stdbool.h>
#include "engine/ct.h"

enum tasks { TASKS_NONE, TASKS_RUNNING, TASKS_FROZEN, TASKS_PARKED };
enum dir { DIR_NONE, DIR_INCOMING, DIR_NAMED, DIR_MOVED };

struct side {
        enum tasks tasks;
        enum dir dir;
        struct journal journal;
        bool guard;              /* a session's guard stands: it acts when the process that froze has died */
        bool port_off;
        unsigned steps;          /* taken so far by this side's process */
};
struct world {
        struct side at[2];       /* 0 source, 1 target */
        int die_side;            /* who dies … */
        unsigned die_step;       /* … before this step of its; 0: nobody */
        bool died;
        bool killed_unowned;     /* an invariant was broken: the text is in `why` */
        char why[128];
        int target_pid;
};
extern struct world *world;
void world_reset(int die_side, unsigned die_step);
void world_free(void);
void world_image(void);          /* a small ext4 image for the source */
/* Runs `migrate_run` or `migrate_resolve` in a process of its own; its exit code, 137 when it died by order. */
int world_migrate(void);
int world_resolve(int side);
void world_guards(void);         /* those whose process has died do their work */
