/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks beside open files that two processes share: one that the second holder has set, which fdinfo of the first does not show, and
 * one of the description itself. Two refusals, and both are still there.
 */
#include <sys/file.h>
#include <sys/prctl.h>
#include <signal.h>

#include "tests/victim/victim.h"

static int file_of(struct victim *v, const char *name)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", v->dir, name);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        VICTIM_MUST(fd >= 0);
        return fd;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int built[2], asked[2];
        char c;

        victim_begin(&v, argc, argv);
        int posix = file_of(&v, "posix"), whole_fd = file_of(&v, "whole"), other = file_of(&v, "whole");
        VICTIM_MUST(flock(whole_fd, LOCK_EX) == 0);
        VICTIM_MUST(pipe2(built, O_CLOEXEC) == 0 && pipe2(asked, O_CLOEXEC) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                VICTIM_MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
                VICTIM_MUST(fcntl(posix, F_SETLK, &whole) == 0 && write(built[1], "b", 1) == 1);
                _exit(read(asked[0], &c, 1) != 1);
        }
        VICTIM_MUST(read(built[0], &c, 1) == 1);
        victim_file(&v, "expect", "2\n");

        victim_wait(&v);

        VICTIM_CHECK(&v, fcntl(posix, F_GETLK, &whole) == 0 && whole.l_type == F_WRLCK && whole.l_pid == child, "the child's lock is gone");
        VICTIM_CHECK(&v, flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "the lock of the description is gone");
        VICTIM_MUST(write(asked[1], "a", 1) == 1);
        return victim_end(&v);
}
