/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eventfds: a counter, a semaphore, one above 32 bits, one shared by two numbers. */
#include <sys/eventfd.h>

#include "tests/victim/victim.h"

static uint64_t get(int fd)
{
        uint64_t x = 0;

        return read(fd, &x, sizeof(x)) == 8 ? x : UINT64_MAX;
}

int main(int argc, char **argv)
{
        struct victim v;
        uint64_t big = UINT64_C(0xfffffffff0);
        int counter, sem, wide, shared, twin;

        victim_begin(&v, argc, argv);
        VICTIM_MUST((counter = eventfd(42, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
        VICTIM_MUST((sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK)) >= 0);
        VICTIM_MUST((wide = eventfd(0, EFD_NONBLOCK)) >= 0);
        VICTIM_MUST(write(wide, &big, sizeof(big)) == 8);
        VICTIM_MUST((shared = eventfd(1, EFD_NONBLOCK)) >= 0);
        VICTIM_MUST((twin = dup2(shared, 77)) == 77);

        victim_wait(&v);

        VICTIM_CHECK(&v, fcntl(counter, F_GETFD) == FD_CLOEXEC, "close-on-exec of the counter is lost");
        VICTIM_CHECK(&v, fcntl(sem, F_GETFD) == 0, "the semaphore is close-on-exec");
        uint64_t x = get(counter);
        VICTIM_CHECK(&v, x == 42, "the counter is %llu", (unsigned long long)x);
        VICTIM_CHECK(&v, get(sem) == 1 && get(sem) == 1 && get(sem) == UINT64_MAX, "the semaphore is none, or not 2");
        x = get(wide);
        VICTIM_CHECK(&v, x == big, "the wide counter is %llx", (unsigned long long)x);
        x = 5;
        VICTIM_CHECK(&v, write(twin, &x, sizeof(x)) == 8, "write: %s", strerror(errno));
        x = get(shared);
        VICTIM_CHECK(&v, x == 6, "two numbers no longer share one eventfd: %llu", (unsigned long long)x);
        return victim_end(&v);
}
