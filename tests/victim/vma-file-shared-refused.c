/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lock on an open file of which only a mapping is left: refused, and still held. Beside it the mapping of a file
 * without one.
 */
#include <sys/file.h>
#include <sys/mman.h>

#include "tests/victim/victim.h"

static int file_of(struct victim *v, const char *name)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", v->dir, name);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        VICTIM_MUST(fd >= 0 && ftruncate(fd, 4096) == 0);
        return fd;
}

int main(int argc, char **argv)
{
        struct victim v;

        victim_begin(&v, argc, argv);
        int fd = file_of(&v, "locked"), free_fd = file_of(&v, "free");
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        void *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, free_fd, 0);
        VICTIM_MUST(p != MAP_FAILED && q != MAP_FAILED && flock(fd, LOCK_EX) == 0 && close(fd) == 0 && close(free_fd) == 0);

        victim_wait(&v);

        fd = file_of(&v, "locked");
        VICTIM_CHECK(&v, flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "the lock is gone");
        return victim_end(&v);
}
