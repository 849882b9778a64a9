/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pid namespace: same numbers for init and its child, /proc shows them, a new number goes on from the last, and the largest number is
 * the namespace's own (since 6.14).
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

static pid_t child(void)
{
        pid_t pid = fork();

        VICTIM_MUST(pid >= 0);
        if (pid == 0)
                for (;;)
                        pause();
        return pid;
}

static pid_t short_lived(void)
{
        pid_t pid = fork();

        VICTIM_MUST(pid >= 0);
        if (pid == 0)
                _exit(0);
        VICTIM_MUST(waitpid(pid, NULL, 0) == pid);
        return pid;
}

static void read_max(char ret[32])
{
        int fd = open("/proc/sys/kernel/pid_max", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret, 31);

        VICTIM_MUST(n > 0 && close(fd) == 0);
        ret[n] = '\0';
}

static void set_max(void)
{
        int fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;   /* it is the node's */
        VICTIM_MUST(write(fd, "5000", 4) == 4 && close(fd) == 0);
}

int main(int argc, char **argv)
{
        char max[32], max_now[32];
        struct victim v;
        char path[64];

        victim_begin(&v, argc, argv);
        if (getenv("container"))   /* it would change the node otherwise */
                set_max();
        read_max(max);
        pid_t me = getpid(), kept = child(), last = short_lived();

        victim_wait(&v);

        read_max(max_now);
        VICTIM_CHECK(&v, strcmp(max, max_now) == 0, "the largest number was %s and is %s", max, max_now);
        VICTIM_CHECK(&v, me == 1 && getpid() == 1, "init's number was %d and is %d", me, getpid());
        snprintf(path, sizeof(path), "/proc/%d/stat", kept);
        VICTIM_CHECK(&v, access(path, F_OK) == 0, "the child is not in /proc under %d", kept);
        pid_t next = short_lived();
        VICTIM_CHECK(&v, next > last, "a new process got the number %d, after %d", next, last);
        VICTIM_CHECK(&v, syscall(424 /* pidfd_send_signal */, syscall(434 /* pidfd_open */, kept, 0), SIGKILL, NULL, 0) == 0,
                     "the child cannot be ended: %s", strerror(errno));
        VICTIM_CHECK(&v, waitpid(kept, NULL, 0) == kept, "the child is not ours any more: %s", strerror(errno));
        return victim_end(&v);
}
