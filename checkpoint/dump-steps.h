/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a dump beside the walk. Private to checkpoint/. */
#pragma once

#include "base/err.h"
#include "proto/record.h"

struct dump;
struct dump_obj;

/* tree-record.c: the tree planner's record */
int tree_record(struct dump *d, struct record *ret, struct err *err);
int tree_check(const struct dump *d, struct err *err);            /* the planner can rebuild it */

/* pages.c */
int dump_pages(struct dump *d, struct err *err);

/* dump-fd.c: what a kind is shown of a FILE or a MOUNT, -1 for all others; caller closes */
int dump_open(struct dump *d, struct dump_obj *x, int *ret, struct err *err);

/* dump-quiet.c */
int dump_settle(struct dump *d, struct err *err);
int dump_block(struct dump *d, struct err *err);                  /* the network */
int dump_quiesce(struct dump *d, struct err *err);                /* to QUIET */
int dump_cure(struct dump *d, struct err *err);                   /* of the kinds; goes on after a failure, tells the first */

/* dump-read.c */
int dump_records(struct dump *d, const struct record_sink *rs, struct err *err);

/* dump-end.c, with dump_stats() of session.h */
void dump_end_tasks(struct dump *d);                              /* which have been killed */
void dump_free(struct dump *d);
