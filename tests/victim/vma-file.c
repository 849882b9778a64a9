/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file mapped privately: some pages written, some not, one part read-only, one that may be executed; and an offset. */
#include "tests/victim/smaps.h"

#define PAGES 24
#define PAGE 4096

static unsigned char *map_it(int fd, int prot, size_t pages, off_t off)
{
        unsigned char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE, fd, off);

        VICTIM_MUST(p != MAP_FAILED);
        return p;
}

int main(int argc, char **argv)
{
        static unsigned char text[PAGES * PAGE];
        struct victim v;
        char path[512];
        struct seen seen[4];

        victim_begin(&v, argc, argv);
        snprintf(path, sizeof(path), "%s/mapped file\twith \\ and ü", v.dir);
        pattern_fill(text, sizeof(text), 1);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        VICTIM_MUST(fd >= 0 && write(fd, text, sizeof(text)) == (ssize_t)sizeof(text));
        unsigned char *rw = map_it(fd, PROT_READ | PROT_WRITE, PAGES, 0);
        unsigned char *ro = map_it(fd, PROT_READ, 4, 8 * PAGE);
        unsigned char *rx = map_it(fd, PROT_READ | PROT_EXEC, 2, 0);
        VICTIM_MUST(close(fd) == 0);
        int ofd = open(path, O_RDONLY | O_CLOEXEC);
        VICTIM_MUST(ofd >= 0);
        unsigned char *relro = map_it(ofd, PROT_READ | PROT_WRITE, 4, 0);
        VICTIM_MUST(close(ofd) == 0);
        pattern_fill(rw + 3 * PAGE, 2 * PAGE, 9);
        pattern_fill(relro, PAGE, 10);
        VICTIM_MUST(mprotect(relro, 2 * PAGE, PROT_READ) == 0);
        unsigned char *const at[] = {rw, ro, rx, relro};
        for (size_t i = 0; i < 4; i++)
                VICTIM_MUST(smaps_find(at[i], &seen[i]));

        victim_wait(&v);

        for (size_t i = 0; i < 4; i++)
                smaps_same(&v, i == 0 ? "writable" : i == 1 ? "read-only" : i == 2 ? "code" : "relro", at[i], &seen[i]);
        VICTIM_CHECK(&v, memcmp(rw, text, 3 * PAGE) == 0, "pages before the written ones differ");
        VICTIM_CHECK(&v, pattern_is(rw + 3 * PAGE, 2 * PAGE, 9), "written pages differ");
        VICTIM_CHECK(&v, memcmp(rw + 5 * PAGE, text + 5 * PAGE, (PAGES - 5) * PAGE) == 0, "pages behind the written ones differ");
        VICTIM_CHECK(&v, memcmp(ro, text + 8 * PAGE, 4 * PAGE) == 0, "the part differs");
        VICTIM_CHECK(&v, pattern_is(relro, PAGE, 10) && memcmp(relro + PAGE, text + PAGE, PAGE) == 0, "relro differs");
        rw[0] ^= 1;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        unsigned char c = 0;
        VICTIM_CHECK(&v, fd >= 0 && pread(fd, &c, 1, 0) == 1 && c == text[0], "a private write reached the file");
        VICTIM_CHECK(&v, mprotect(ro, PAGE, PROT_READ | PROT_WRITE) == 0, "a private mapping cannot be made writable");
        return victim_end(&v);
}
