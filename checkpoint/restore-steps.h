/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a restore, beside the planners of cgroups and mounts. Private to checkpoint/. */
#pragma once

#include "base/err.h"
#include "checkpoint/tree.h"

struct restore;

/* restore-check.c: CHECK, to CHECKED */
int restore_check(struct restore *rs, struct err *err);

/* restore-tree.c */
int restore_read_tree(struct restore *rs, struct err *err);
int restore_tree(struct restore *rs, struct err *err);
int restore_threads_make(struct restore *rs, struct err *err);
#define SIGNAL_MAX 64u
/* restore-halted.c: what of the tree does not run */
int restore_read_halted(struct restore *rs, struct plan_task *dead, struct err *err);   /* after the tasks */
int restore_halt(struct restore *rs, struct err *err);

/* hand.c: PH_HAND */
int hand_tables(struct restore *rs, struct err *err);

/* space.c: PH_SPACE prelude, page filling */
int space_choose_agent(struct restore *rs, struct err *err);
int space_clear(struct restore *rs, struct err *err);
int fill_pages(struct restore *rs, struct err *err);

/* complete.c */
int complete_check(const struct restore *rs, struct err *err);                /* after restore_read_tree() */

/* restore-end.c, with restore_free() of session.h */
void restore_kill(struct restore *rs);                                        /* the tree, which is reaped */
