/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Security labels as the process itself reads them, on a machine with or without a security module. */
#include "tests/victim/victim.h"

static const char *const files[] = {"current", "exec", "fscreate", "keycreate", "sockcreate"};

static void get(const char *name, char ret[512])
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/thread-self/attr/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, 511);
        ret[n > 0 ? n : 0] = '\0';
        if (fd >= 0)
                close(fd);
}

int main(int argc, char **argv)
{
        struct victim v;
        static char before[5][512], now[512];

        victim_begin(&v, argc, argv);
        for (int i = 0; i < 5; i++)
                get(files[i], before[i]);

        victim_wait(&v);

        for (int i = 0; i < 5; i++) {
                get(files[i], now);
                VICTIM_CHECK(&v, strcmp(before[i], now) == 0, "attr/%s: %s became %s", files[i], before[i], now);
        }
        return victim_end(&v);
}
