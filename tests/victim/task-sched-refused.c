/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A nice value of a session as a whole: refused, and still there. */
#include "tests/victim/victim.h"

#define GROUP "/proc/self/autogroup"

int main(int argc, char **argv)
{
        struct victim v;
        char text[64] = "";

        victim_begin(&v, argc, argv);
        VICTIM_MUST(setsid() > 0 || errno == EPERM);
        int group = open(GROUP, O_RDWR | O_CLOEXEC);
        VICTIM_MUST(group >= 0 && write(group, "7", 1) == 1 && close(group) == 0);

        victim_wait(&v);

        int fd = open(GROUP, O_RDONLY | O_CLOEXEC);
        VICTIM_CHECK(&v, fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, " nice 7\n"), "it is %s", text);
        return victim_end(&v);
}
