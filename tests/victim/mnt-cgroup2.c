/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cgroup2: the container sees its own cgroup as the root, and itself in it. Runs in a container (tests/victim/mount-table.h). */
#include "tests/victim/mount-table.h"

/* Somebody who looks after us from outside may be in it too. */
static bool first_in(const char *path)
{
        char line[16] = "";
        FILE *f = fopen(path, "re");
        bool is = f && fgets(line, sizeof(line), f) && strcmp(line, "1\n") == 0;

        if (f)
                fclose(f);
        return is;
}

int main(int argc, char **argv)
{
        static struct table t;
        struct victim v;
        struct statfs fs;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/g", 0755) == 0 && mount("cgroup2", "/g", "cgroup2", MS_NOEXEC | MS_NOSUID | MS_NODEV, NULL) == 0);
        VICTIM_MUST(first_in("/g/cgroup.procs"));
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        VICTIM_CHECK(&v, statfs("/g", &fs) == 0 && fs.f_type == 0x63677270, "it is no cgroup2");
        VICTIM_CHECK(&v, first_in("/g/cgroup.procs"), "we are not in the root of what we see");
        VICTIM_CHECK(&v, access("/g/../cgroup.procs", F_OK) < 0, "there is more above it");
        return victim_end(&v);
}
