/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup namespace: a task sees its own cgroup as the root, before and after. In a container. */
#include "tests/victim/victim.h"

static void own(char *ret, size_t size)
{
        char line[256];
        FILE *f = fopen("/proc/self/cgroup", "re");

        VICTIM_MUST(f);
        ret[0] = '\0';
        while (fgets(line, sizeof(line), f))
                if (strncmp(line, "0::", 3) == 0)
                        snprintf(ret, size, "%s", line + 3);
        fclose(f);
        ret[strcspn(ret, "\n")] = '\0';
}

int main(int argc, char **argv)
{
        struct victim v;
        char path[256];

        victim_begin(&v, argc, argv);
        own(path, sizeof(path));
        VICTIM_MUST(strcmp(path, "/") == 0);

        victim_wait(&v);

        own(path, sizeof(path));
        VICTIM_CHECK(&v, strcmp(path, "/") == 0, "the cgroup is %s", path);
        VICTIM_CHECK(&v, access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0, "cgroup2 is not mounted: %s", strerror(errno));
        return victim_end(&v);
}
