/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user namespace: ids from 0, as many as before, files owned by what they were owned by, and its own limits. In a container. */
#include <sys/stat.h>

#include "tests/victim/victim.h"

static void read_map(char *ret, size_t size)
{
        unsigned in = 1, out = 0, count = 0;
        FILE *f = fopen("/proc/self/uid_map", "re");

        VICTIM_MUST(f && fscanf(f, "%u %u %u", &in, &out, &count) == 3);
        fclose(f);
        snprintf(ret, size, "%u %u", in, count);
}

#define LIMIT "/proc/sys/user/max_net_namespaces"

int main(int argc, char **argv)
{
        struct victim v;
        char before[64], after[64], path[512];
        struct stat st;

        victim_begin(&v, argc, argv);
        read_map(before, sizeof(before));
        snprintf(path, sizeof(path), "%s/owned", v.dir);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        VICTIM_MUST(fd >= 0 && fchown(fd, 1234, 4321) == 0 && close(fd) == 0);
        fd = open(LIMIT, O_WRONLY | O_CLOEXEC);
        VICTIM_MUST(getenv("container") && fd >= 0 && write(fd, "5", 1) == 1 && close(fd) == 0);

        victim_wait(&v);

        char limit[16] = "";
        fd = open(LIMIT, O_RDONLY | O_CLOEXEC);
        VICTIM_CHECK(&v, fd >= 0 && read(fd, limit, sizeof(limit) - 1) > 0 && strcmp(limit, "5\n") == 0, "the limit is %s", limit);
        close(fd);

        read_map(after, sizeof(after));
        VICTIM_CHECK(&v, strcmp(before, after) == 0, "the map was %s and is %s", before, after);
        VICTIM_CHECK(&v, getuid() == 0 && getgid() == 0, "ids are %u and %u", getuid(), getgid());
        VICTIM_MUST(stat(path, &st) == 0);
        VICTIM_CHECK(&v, st.st_uid == 1234 && st.st_gid == 4321, "the file belongs to %u:%u", st.st_uid, st.st_gid);
        VICTIM_CHECK(&v, chown(path, 65535, 65535) == 0, "the last id cannot be used: %s", strerror(errno));
        VICTIM_CHECK(&v, chown(path, 65536, 0) < 0, "an id beyond the map can be used");
        return victim_end(&v);
}
