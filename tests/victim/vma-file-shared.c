/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file mapped shared: writes reach the file, before and after; what was opened for reading cannot be made writable. */
#include <sys/stat.h>

#include "tests/victim/smaps.h"

#define PAGES 8
#define PAGE 4096

int main(int argc, char **argv)
{
        static unsigned char text[PAGES * PAGE];
        struct victim v;
        char path[512];
        struct seen seen_rw, seen_ro, seen_part;
        unsigned char got[PAGE];

        victim_begin(&v, argc, argv);
        snprintf(path, sizeof(path), "%s/shared", v.dir);
        pattern_fill(text, sizeof(text), 1);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        VICTIM_MUST(fd >= 0 && write(fd, text, sizeof(text)) == (ssize_t)sizeof(text));
        unsigned char *rw = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        unsigned char *part = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
        VICTIM_MUST(rw != MAP_FAILED && part != MAP_FAILED && close(fd) == 0);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        unsigned char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
        VICTIM_MUST(ro != MAP_FAILED && close(fd) == 0);
        pattern_fill(rw + 3 * PAGE, PAGE, 5);
        VICTIM_MUST(smaps_find(rw, &seen_rw) && smaps_find(ro, &seen_ro) && smaps_find(part, &seen_part));

        victim_wait(&v);

        smaps_same(&v, "writable", rw, &seen_rw);
        smaps_same(&v, "read-only", ro, &seen_ro);
        smaps_same(&v, "part", part, &seen_part);
        VICTIM_CHECK(&v, pattern_is(rw + 3 * PAGE, PAGE, 5), "a written page differs");
        VICTIM_CHECK(&v, pattern_is(part + PAGE, PAGE, 5), "two mappings of one file differ");
        pattern_fill(rw + PAGE, PAGE, 6);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        VICTIM_CHECK(&v, fd >= 0 && pread(fd, got, PAGE, PAGE) == PAGE && pattern_is(got, PAGE, 6), "a write does not reach the file");
        VICTIM_CHECK(&v, mprotect(ro, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES, "what was read-only may be written");
        VICTIM_CHECK(&v, mprotect(part, PAGE, PROT_READ | PROT_WRITE) == 0, "what might be written may no longer");
        return victim_end(&v);
}
