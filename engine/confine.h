/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container's processes may do: the bounding set, the outer seccomp filter, whose keys they reach. */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* The capability bounding set of every container. */
uint64_t confine_caps(void);

/* A new, empty session keyring for the calling thread, so that nothing inside reaches the keys of whoever typed the command. To be
 * called before the ids change: it counts against the quota of the node's root. */
int confine_keyring(struct err *err);

struct filter { struct sock_filter *insns; size_t n; };
/* The outer filter; the same bytes for the same libseccomp. Free with free(ret->insns). EX_KERNEL. */
int confine_filter(struct filter *ret, struct err *err);
/* What a start has loaded, kept beside the run state, so that a dump compares with that and an exec loads that. */
int filter_put(int dirfd, const char *name, const struct filter *f, struct err *err);
int filter_get(int dirfd, const char *name, struct filter *ret, struct err *err);
/* Into the calling thread; no_new_privs is left as it is (needs CAP_SYS_ADMIN in its user namespace). */
int filter_load(const struct filter *f, struct err *err);
