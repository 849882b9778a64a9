/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount tree of a container, as it sees it: every mount point with its type, root and flags. */
#include "tests/victim/mounts.h"

int main(int argc, char **argv)
{
        static struct mount_list before, after;
        struct victim v;

        victim_begin(&v, argc, argv);
        mounts_read(&before);
        VICTIM_MUST(before.n >= 10);

        victim_wait(&v);

        mounts_read(&after);
        mounts_compare(&v, &before, &after);
        return victim_end(&v);
}
