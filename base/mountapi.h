/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor-based mount interface (5.2+; idmapped mounts 5.12+). Every function returns a detached mount's
 * descriptor, which nobody else can reach, or <0. Dropping the descriptor drops the mount. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct mount_option { const char *key, *value; };   /* value NULL: a flag; the list ends with key NULL */
/* fsopen + fsconfig + fsmount. attr: MOUNT_ATTR_*. On failure the kernel's own log of the context goes into why. */
int mount_new(const char *type, const char *source, const struct mount_option *opts, unsigned attr, struct err *err);
int mount_clone(int dirfd, const char *path, bool recursive, struct err *err);     /* open_tree(CLONE) */
int mount_idmap(int mountfd, int userns_fd, struct err *err);
int mount_attach(int mountfd, int dirfd, const char *path, struct err *err);       /* move_mount */
int mount_propagation(const char *path, uint64_t propagation, bool recursive, struct err *err); /* MS_PRIVATE … */
/* Own mount namespace with everything private, so that nothing done here is seen outside. */
int mount_own_namespace(struct err *err);
