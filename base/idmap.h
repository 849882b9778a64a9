/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user namespace's id map, one range for users and groups alike: inside 0… is outside base…, count ids. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct idmap { uint32_t base, count; };

bool idmap_inside(const struct idmap *m, uint32_t outside, uint32_t *ret);   /* NULL map: identity */
bool idmap_outside(const struct idmap *m, uint32_t inside, uint32_t *ret);
int idmap_write(const struct idmap *m, pid_t pid, struct err *err);           /* uid_map and gid_map of a new userns */
/* A user namespace with this map and nothing in it, for mount_setattr(MOUNT_ATTR_IDMAP) (5.12+): nsfs descriptor. */
int idmap_userns(const struct idmap *m, struct err *err);
