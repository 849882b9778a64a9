/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of a tmpfs that is being read, beside one that is open only: refused, and read on from where it was. */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        char path[512], name[600];
        unsigned names = 0;

        victim_begin(&v, argc, argv);
        snprintf(path, sizeof(path), "%s/tmpfs", v.dir);
        VICTIM_MUST(mkdir(path, 0700) == 0 && mount("fd-dir", path, "tmpfs", 0, NULL) == 0);
        for (unsigned i = 0; i < 4000; i++) {
                snprintf(name, sizeof(name), "%s/a-file-of-many-%u", path, i);
                int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                VICTIM_MUST(fd >= 0 && close(fd) == 0);
        }
        DIR *dir = opendir(path);
        VICTIM_MUST(dir && readdir(dir) && open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);

        victim_wait(&v);

        for (names = 1; readdir(dir); names++)
                ;
        VICTIM_CHECK(&v, names == 4002, "it had %u names", names);
        VICTIM_MUST(closedir(dir) == 0);
        (void)umount2(path, MNT_DETACH);
        return victim_end(&v);
}
