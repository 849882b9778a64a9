/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between our terminal and a pty's master, until a process ends. */
#pragma once

#include "base/err.h"

/* Waits for our child; master >= 0: our descriptors 0 and 1 are a terminal, raw meanwhile. *ret_status as pidfd_wait. EX_INTERRUPTED:
 * SIGTERM came meanwhile, and the process is there still. */
int relay_run(int pidfd, int master, int *ret_status, struct err *err);
