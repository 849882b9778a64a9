/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Child processes without a shell: argv is executed as it stands (absolute path, or looked up in a fixed
 * PATH), with descriptors 0–2 and nothing else open, default signals, and an own process group where asked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct spawn {
        const char *const *argv;
        const char *const *env;   /* NULL: PATH, HOME, LANG=C.UTF-8 only, with SSH_AUTH_SOCK if we have it */
        int in, out, errfd;       /* borrowed descriptors; -1: /dev/null */
        bool setsid;
};
int spawn_start(const struct spawn *s, int *ret_pidfd, struct err *err);
/* Runs to the end; *ret_status is the exit code or 128 + signal. Returns 0 whatever the status; if it is not 0, err is
 * filled all the same (EX_FAIL), with the last line of standard error, of which 4 KiB are kept, as the reason. */
int spawn_run(const char *const *argv, int *ret_status, struct err *err);
/* The same and a non-zero status is an error of code `code` with the program's last line of stderr as the reason. */
int spawn_check(int code, const char *const *argv, struct err *err);
/* The same with a descriptor of ours as its standard input, which it holds also after we have died: a lock on it lasts. */
int spawn_check_in(int code, const char *const *argv, int in, struct err *err);
/* Standard output of a program, at most 1 MiB, NUL-terminated; caller frees. */
int spawn_output(const char *const *argv, char **ret, struct err *err);
