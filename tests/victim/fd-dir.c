/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An open directory, read half-way: the rest has each of the other entries once. On a tmpfs that is refused (fd-dir-refused.c): from its start. */
#include <dirent.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "tests/victim/victim.h"

#define FILES 40

static unsigned count(DIR *d, unsigned seen[FILES], unsigned max)
{
        unsigned n = 0, x;

        for (struct dirent *e; n < max && (e = readdir(d));)
                if (sscanf(e->d_name, "entry-%u", &x) == 1 && x < FILES) {
                        seen[x]++;
                        n++;
                }
        return n;
}

int main(int argc, char **argv)
{
        struct victim v;
        unsigned seen[FILES] = {};
        char path[512];

        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < FILES; i++) {
                snprintf(path, sizeof(path), "%s/entry-%u", v.dir, i);
                int fd = open(path, O_WRONLY | O_CREAT, 0600);
                VICTIM_MUST(fd >= 0 && close(fd) == 0);
        }
        DIR *d = opendir(v.dir), *e = opendir("/");
        VICTIM_MUST(d && e);
        struct statfs sf;
        VICTIM_MUST(statfs(v.dir, &sf) == 0);
        VICTIM_MUST(sf.f_type == TMPFS_MAGIC || count(d, seen, 10) == 10);

        victim_wait(&v);

        count(d, seen, FILES);
        for (unsigned i = 0; i < FILES; i++)
                VICTIM_CHECK(&v, seen[i] == 1, "entry %u came %u times", i, seen[i]);
        VICTIM_CHECK(&v, faccessat(dirfd(e), "proc", F_OK, 0) == 0, "the root directory is another one");
        return victim_end(&v);
}
