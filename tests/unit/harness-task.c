/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kinds of tasks and memory ask for beyond harness.c, where a test has no stronger definition of its own. */
#include "tests/unit/harness-int.h"

__attribute__((weak)) void restart_plan(struct cpu_state *s, bool so_rcvtimeo, uint64_t slept_ns, struct restart *ret)
{
        (void)s, (void)so_rcvtimeo, (void)slept_ns, (void)ret;
}
