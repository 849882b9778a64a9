/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ends of sleeps in a build without clang: unknown.
 *
 * Chosen by meson instead of sleepers.c. Every call then starts again with the time that its arguments tell.
 */
#include "checkpoint/tape/sleepers.h"

int sleepers_open(struct sleepers **ret, struct err *err)
{
        (void)ret;
        (void)err;
        return 1;
}

void sleepers_close(struct sleepers *s)
{
        (void)s;
}

int sleepers_read(struct sleepers *s, struct tracee *const t[], size_t n, struct err *err)
{
        (void)s;
        (void)t;
        (void)n;
        (void)err;
        return 0;
}

int sleepers_bits(struct sleepers *s, pid_t tid, struct sleeper_bits *ret)
{
        (void)s;
        (void)tid;
        (void)ret;
        return 1;
}

int sleepers_steered(struct sleepers *s, pid_t pid, int fd, bool *ret)
{
        (void)s;
        (void)pid;
        (void)fd;
        (void)ret;
        return 1;
}
