/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The planner of cgroups. Private to checkpoint/. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct restore;
struct restore_task;

/* cgtree.c, in the order of its calls */
int cgtree_check(struct restore *rs, struct err *err);
int cgtree_mount(struct restore *rs, struct err *err);                       /* before GROUND is planned */
int cgtree_enter(struct restore *rs, struct err *err);                       /* before MOUNTS */
int cgtree_open(struct restore *rs, struct err *err);                        /* before TREE */
int cgtree_number(const struct restore *rs, uint64_t id);                    /* -1: all are born where they belong */
int cgtree_threads(struct restore *rs, struct err *err);                     /* before THREADS */
int cgtree_freeze(struct restore *rs, struct err *err);                       /* when all are parked */
/* The object of the directory that a further thread is cloned into; 0: that of its process. */
uint64_t cgtree_thread(const struct restore *rs, const struct restore_task *t, size_t k);
