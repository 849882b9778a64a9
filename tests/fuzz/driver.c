/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz harness over its corpus without a fuzzer, as a test of every build: each file as it is, then cut at
 * many lengths and with single bits flipped, always the same ones. A harness says that something is wrong by abort().
 *
 *      fuzz-NAME CORPUS-DIR [STEPS]
 *
 * STEPS (256) is the number of cuts and of flips per file. The harnesses have libFuzzer's interface: linked with
 * -fsanitize=fuzzer in place of this file they run for as long as one likes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly its size, so that a sanitizer sees the first byte too far. */
static void one(const uint8_t *data, size_t n)
{
        uint8_t *copy = malloc(n ? n : 1);

        if (!copy)
                abort();
        memcpy(copy, data, n);
        (void)LLVMFuzzerTestOneInput(copy, n);
        free(copy);
}

static void all(uint8_t *data, size_t n, size_t steps)
{
        size_t bits = n * 8, flip = bits / steps + 1, cut = n / steps + 1;

        /* an odd distance visits every bit position of a byte */
        flip |= 1;
        one(data, n);
        for (size_t len = 0; len < n; len += cut)
                one(data, len);
        for (size_t bit = 0; bit < bits; bit += flip) {
                data[bit / 8] ^= (uint8_t)(1u << bit % 8);
                one(data, n);
                data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static int file(int dir, const char *name, size_t steps)
{
        struct stat st;
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0) {
                perror(name);
                return 1;
        }
        size_t n = (size_t)st.st_size;
        uint8_t *data = malloc(n + 1);
        if (!data || read(fd, data, n) != (ssize_t)n) {
                perror(name);
                return 1;
        }
        close(fd);
        all(data, n, steps);
        free(data);
        return 0;
}

int main(int argc, char **argv)
{
        unsigned files = 0;
        int bad = 0;

        if (argc < 2) {
                fprintf(stderr, "usage: %s CORPUS-DIR [STEPS]\n", argv[0]);
                return 2;
        }
        size_t steps = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 256;
        DIR *d = opendir(argv[1]);
        if (!d || !steps) {
                perror(argv[1]);
                return 2;
        }
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                bad |= file(dirfd(d), e->d_name, steps);
                files++;
        }
        closedir(d);
        printf("%u files\n", files);
        return bad || !files; /* an empty corpus tests nothing */
}
