/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A path is (dirfd, relative). Inside a container's root every lookup is openat2 with RESOLVE_IN_ROOT (symlinks of
 * the container stay in it) or RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS (5.6+).
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

int path_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err);       /* fd or <0; CLOEXEC */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *err);
int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct err *err);
int path_mkdir_p(int dirfd, const char *path, mode_t mode, struct err *err);               /* existing is fine */
/* Removes a tree without following links or crossing mounts; missing is fine. */
int path_remove_tree(int dirfd, const char *path, struct err *err);
int path_exists(int dirfd, const char *path);                                             /* 1, 0 */

/* Whole small files. Reading adds a NUL; at most 1 MiB. */
int path_read(int dirfd, const char *path, char **ret, size_t *ret_len, struct err *err);
/* One write(2), as /proc and cgroup files want it; the file must exist. */
int path_write(int dirfd, const char *path, const char *text, struct err *err);
/* Durable and atomic: PATH.tmp, fsync, rename, fsync of the directory. */
int path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);
