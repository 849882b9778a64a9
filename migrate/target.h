/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side, as the worker of `ctrmigrate --serve` runs it; target.c draws the states. */
#pragma once

#include "base/err.h"
#include "engine/ct.h"
#include "migrate/hello.h"
#include "migrate/wire.h"

/* One connection, after the hello: a check, a migration, or a question. When the container now runs here, *ret_ground is what
 * the caller must become the monitor of (ground_monitor), with *ret_ct still open; else both NULL. */
int target_run(struct node *n, struct wire *w, const struct hello *peer, struct ct **ret_ct, struct ground **ret_ground,
               struct err *err);
