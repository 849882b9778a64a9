/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An epoll instance with entries of each sort: level, edge, oneshot, exclusive, two numbers of one file, and an instance
 * that watches it. What was ready is ready, and nothing else is.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "tests/victim/victim.h"

static void watch(int ep, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event e = {.events = events, .data.u64 = data};

        VICTIM_MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
}

/* Events under `data` among what is ready now; 0: none. */
static uint32_t ready(int ep, uint64_t data)
{
        struct epoll_event e[16];
        int n = epoll_wait(ep, e, 16, 0);

        for (int i = 0; i < n; i++)
                if (e[i].data.u64 == data)
                        return e[i].events;
        return 0;
}

int main(int argc, char **argv)
{
        struct victim v;
        const uint64_t wide = UINT64_C(0xfedcba9876543210), one = 1;
        int ep, outer, full, twin, empty, p[2];
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = 8};

        victim_begin(&v, argc, argv);
        VICTIM_MUST((ep = epoll_create1(EPOLL_CLOEXEC)) >= 0);
        VICTIM_MUST((outer = epoll_create1(0)) >= 0);
        VICTIM_MUST((full = eventfd(3, EFD_NONBLOCK)) >= 0);
        VICTIM_MUST((empty = eventfd(0, EFD_NONBLOCK)) >= 0);
        VICTIM_MUST((twin = dup2(full, 60)) == 60);
        VICTIM_MUST(pipe(p) == 0);
        watch(ep, full, EPOLLIN | EPOLLET, wide);
        watch(ep, twin, EPOLLIN, 2);
        watch(ep, empty, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 3);
        watch(ep, p[0], EPOLLIN | EPOLLEXCLUSIVE, 4);
        watch(ep, p[1], EPOLLOUT, 5);
        watch(outer, ep, EPOLLIN, 6);

        victim_wait(&v);

        VICTIM_CHECK(&v, fcntl(ep, F_GETFD) == FD_CLOEXEC && fcntl(outer, F_GETFD) == 0, "close-on-exec is lost");
        VICTIM_CHECK(&v, ready(outer, 6) == EPOLLIN, "the outer instance does not see that the inner one is ready");
        VICTIM_CHECK(&v, ready(ep, wide) == EPOLLIN, "the edge of the full eventfd is lost");
        VICTIM_CHECK(&v, ready(ep, wide) == 0, "an edge is told twice");
        VICTIM_CHECK(&v, ready(ep, 2) == EPOLLIN, "the second number of a file is not watched");
        VICTIM_CHECK(&v, ready(ep, 3) == 0 && ready(ep, 4) == 0, "something is ready that was not");
        VICTIM_CHECK(&v, ready(ep, 5) == EPOLLOUT, "the pipe's writing end is not watched");
        VICTIM_CHECK(&v, write(empty, &one, sizeof(one)) == 8 && write(p[1], "x", 1) == 1, "write: %s", strerror(errno));
        VICTIM_CHECK(&v, ready(ep, 3) == EPOLLIN, "the empty eventfd was not watched");
        VICTIM_CHECK(&v, ready(ep, 3) == 0, "EPOLLONESHOT is lost");
        VICTIM_CHECK(&v, ready(ep, 4) == EPOLLIN, "the pipe's reading end was not watched");
        VICTIM_CHECK(&v, epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e) < 0 && errno == EINVAL, "EPOLLEXCLUSIVE is lost");
        VICTIM_CHECK(&v, epoll_ctl(ep, EPOLL_CTL_MOD, twin, &e) == 0, "an entry is not found under its number: %s", strerror(errno));
        VICTIM_CHECK(&v, epoll_ctl(ep, EPOLL_CTL_DEL, full, NULL) == 0, "an entry is not found under its number: %s", strerror(errno));
        VICTIM_CHECK(&v, ready(ep, 8) == EPOLLIN, "a changed entry does not tell");
        return victim_end(&v);
}
