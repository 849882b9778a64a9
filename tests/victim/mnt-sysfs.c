/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysfs: of the container's own network. Runs in a container (tests/victim/mount-table.h). */
#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing l;
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/s", 0755) == 0 && mount("sysfs", "/s", "sysfs", MS_NOEXEC | MS_NOSUID | MS_NODEV | MS_RDONLY, NULL) == 0);
        listing_read(&l, "/s/class/net");
        VICTIM_MUST(strstr(l.text, "lo "));
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &l, "/s/class/net");
        listing_check(&v, &l, "/sys/class/net");
        return victim_end(&v);
}
