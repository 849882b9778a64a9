/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pid namespace: same numbers for init and its child, /proc shows them, and a new number goes on from the last. */
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

int main(int argc, char **argv)
{
        struct victim v;
        char path[64];

        victim_begin(&v, argc, argv);
        pid_t me = getpid(), kept = child(), last = short_lived();

        victim_wait(&v);

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
