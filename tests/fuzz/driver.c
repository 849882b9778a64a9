/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz harness over its corpus without a fuzzer, as a test of every build: each file as it is, cut at
 * every length, with single bits flipped, with bytes and numbers at their limits in every place, and in all variants that the format
 * knows of (fuzz.h). Always the same ones, in the same order.
 *
 *      fuzz-NAME CORPUS-DIR [STEPS]
 *      fuzz-NAME FILE
 *
 * STEPS (4096) is the number of cuts, of flips, and of alike variants per file. A single file is run as it is: that is how a
 * failure is looked at. What failed is written to $FUZZ_FAILED, or to ./failed-input where that is not set. The harnesses have
 * libFuzzer's interface: linked with -fsanitize=fuzzer and mutator.c in place of this file they run for as long as one likes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static struct { const char *file; const uint8_t *data; size_t n; unsigned long run; } now;

/* Async-signal-safe calls only. */
static void on_abort(int sig)
{
        static const char word[] = "error: the input that failed is ";
        const char *to = getenv("FUZZ_FAILED");
        int fd = open(to ? to : "failed-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        (void)sig;
        if (fd >= 0 && now.data && write(fd, now.data, now.n) == (ssize_t)now.n && write(2, word, sizeof(word) - 1) > 0 &&
            write(2, to ? to : "./failed-input", strlen(to ? to : "./failed-input")) > 0 && now.file && write(2, ", of ", 5) > 0 &&
            write(2, now.file, strlen(now.file)) > 0)
                (void)!write(2, "\n", 1);
        signal(SIGABRT, SIG_DFL);
        abort();
}

/* In memory of exactly its size, so that a sanitizer sees the first byte too far. */
static void one(void *ctx, const uint8_t *data, size_t n)
{
        uint8_t *copy = fuzz_copy(data, n);

        (void)ctx;
        now.data = copy;
        now.n = n;
        now.run++;
        (void)LLVMFuzzerTestOneInput(copy, n);
        now.data = NULL;
        free(copy);
}

static void cuts_and_flips(uint8_t *data, size_t n, size_t steps)
{
        size_t bits = n * 8, flip = bits / steps + 1, cut = n / steps + 1;

        /* an odd distance visits every bit position of a byte */
        flip |= 1;
        for (size_t len = 0; len < n; len += cut)
                one(NULL, data, len);
        for (size_t bit = 0; bit < bits; bit += flip) {
                data[bit / 8] ^= (uint8_t)(1u << bit % 8);
                one(NULL, data, n);
                data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static int read_file(int dir, const char *name, uint8_t **ret, size_t *ret_n)
{
        struct stat st;
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0) {
                perror(name);
                return 1;
        }
        *ret_n = (size_t)st.st_size;
        *ret = malloc(*ret_n + 1);
        if (!*ret || read(fd, *ret, *ret_n) != (ssize_t)*ret_n) {
                perror(name);
                return 1;
        }
        close(fd);
        return 0;
}

static int file(int dir, const char *name, size_t steps)
{
        const struct fuzz_sink sink = {.put = one};
        uint8_t *data = NULL;
        size_t n = 0;

        if (read_file(dir, name, &data, &n))
                return 1;
        now.file = name;
        one(NULL, data, n);
        if (steps) {
                cuts_and_flips(data, n, steps);
                fuzz_variants(data, n, steps, &sink);
        }
        free(data);
        return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
        struct dirent **list = NULL;
        unsigned files = 0;
        struct stat st;
        int bad = 0;

        if (argc < 2 || stat(argv[1], &st) < 0) {
                fprintf(stderr, "usage: %s CORPUS-DIR [STEPS] | FILE\n", argv[0]);
                return 2;
        }
        signal(SIGABRT, on_abort);
        if (!S_ISDIR(st.st_mode))
                return file(AT_FDCWD, argv[1], 0);
        size_t steps = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 4096;
        int dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = scandir(argv[1], &list, NULL, by_name);
        if (dir < 0 || n < 0 || !steps) {
                perror(argv[1]);
                return 2;
        }
        for (int i = 0; i < n; i++) {
                if (list[i]->d_name[0] != '.') {
                        bad |= file(dir, list[i]->d_name, steps);
                        files++;
                }
                free(list[i]);
        }
        free(list);
        close(dir);
        printf("%u files, %lu inputs\n", files, now.run);
        return bad || !files; /* an empty corpus tests nothing */
}
