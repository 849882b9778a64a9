/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Capability sets as 64-bit masks, through libcap; labels are base/label.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

#define CAPS_ALL ((UINT64_C(1) << 41) - 1)       /* up to CAP_CHECKPOINT_RESTORE, Linux 5.9 */
struct caps { uint64_t inheritable, permitted, effective, bounding, ambient; };
int caps_self(struct caps *ret, struct err *err);
bool caps_have(int cap);                          /* effective, ours */
int caps_by_name(const char *name, int *ret, struct err *err);   /* "cap_sys_admin" */
/* Drops the bounding set to `keep`, then permitted and effective to it, clears ambient and inheritable. Single thread. */
int caps_limit(uint64_t keep, struct err *err);
