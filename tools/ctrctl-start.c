/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl start and stop.
 *
 * A stop waits 120 seconds for the container's own shutdown unless told otherwise, as administrators are used to.
 */
#include "tools/ctrctl.h"

#include "base/parse.h"

#define STOP_SECONDS 120

static int run_start(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);

        return r < 0 ? r : ct_start(o.ct, err);
}

const struct verb verb_start = {
        .name = "start",
        .operands = "CT",
        .help = "start a container; returns when its first program runs",
        .min = 1,
        .max = 1,
        .run = run_start,
};

static int run_stop(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        uint64_t seconds = STOP_SECONDS;

        if (arg(a, "timeout") && parse_u64(arg(a, "timeout"), 0, 86400, &seconds, err) < 0)
                return err_wrap(err, "cannot use the option", "--timeout %s", arg(a, "timeout"));
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);
        return r < 0 ? r : ct_stop(o.ct, (unsigned)seconds, err);
}

const struct verb verb_stop = {
        .name = "stop",
        .operands = "CT",
        .help = "stop a container: its own shutdown, then SIGKILL",
        .options = {{"timeout", "SECONDS", "for its own shutdown, 120 unless given; 0: kill at once"}},
        .min = 1,
        .max = 1,
        .run = run_stop,
};
