/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /dev of a container: the nodes that its engine makes, and they work. Runs in a container (tests/victim/mount-table.h). */
#include "tests/victim/mount-table.h"

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing l;
        struct victim v;
        char buf[8] = "xxxxxxx";

        victim_begin(&v, argc, argv);
        int zero = open("/dev/zero", O_RDONLY);
        VICTIM_MUST(zero >= 0);
        listing_read(&l, "/dev");
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &l, "/dev");
        VICTIM_CHECK(&v, read(zero, buf, sizeof(buf)) == 8 && !buf[0] && !buf[7], "an open /dev/zero reads something else");
        int fd = open("/dev/null", O_RDWR);
        VICTIM_CHECK(&v, fd >= 0 && write(fd, "x", 1) == 1 && read(fd, buf, 1) == 0, "/dev/null does not work: %s", strerror(errno));
        fd = open("/dev/urandom", O_RDONLY);
        VICTIM_CHECK(&v, fd >= 0 && read(fd, buf, 8) == 8, "/dev/urandom does not work: %s", strerror(errno));
        VICTIM_CHECK(&v, mknod("/dev/disk", S_IFBLK | 0600, makedev(8, 0)) < 0, "a disk can be made");
        return victim_end(&v);
}
