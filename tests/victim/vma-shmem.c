/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared anonymous memory between a parent and a child: one object, mapped whole, in parts, read-only. */
#include <sys/wait.h>

#include "tests/victim/gate.h"
#include "tests/victim/smaps.h"

#define PAGES 64
#define PAGE 4096

struct talk { volatile int here, go, done; };

int main(int argc, char **argv)
{
        struct victim v;
        struct seen seen, seen_part;

        victim_begin(&v, argc, argv);
        unsigned char *m = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        unsigned char *big = mmap(NULL, 1ul << 30, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        VICTIM_MUST(m != MAP_FAILED && big != MAP_FAILED);
        pattern_fill(m + PAGE, 20 * PAGE, 3);
        pattern_fill(big + (1ul << 29), PAGE, 4);
        VICTIM_MUST(munmap(m + 40 * PAGE, 4 * PAGE) == 0);
        VICTIM_MUST(mprotect(m + 50 * PAGE, PAGE, PROT_READ) == 0);
        VICTIM_MUST(smaps_find(m, &seen) && smaps_find(m + 50 * PAGE, &seen_part));
        struct talk *talk = (struct talk *)(void *)m;
        const struct timespec tick = {.tv_nsec = 5000000};
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                talk->here = 1;
                if (gate_wait(&talk->go))
                        _exit(1);
                pattern_fill(m + 60 * PAGE, PAGE, 8);
                pattern_fill(big + PAGE, PAGE, 9);
                talk->done = pattern_is(m + PAGE, 20 * PAGE, 3) && pattern_is(big + (1ul << 29), PAGE, 4) ? 1 : 2;
                _exit(0);
        }
        while (!talk->here)
                nanosleep(&tick, NULL);

        victim_wait(&v);

        smaps_same(&v, "whole", m, &seen);
        smaps_same(&v, "part", m + 50 * PAGE, &seen_part);
        VICTIM_CHECK(&v, pattern_is(m + PAGE, 20 * PAGE, 3), "the content differs");
        VICTIM_CHECK(&v, pattern_is(big + (1ul << 29), PAGE, 4), "the large one's content differs");
        gate_open(&talk->go);
        int status = -1;
        VICTIM_CHECK(&v, waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
        VICTIM_CHECK(&v, talk->done == 1, "the child saw something else, or nothing: %d", talk->done);
        VICTIM_CHECK(&v, pattern_is(m + 60 * PAGE, PAGE, 8) && pattern_is(big + PAGE, PAGE, 9), "what the child wrote is not here");
        return victim_end(&v);
}
