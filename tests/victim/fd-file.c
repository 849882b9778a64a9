/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regular files: positions, append mode, one description under two numbers, two descriptions of one file. */
#include <sys/stat.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct stat st;
        char path[512], buf[8] = "";

        victim_begin(&v, argc, argv);
        snprintf(path, sizeof(path), "%s/log", v.dir);
        int a = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        VICTIM_MUST(a >= 0 && write(a, "0123456789", 10) == 10 && lseek(a, 2, SEEK_SET) == 2);
        int log = open(path, O_WRONLY | O_APPEND | O_NONBLOCK), r = open(path, O_RDONLY);
        VICTIM_MUST(log >= 0 && r >= 0);
        int twin = dup2(r, 500);
        VICTIM_MUST(twin == 500 && lseek(twin, 7, SEEK_SET) == 7);
        int flags[3] = {fcntl(a, F_GETFL), fcntl(log, F_GETFL), fcntl(r, F_GETFL)};

        victim_wait(&v);

        VICTIM_CHECK(&v, fcntl(a, F_GETFD) == FD_CLOEXEC && fcntl(log, F_GETFD) == 0, "close-on-exec differs");
        VICTIM_CHECK(&v, fcntl(a, F_GETFL) == flags[0] && fcntl(log, F_GETFL) == flags[1] && fcntl(r, F_GETFL) == flags[2],
                     "flags differ: %o %o %o", fcntl(a, F_GETFL), fcntl(log, F_GETFL), fcntl(r, F_GETFL));
        VICTIM_CHECK(&v, read(a, buf, 3) == 3 && memcmp(buf, "234", 3) == 0, "read \"%s\" at 2", buf);
        VICTIM_CHECK(&v, lseek(r, 0, SEEK_CUR) == 7, "the position is %lld", (long long)lseek(r, 0, SEEK_CUR));
        VICTIM_CHECK(&v, read(twin, buf, 1) == 1 && lseek(r, 0, SEEK_CUR) == 8, "two numbers no longer share one position");
        VICTIM_CHECK(&v, write(log, "x", 1) == 1 && fstat(a, &st) == 0 && st.st_size == 11, "append mode is lost");
        return victim_end(&v);
}
