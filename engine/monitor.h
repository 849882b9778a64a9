/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor's whole work, for tools/ctrmon.c. */
#pragma once

#include "engine/ct.h"

/* Descriptors that its maker handed over exec; all -1: found by the run state. Taken over. */
struct monitor_fds { int pidfd, console, lock; };
/* Returns when the container's init has ended and its traces are removed. */
int monitor_run(struct node *n, const char *name, const struct monitor_fds *fds, struct err *err);
