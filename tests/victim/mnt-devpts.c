/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * devpts: the container's own with the console in it, and one more that holds nothing. Runs in a container
 * (tests/victim/mount-table.h).
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "tests/victim/mount-table.h"

/* A new pty of the instance at `dir`: something said at one end is heard at the other. */
static bool talks(const char *dir)
{
        char path[64], buf[8] = "";
        int unlock = 0, number = -1;

        snprintf(path, sizeof(path), "%s/ptmx", dir);
        int master = open(path, O_RDWR | O_NOCTTY);
        if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
                return false;
        snprintf(path, sizeof(path), "%s/%d", dir, number);
        int slave = open(path, O_RDWR | O_NOCTTY);
        bool ok = slave >= 0 && write(slave, "hi", 2) == 2 && read(master, buf, 2) == 2 && strcmp(buf, "hi") == 0;
        if (slave >= 0)
                close(slave);
        close(master);
        return ok;
}

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing l;
        struct victim v;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(mkdir("/p", 0755) == 0 && mount("devpts", "/p", "devpts", MS_NOEXEC, "mode=640,ptmxmode=660,max=7") == 0);
        VICTIM_MUST(chown("/dev/pts/0", 5, 6) == 0 && chmod("/dev/pts/0", 0612) == 0);
        VICTIM_MUST(isatty(1));
        listing_read(&l, "/dev/pts");
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &l, "/dev/pts");
        VICTIM_CHECK(&v, isatty(1) && write(1, "console\n", 8) == 8, "the console is gone: %s", strerror(errno));
        VICTIM_CHECK(&v, access("/p/0", F_OK) < 0, "the empty instance holds a pty");
        VICTIM_CHECK(&v, talks("/dev/pts"), "no new pty in /dev/pts: %s", strerror(errno));
        VICTIM_CHECK(&v, talks("/p"), "no new pty in the container's own instance: %s", strerror(errno));
        return victim_end(&v);
}
