/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one process of the containers whose start is measured: writes the wall clock's nanoseconds (no namespace changes
 * those) to its standard output and ends, or, with an argument, sleeps until it is killed.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        struct timespec t;

        (void)argv;
        clock_gettime(CLOCK_REALTIME, &t);
        printf("stamp %lld%09ld\n", (long long)t.tv_sec, t.tv_nsec);
        fflush(stdout);
        while (argc > 1)
                pause();
        return 0;
}
