/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl destroy: a stopped container's directory, configuration and image. There is no way back.
 *
 * What is running, or frozen because another node may own it, is refused; engine/ decides that, not this file.
 */
#include "tools/ctrctl.h"

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);

        return r < 0 ? r : ct_destroy(o.ct, err);
}

const struct verb verb_destroy = {
        .name = "destroy",
        .operands = "CT",
        .help = "remove a stopped container with its image",
        .min = 1,
        .max = 1,
        .run = run,
};
