/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process tree looks like from outside, as text: two looks at the same tree, before and after, must be equal.
 * Read from /proc alone, by code of its own: the engine's parsers are what is under test.
 */
#pragma once

#include <stddef.h>

/* The tasks of a v2 cgroup, by their numbers inside. NULL: it could not be read (errno). Caller frees. */
char *look(int cgroup_fd);
/* The first line in which two looks differ: 1 and "- before / + after" in ret; 0: none. */
int look_differs(const char *before, const char *after, char *ret, size_t size);
