/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loop devices, as the parts of ploop share them. */
#pragma once

#include <stddef.h>
#include "base/err.h"

/* Is the image attached to any loop device? 1: yes, and its path is in ret; 0: no. */
int loop_find(int imagefd, char *ret, size_t size, struct err *err);
/* "/dev/loopN" and N of an open loop device; EX_DISK when it is none. */
int loop_name(int loopfd, char *ret, size_t size, unsigned *ret_minor, struct err *err);
