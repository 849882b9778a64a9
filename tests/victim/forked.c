/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 8 MiB that were touched before two children were forked; one of them has written to its first 2 MiB since. */
#include <sys/mman.h>

#include "tests/victim/victim.h"

#define MIB ((size_t)1 << 20)

int main(int argc, char **argv)
{
        struct victim v;
        int done[2];
        char c = 0;

        victim_begin(&v, argc, argv);
        unsigned char *p = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        VICTIM_MUST(p != MAP_FAILED && madvise(p, 8 * MIB, MADV_NOHUGEPAGE) == 0 && pipe(done) == 0);
        memset(p, 7, 8 * MIB);
        for (int i = 0; i < 2; i++) {
                pid_t pid = fork();
                VICTIM_MUST(pid >= 0);
                if (pid > 0)
                        continue;
                if (i == 1)
                        memset(p, 8, 2 * MIB);
                VICTIM_MUST(write(done[1], &c, 1) == 1);
                close(done[0]);
                close(done[1]);
                for (;;)
                        pause();
        }
        VICTIM_MUST(read(done[0], &c, 1) == 1 && read(done[0], &c, 1) == 1);
        close(done[0]);
        close(done[1]);

        victim_wait(&v);

        for (size_t i = 0; i < 8 * MIB; i += 4096)
                VICTIM_CHECK(&v, p[i] == 7, "byte %zu is %d", i, p[i]);
        return victim_end(&v);
}
