/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Binds: of a directory and a file of the disk, of a part of a tmpfs, of a bind; read-only, shared, unbindable. Runs in a
 * container (tests/victim/mount-table.h).
 */
#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        struct victim v;
        struct stat a, b;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/from", 0755) == 0 && mkdir("/from/in", 0755) == 0 && mkdir("/a", 0755) == 0 && mkdir("/b", 0755) == 0 &&
                    mkdir("/c", 0755) == 0 && mkdir("/d", 0755) == 0 && mkdir("/run/part", 0755) == 0);
        must_write("/from/in/file", "disk", 4);
        must_write("/f", "", 0);
        must_write("/run/part/x", "tmpfs", 5);
        VICTIM_MUST(mount("/from", "/a", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount("/a/in", "/b", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount(NULL, "/b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOATIME, NULL) == 0);
        VICTIM_MUST(mount("/run/part", "/c", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount("/from/in/file", "/f", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount("/from", "/d", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount(NULL, "/a", NULL, MS_PRIVATE, NULL) == 0 && mount(NULL, "/a", NULL, MS_SHARED, NULL) == 0);
        VICTIM_MUST(mount(NULL, "/b", NULL, MS_PRIVATE, NULL) == 0 && mount(NULL, "/c", NULL, MS_PRIVATE, NULL) == 0 &&
                    mount(NULL, "/f", NULL, MS_PRIVATE, NULL) == 0 && mount(NULL, "/d", NULL, MS_UNBINDABLE, NULL) == 0);
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        VICTIM_CHECK(&v, stat("/from/in/file", &a) == 0 && stat("/b/file", &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev,
                     "the bind of a bind shows another file");
        VICTIM_CHECK(&v, stat("/f", &b) == 0 && a.st_ino == b.st_ino, "the bind of a file shows another one");
        must_write("/a/new", "new", 3);
        VICTIM_CHECK(&v, holds("/from/new", "new", 3), "what is written into a bind is not there");
        VICTIM_CHECK(&v, open("/b/w", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS, "a read-only bind is not");
        must_write("/run/part/y", "y", 1);
        VICTIM_CHECK(&v, holds("/c/x", "tmpfs", 5) && holds("/c/y", "y", 1), "the bind of a part of a tmpfs shows something else");
        return victim_end(&v);
}
