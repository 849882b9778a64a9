/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree planner: a pure function from a tree record to waves of operations. In each wave all operations are independent; a
 * wave's clones exist before the next wave plays. What cannot be made is refused by name before anything is done.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* A task as the planner needs it; index 0 is init, parents come before their children. */
struct plan_task { uint32_t pid, pgid, sid; size_t parent; int exit_signal; };

enum tree_op_type {
        TREE_CLONE,        /* actor makes `task` (or the temporary `pid`), with CLONE_PARENT if `sibling` */
        TREE_SETSID,
        TREE_SETPGID,      /* to `pid` */
        TREE_EXIT,         /* a temporary ends */
        TREE_WAIT          /* actor waits for the temporary `pid` */
};
#define TREE_TEMP ((size_t)1 << 32)   /* actor or task index ≥ this: the temporary with that pid */
/* exit_signal: of TREE_CLONE; a sibling has its maker's, and none is planned that should have another. */
struct tree_op { enum tree_op_type type; size_t actor, task; uint32_t pid; uint8_t sibling; int exit_signal; unsigned wave; };
struct tree_plan { struct tree_op *op; size_t n, cap; unsigned waves; };

int tree_plan(const struct plan_task *t, size_t n, struct tree_plan *ret, struct err *err);
void tree_plan_done(struct tree_plan *p);
