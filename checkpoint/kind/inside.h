/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files named by a path from the root of a mount namespace: is it the same file, then and now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "checkpoint/kind/kind.h"

/* Dump: 1 when `path` is, in the mount namespace of o's holder, the file of *st; 0 when it is another or none.
 * *ret_lasting: its inode number will be the same after a restore (not a tmpfs). Nothing is opened but the name. */
int inside_same(struct dump *d, const struct obj *o, const char *path, const struct stat *st, bool *ret_lasting,
                struct err *err);

/* Restore: a regular file with this size, and inode number and change time where given, in the mount namespace of the
 * object's owner. */
struct inside_file { const ProtobufCBinaryData *path; uint64_t size; bool has_ino; uint64_t ino; bool has_mtime; int64_t mtime; uint32_t mtime_ns; };
int inside_expect(struct restore *rs, const struct kind *k, const struct record *r, uint64_t object,
                  const struct inside_file *want, struct err *err);
