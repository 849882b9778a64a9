/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proc: the container's own, and one that hides processes. Runs in a container (tests/victim/mount-table.h). */
#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        struct victim v;
        char self[32] = "";

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/p", 0755) == 0 && mount("proc", "/p", "proc", MS_NOEXEC | MS_NOSUID | MS_NODEV, "hidepid=2,gid=7") == 0);
        table_read(&t);
        VICTIM_MUST(strstr(t.text, "hidepid=invisible"));

        victim_wait(&v);

        table_check(&v, &t);
        VICTIM_CHECK(&v, readlink("/p/self", self, sizeof(self) - 1) == 1 && self[0] == '1', "its view is of other processes: '%s'", self);
        VICTIM_CHECK(&v, access("/proc/1/exe", F_OK) == 0 && access("/proc/self/ns/user", F_OK) == 0, "/proc does not show us: %s", strerror(errno));
        return victim_end(&v);
}
