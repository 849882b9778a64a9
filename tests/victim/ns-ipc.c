/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the ipc namespace that its root has changed. In a container. */
#include "tests/victim/victim.h"

static const struct { const char *path, *value; } set[] = {
        {"/proc/sys/kernel/msgmax", "9000"},
        {"/proc/sys/kernel/shmmni", "3000"},
        {"/proc/sys/fs/mqueue/msg_max", "11"},
        {"/proc/sys/kernel/msg_next_id", "77"},
};

int main(int argc, char **argv)
{
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
                int fd = open(set[i].path, O_WRONLY | O_CLOEXEC);
                VICTIM_MUST(fd >= 0);
                VICTIM_MUST(write(fd, set[i].value, strlen(set[i].value)) > 0 && close(fd) == 0);
        }

        victim_wait(&v);

        for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
                char now[64] = "";
                int fd = open(set[i].path, O_RDONLY | O_CLOEXEC);
                VICTIM_MUST(fd >= 0 && read(fd, now, sizeof(now) - 1) > 0 && close(fd) == 0);
                now[strcspn(now, "\n")] = '\0';
                VICTIM_CHECK(&v, strcmp(now, set[i].value) == 0, "%s is %s", set[i].path, now);
        }
        return victim_end(&v);
}
