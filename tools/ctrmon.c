/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrmon: the monitor of one container. Not for people: a container's worker becomes it by exec, or a command that
 * finds a container without one starts it.
 *
 *      ctrmon NAME [PIDFD CONSOLE LOCK]
 *
 * It may be killed at any time (engine/monitor.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/parse.h"
#include "base/str.h"
#include "engine/monitor.h"
#include "tools/common.h"

static int take_fd(const char *text, int *ret, struct err *err)
{
        uint64_t v = 0;

        if (str_eq(text, "-1")) {
                *ret = -1;
                return 0;
        }
        int r = parse_u64(text, 3, 65535, &v, err);
        *ret = (int)v;
        return r < 0 ? r : fd_cloexec(*ret, true, err);
}

static int run(int argc, char **argv, struct err *err)
{
        struct monitor_fds fds = {-1, -1, -1};
        struct node *n = NULL;
        int r = 0;

        if (argc != 2 && argc != 5)
                return usage_error(err, "it is started by ctrctl, not by hand", "ctrmon");
        if (argc == 5) {
                r = take_fd(argv[2], &fds.pidfd, err);
                if (r == 0)
                        r = take_fd(argv[3], &fds.console, err);
                if (r == 0)
                        r = take_fd(argv[4], &fds.lock, err);
        }
        if (r == 0)
                r = node_open(NULL, &n, err);
        if (r == 0)
                r = monitor_run(n, argv[1], &fds, err);
        node_free(n);
        return r;
}

int main(int argc, char **argv)
{
        struct err err = {};

        if (argc == 2 && str_eq(argv[1], "--version")) {
                printf("ctrmon (Gantry) %s\n", GANTRY_VERSION);
                return EX_OK;
        }
        if (argc == 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h"))) {
                printf("ctrmon NAME\n        the monitor of a running container; started by ctrctl and ctrmigrate\n");
                return EX_OK;
        }
        if (run(argc, argv, &err) < 0) {
                report("ctrmon", &err);
                return err.code;
        }
        return EX_OK;
}
