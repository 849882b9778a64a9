/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over a cgroup and its descendants with one descriptor at a time: a container makes its own cgroups, as deep
 * as it likes. For the cgroup files of base/ only.
 */
#pragma once

#include "base/err.h"

struct cgroup_walk_ops {
        int (*enter)(void *ctx, int dirfd, struct err *err);                       /* before the children; may be NULL */
        int (*leave)(void *ctx, int parentfd, const char *name, struct err *err);  /* after them; not for the top */
        void *ctx;
};
/* Takes no ownership of fd. Stops at the first negative return and forwards it. */
int cgroup_walk(int fd, const struct cgroup_walk_ops *ops, struct err *err);
