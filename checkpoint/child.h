/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Children that a tape's clone3 has made, looked for from outside. Private to checkpoint/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Our number of the child of thread `parent` that is `vpid` in the innermost pid namespace; -1: there is none. */
pid_t child_by_number(pid_t parent, uint32_t vpid);
/* A child of it that we trace and that skip() does not know: what a failed tape has left. *ret_vpid: as above. */
pid_t child_traced(pid_t parent, bool (*skip)(const void *ctx, pid_t pid), const void *ctx, uint32_t *ret_vpid);
