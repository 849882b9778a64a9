/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree that is measured: DIR/load says "PROCESSES MIB"; so many processes, the first of which has so much memory of
 * its own that no filter takes away (no page is zero, no two are equal). Makes DIR/ready and sleeps for ever, the
 * first one in naps: a tree is at rest when its first process has gone round.
 *
 * Static, and nothing open but what it is started with, like a victim.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int say(const char *dir, const char *name)
{
        char path[300];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        return fd < 0 ? -1 : close(fd);
}

static int fill(size_t bytes)
{
        uint64_t x = 0x9e3779b97f4a7c15, *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return -1;
        for (size_t i = 0; i < bytes / sizeof(*p); i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                p[i] = x;
        }
        return 0;
}

int main(int argc, char **argv)
{
        char path[300];
        const struct timespec nap = {.tv_nsec = 10000000};
        unsigned processes = 0, mib = 0;
        bool first = true;

        snprintf(path, sizeof(path), "%s/load", argc == 2 ? argv[1] : "");
        FILE *f = fopen(path, "re");
        if (!f || fscanf(f, "%u %u", &processes, &mib) != 2 || fclose(f) != 0)
                return 2;
        for (unsigned i = 1; i < processes; i++) {
                pid_t pid = fork();
                if (pid < 0)
                        return 3;
                if (pid == 0) {
                        first = false;
                        break;
                }
                if (i + 1 == processes && say(argv[1], "ready") < 0)
                        return 4;
        }
        if (processes == 1 && ((mib && fill((size_t)mib << 20) < 0) || say(argv[1], "ready") < 0))
                return 5;
        for (;;)
                (void)(first ? nanosleep(&nap, NULL) : pause());
}
