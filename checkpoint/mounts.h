/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount planner, both ways. Private to checkpoint/. */
#pragma once

#include <stdint.h>
#include <sys/mount.h>
#include "base/err.h"
#include "proto/record.h"

struct dump;
struct dump_obj;
struct restore;

/* What a record may say of a mount (Gantry__Mounts__Node.attr). */
#define ATTR_KNOWN                                                                                           \
        ((uint64_t)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME |       \
                    MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW))

/* beneath.c: *ret: like `root`, but of a mount with nothing on it. 1: there is none to be had. */
int mount_beneath(const struct dump *d, int root, int *ret, struct err *err);

/* mounts-record.c */
int mounts_records(struct dump *d, const struct record_sink *rs, struct err *err);
int mount_root_open(struct dump *d, const struct dump_obj *x, struct err *err);   /* -1 with err untouched: nothing to read */

/* restore-mounts.c */
int mounts_check(struct restore *rs, struct err *err);
int mounts_restore(struct restore *rs, struct err *err);
