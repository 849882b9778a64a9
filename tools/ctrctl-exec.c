/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl exec: a program inside a container.
 *
 * The exit status is the program's own (128 + signal when one ended it), as scripts expect; a failure before the program
 * runs is one of the exit table's codes, with a message.
 */
#include "tools/ctrctl.h"

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        int status = 0;
        int r = ctrctl_open(a->operand[0], CT_LOCK_SHARED, &o, err);

        if (r == 0)
                r = ct_exec(o.ct, (const char *const *)a->operand + 1, &status, err);
        return r < 0 ? r : status;
}

const struct verb verb_exec = {
        .name = "exec",
        .operands = "CT -- COMMAND…",
        .help = "run a program as root inside a running container",
        .more = "The exit status is the program's. On a terminal it gets a terminal of the container's own.\n",
        .min = 2,
        .max = (size_t)-1,
        .command = true,
        .run = run,
};
