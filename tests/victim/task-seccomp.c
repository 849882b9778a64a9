/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system call filters of a process are as many afterwards, and forbid what they did: none in a bare tree, the engine's one in
 * a container.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

/* "Seccomp" and "Seccomp_filters" of the status, and what a call says that no container may make. */
static void look(char *ret, size_t size)
{
        char text[8192];
        size_t len = 0;
        int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);

        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        for (char *p = text, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
                *nl = '\0';
                if (strncmp(p, "Seccomp", 7) == 0)
                        len += (size_t)snprintf(ret + len, size - len, "%s; ", p);
        }
        errno = 0;
        long r = syscall(SYS_finit_module, -1, "", 0);
        snprintf(ret + len, size - len, "finit_module %ld, %s", r, strerror(errno));
}

int main(int argc, char **argv)
{
        struct victim v;
        char before[512] = "", after[512] = "";

        victim_begin(&v, argc, argv);
        look(before, sizeof(before));

        victim_wait(&v);

        look(after, sizeof(after));
        VICTIM_CHECK(&v, strcmp(before, after) == 0, "%s became %s", before, after);
        VICTIM_CHECK(&v, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "it may not gain privileges any more");
        return victim_end(&v);
}
