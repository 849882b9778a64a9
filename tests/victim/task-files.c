/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A descriptor table with holes: high numbers, close-on-exec here and there, one description under several numbers. */
#include <sys/eventfd.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        uint64_t x = 5;
        static bool open_before[1024], cloexec_before[1024];

        victim_begin(&v, argc, argv);
        int e = eventfd(0, EFD_NONBLOCK);
        VICTIM_MUST(e >= 0 && dup3(e, 7, O_CLOEXEC) == 7 && dup2(e, 100) == 100 && dup3(e, 1000, O_CLOEXEC) == 1000);
        VICTIM_MUST(dup2(0, 511) == 511 && close(0) == 0);
        for (int i = 0; i < 1024; i++) {
                int f = fcntl(i, F_GETFD);
                open_before[i] = f >= 0;
                cloexec_before[i] = f > 0;
        }

        victim_wait(&v);

        for (int i = 0; i < 1024; i++) {
                int f = fcntl(i, F_GETFD);
                VICTIM_CHECK(&v, (f >= 0) == open_before[i], "descriptor %d is %s", i, f >= 0 ? "open" : "closed");
                VICTIM_CHECK(&v, (f > 0) == cloexec_before[i], "descriptor %d: close-on-exec differs", i);
        }
        VICTIM_MUST(write(7, &x, 8) == 8);
        x = 0;
        VICTIM_CHECK(&v, read(1000, &x, 8) == 8 && x == 5, "two numbers are not one description");
        return victim_end(&v);
}
