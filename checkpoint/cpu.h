/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU features that programs can see and use: in the header of every image, and in the check before a move. */
#pragma once

#include <stddef.h>
#include "base/err.h"

#define CPU_MAX 256

/* Out of a line of /proc/cpuinfo; borrowed pointers into text, cut in place. */
size_t cpu_features(char *text, const char *ret[], size_t max);
/* The text of /proc/cpuinfo's first `flags` line; caller frees. */
int cpu_flags_read(char **ret, struct err *err);
/* The first needed one that is not there, or NULL. */
const char *cpu_lacks(const char *const have[], size_t n_have, char *const need[], size_t n_need);
/* EX_UNSUPPORTED: this machine's CPU lacks one, which is named. */
int cpu_check(char *const need[], size_t n, struct err *err);
