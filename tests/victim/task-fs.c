/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where processes stand: current directories with odd names, a chroot with the current directory outside of it, umasks. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

struct place { ino_t cwd, root; mode_t mask; };

static struct place here(void)
{
        struct place p = {0};
        struct stat a, b;

        if (stat(".", &a) == 0 && stat("/", &b) == 0)
                p = (struct place){a.st_ino, b.st_ino, umask(0)};
        umask(p.mask);
        return p;
}

static bool same(struct place a, struct place b)
{
        return a.cwd == b.cwd && a.root == b.root && a.mask == b.mask && a.cwd;
}

int main(int argc, char **argv)
{
        struct victim v;
        char odd[512], jail[512];
        int up[2], down[2];
        char c = 0;

        victim_begin(&v, argc, argv);
        snprintf(odd, sizeof(odd), "%s/a b\n\\ü", v.dir);
        snprintf(jail, sizeof(jail), "%s/jail", v.dir);
        VICTIM_MUST(mkdir(odd, 0700) == 0 && mkdir(jail, 0755) == 0 && pipe(up) == 0 && pipe(down) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                VICTIM_MUST(chdir(odd) == 0 && chroot(jail) == 0);
                umask(0123);
                struct place before = here();
                close(down[1]);
                VICTIM_MUST(write(up[1], "x", 1) == 1);
                if (read(down[0], &c, 1) != 0)
                        _exit(2);
                _exit(same(before, here()) && access("/proc", F_OK) < 0 ? 0 : 1);
        }
        VICTIM_MUST(chdir(odd) == 0);
        umask(0077);
        struct place before = here();
        VICTIM_MUST(read(up[0], &c, 1) == 1);

        victim_wait(&v);

        VICTIM_CHECK(&v, same(before, here()), "it stands elsewhere");
        close(down[1]);
        int status = -1;
        VICTIM_CHECK(&v, waitpid(child, &status, 0) == child && status == 0, "the chrooted child ended with %x", (unsigned)status);
        return victim_end(&v);
}
