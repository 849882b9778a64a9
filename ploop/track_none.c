/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The change tracker of a build without clang: there is none, and it says so.
 *
 * Chosen by meson instead of track.c. Since track_new never succeeds here, nobody can hold a tracker to call the other
 * functions with; they exist for the linker and answer the same.
 */
#include "ploop/ploop.h"

static int none(struct err *err)
{
        err_set(err, EX_KERNEL, "cannot track the image's changes", "this build has no BPF program: clang was missing", "%s",
                "change tracker");
        return err ? err_remedy(err, "install clang and build again, or let the image be compared by hash") : -EX_KERNEL;
}

int track_new(int loopfd, uint64_t size, struct track **ret, struct err *err)
{
        (void)loopfd;
        (void)size;
        (void)ret;
        return none(err);
}

int track_take(struct track *t, struct range **ret, size_t *ret_n, struct err *err)
{
        (void)t;
        (void)ret;
        (void)ret_n;
        return none(err);
}

int track_drain(struct track *t, struct err *err)
{
        (void)t;
        return none(err);
}

int track_check(struct track *t, struct err *err)
{
        (void)t;
        return none(err);
}

void track_free(struct track *t)
{
        (void)t;
}
