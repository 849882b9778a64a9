/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices without state: each still does what it does. */
#include <sys/stat.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        char buf[16], zero[16] = "";
        struct stat st;

        victim_begin(&v, argc, argv);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), z = open("/dev/zero", O_RDONLY);
        int full = open("/dev/full", O_WRONLY), rnd = open("/dev/urandom", O_RDONLY | O_NONBLOCK);
        VICTIM_MUST(null >= 0 && z >= 0 && full >= 0 && rnd >= 0);
        VICTIM_MUST(dup2(null, 0) == 0);

        victim_wait(&v);

        VICTIM_CHECK(&v, read(null, buf, 1) == 0 && write(null, "x", 1) == 1, "/dev/null is none");
        VICTIM_CHECK(&v, fstat(0, &st) == 0 && S_ISCHR(st.st_mode), "descriptor 0 is no device");
        memset(buf, 1, sizeof(buf));
        VICTIM_CHECK(&v, read(z, buf, sizeof(buf)) == sizeof(buf) && memcmp(buf, zero, sizeof(buf)) == 0, "/dev/zero is none");
        VICTIM_CHECK(&v, write(full, "x", 1) == -1 && errno == ENOSPC, "/dev/full: %s", strerror(errno));
        VICTIM_CHECK(&v, read(rnd, buf, sizeof(buf)) == sizeof(buf) && memcmp(buf, zero, sizeof(buf)) != 0, "/dev/urandom is none");
        VICTIM_CHECK(&v, fcntl(rnd, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
        return victim_end(&v);
}
