/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a container for a command, and putting right what a killed one left of it.
 *
 * Nothing of a container is a process of ours that must live: so every command, when it opens one with the lock, first
 * looks whether the run directory tells of something that is no longer there (state or ground mark without a living
 * init) and removes it, or finds a running container whose monitor died and starts another. A command that only looks
 * does the same if it can have the lock at once; if not, whoever holds it is at work.
 */
#include <poll.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "engine/ct-int.h"

#define ENDING_MS 3000

int ct_tidy(struct ct *ct, struct err *err)
{
        struct err scratch;
        struct err *e = err ? err : &scratch;
        _cleanup_close_ int pidfd = -1;

        if (!ct_has_traces(ct))
                return 0;
        int r = state_pidfd(ct, &pidfd, e);
        if (r == 1)
                return ct_cleanup(ct, e);
        if (r == 0)
                r = ct_cure(ct, e);
        /* It may be ending under our eyes: its /proc files go a moment before the pidfd tells. */
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        if (r < 0 && pidfd >= 0 && poll(&p, 1, ENDING_MS) > 0)
                return ct_cleanup(ct, e);
        return r < 0 ? r : monitor_spawn(ct, e);
}

/* Something is there to be tidied, and nobody is at work on it. */
static void tidy_if_free(struct ct *ct)
{
        int fd = -1;
        enum ct_lock mode = ct->mode;

        if (!ct_has_traces(ct) || mode != CT_LOCK_NONE)
                return;
        fd = lock_file(ct->run, "lock", CT_LOCK_EXCLUSIVE, 0, ct->name, NULL);
        if (fd < 0)
                return;
        ct->mode = CT_LOCK_EXCLUSIVE;
        (void)ct_tidy(ct, NULL); /* a command that only looks has no use for the reason */
        ct->mode = mode;
        fd_close(fd);
}

int ct_open(struct node *n, const char *name, enum ct_lock lock, struct ct **ret, struct err *err)
{
        struct ct *ct;
        int r = ct_open_as(n, name, false, lock, &ct, err);

        if (r < 0)
                return r;
        if (lock == CT_LOCK_EXCLUSIVE)
                r = ct_tidy(ct, err);
        else
                tidy_if_free(ct);
        if (r < 0) {
                ct_close(ct);
                return r;
        }
        *ret = ct;
        return 0;
}
