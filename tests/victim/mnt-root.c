/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk of a container is its root again, with what was written on it. Runs in a container (tests/victim/mount-table.h). */
#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing l;
        struct victim v;
        struct stat a, b;

        victim_begin(&v, argc, argv);
        must_write("/on-disk", "kept", 4);
        VICTIM_MUST(mkdir("/dir", 0751) == 0 && symlink("/on-disk", "/link") == 0 && chdir("/dir") == 0);
        VICTIM_MUST(stat("/on-disk", &a) == 0);
        listing_read(&l, "/");
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &l, "/");
        VICTIM_CHECK(&v, stat("/on-disk", &b) == 0 && a.st_ino == b.st_ino && a.st_mtim.tv_sec == b.st_mtim.tv_sec, "a file is another one");
        VICTIM_CHECK(&v, holds("/link", "kept", 4), "its content is lost");
        VICTIM_CHECK(&v, access("../dir", F_OK) == 0, "the working directory is elsewhere: %s", strerror(errno));
        must_write("here", "x", 1);
        VICTIM_CHECK(&v, holds("/dir/here", "x", 1), "the working directory is another file system");
        return victim_end(&v);
}
