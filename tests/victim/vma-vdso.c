/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vdso: where the auxiliary vector says, with code that works, and clocks that go on. */
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "tests/victim/smaps.h"

static int64_t now(bool by_call)
{
        struct timespec t = {0};

        if (by_call)
                syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
        else
                clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct seen seen;
        const unsigned char *at;

        victim_begin(&v, argc, argv);
        at = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
        VICTIM_MUST(at && smaps_find(at, &seen));
        int64_t before = now(false);

        victim_wait(&v);

        smaps_same(&v, "the vdso", at, &seen);
        VICTIM_CHECK(&v, memcmp(at, "\177ELF", 4) == 0, "there is no program at its place");
        for (int i = 0; i < 1000; i++) {
                int64_t a = now(true), b = now(false), c = now(true);
                VICTIM_CHECK(&v, a <= b && b <= c, "clock %d: %lld, %lld, %lld", i, (long long)a, (long long)b, (long long)c);
        }
        VICTIM_CHECK(&v, now(false) > before, "the monotonic clock went back");
        return victim_end(&v);
}
