/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clocks: monotonic and boot time, by the vdso and by the call, go on from where they were and never back. In a
 * container.
 */
#include <sys/syscall.h>

#include "tests/victim/victim.h"

static double by_call(clockid_t c)
{
        struct timespec t;

        VICTIM_MUST(syscall(SYS_clock_gettime, c, &t) == 0);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double by_vdso(clockid_t c)
{
        struct timespec t;

        VICTIM_MUST(clock_gettime(c, &t) == 0);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
        static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
        struct victim v;
        double last[2];

        victim_begin(&v, argc, argv);
        for (int i = 0; i < 2; i++)
                last[i] = by_call(clocks[i]);
        victim_wait(&v);
        for (int i = 0; i < 2; i++) {
                double call = by_call(clocks[i]), vdso = by_vdso(clocks[i]);
                VICTIM_CHECK(&v, call >= last[i] && call < last[i] + 60, "clock %d was %.3f and is %.3f", clocks[i], last[i], call);
                VICTIM_CHECK(&v, vdso >= call && vdso < call + 1, "clock %d is %.6f by the call and %.6f by the vdso", clocks[i], call, vdso);
        }
        return victim_end(&v);
}
