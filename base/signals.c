/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signals that would end a command in the middle (base/signals.h).
 *
 * They are blocked and looked at with sigpending() where the work can be undone; a pending one belongs to the process, so any of its
 * threads sees it. Children of base/spawn.c do not inherit the mask: a Ctrl-C on the terminal ends them, and their failure is then the
 * interruption's.
 */
#include "base/signals.h"

#include <errno.h>
#include <time.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
#define N_ENDING (sizeof(ending) / sizeof(ending[0]))

static void set_of(sigset_t *ret)
{
        sigemptyset(ret);
        for (size_t i = 0; i < N_ENDING; i++)
                sigaddset(ret, ending[i]);
}

int signals_hold(sigset_t *ret_before, struct err *err)
{
        sigset_t set;

        set_of(&set);
        return sigprocmask(SIG_BLOCK, &set, ret_before) < 0 ? err_sys(err, EX_FAIL, errno, "cannot hold signals back", "%s", "") : 0;
}

int signals_check(const char *what, const char *on, struct err *err)
{
        sigset_t pending;

        if (sigpending(&pending) < 0)
                return 0;
        for (size_t i = 0; i < N_ENDING; i++)
                if (sigismember(&pending, ending[i]) == 1)
                        return err_set(err, EX_INTERRUPTED, what, "the command was interrupted", "%s", on);
        return 0;
}

void signals_release(const sigset_t *before, int r)
{
        const struct timespec none = {};
        sigset_t set;

        set_of(&set);
        while (sigtimedwait(&set, NULL, &none) > 0)
                ;
        if (r < 0)
                (void)sigprocmask(SIG_SETMASK, before, NULL);
}
