/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pipes: content beyond 64 KiB, packets, size, one end closed, shared with a child that answers. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

#define BIG (300 * 1024)

static uint8_t pattern(size_t i)
{
        return (uint8_t)(i * 131 + (i >> 11));
}

static void fill(int fd)
{
        static uint8_t buf[BIG];

        for (size_t i = 0; i < BIG; i++)
                buf[i] = pattern(i);
        VICTIM_MUST(fcntl(fd, F_SETPIPE_SZ, 512 * 1024) == 512 * 1024);
        VICTIM_MUST(write(fd, buf, BIG) == BIG);
}

static void check_content(struct victim *v, int fd)
{
        static uint8_t buf[BIG];
        size_t at = 0;

        while (at < BIG) {
                ssize_t n = read(fd, buf + at, BIG - at);
                if (n <= 0) {
                        victim_fail(v, "%zu bytes came, not %d: %s", at, BIG, strerror(errno));
                        return;
                }
                at += (size_t)n;
        }
        for (size_t i = 0; i < BIG; i++)
                if (buf[i] != pattern(i)) {
                        victim_fail(v, "byte %zu differs", i);
                        return;
                }
}

int main(int argc, char **argv)
{
        struct victim v;
        int big[2], pk[2], half[2], deaf[2], to[2], from[2], status = -1;
        char buf[64] = "";

        victim_begin(&v, argc, argv);
        signal(SIGPIPE, SIG_IGN);
        VICTIM_MUST(pipe(big) == 0 && pipe2(pk, O_DIRECT | O_NONBLOCK) == 0 && pipe(half) == 0 && pipe(deaf) == 0);
        VICTIM_MUST(pipe(to) == 0 && pipe(from) == 0);
        fill(big[1]);
        VICTIM_MUST(write(pk[1], "one", 3) == 3 && write(pk[1], "three", 5) == 5);
        VICTIM_MUST(write(half[1], "rest", 4) == 4 && close(half[1]) == 0 && close(deaf[0]) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                char c;
                close(to[1]);
                close(from[0]);
                _exit(read(to[0], &c, 1) == 1 && c == 'q' && write(from[1], "a", 1) == 1 && read(to[0], &c, 1) == 0 ? 0 : 1);
        }
        VICTIM_MUST(close(to[0]) == 0 && close(from[1]) == 0);

        victim_wait(&v);

        VICTIM_CHECK(&v, fcntl(big[0], F_GETPIPE_SZ) == 512 * 1024, "the size is %d", fcntl(big[0], F_GETPIPE_SZ));
        check_content(&v, big[0]);
        VICTIM_CHECK(&v, read(pk[0], buf, sizeof(buf)) == 3 && read(pk[0], buf, sizeof(buf)) == 5, "packets are lost");
        VICTIM_CHECK(&v, read(pk[0], buf, 1) == -1 && errno == EAGAIN, "O_NONBLOCK is lost");
        VICTIM_CHECK(&v, read(half[0], buf, sizeof(buf)) == 4 && read(half[0], buf, 1) == 0, "the closed end is open");
        VICTIM_CHECK(&v, write(deaf[1], "x", 1) == -1 && errno == EPIPE, "a closed reader is there");
        VICTIM_CHECK(&v, write(to[1], "q", 1) == 1 && read(from[0], buf, 1) == 1 && buf[0] == 'a', "the child does not answer");
        close(to[1]);
        VICTIM_CHECK(&v, waitpid(child, &status, 0) == child && status == 0, "the child ends with %x", (unsigned)status);
        return victim_end(&v);
}
