/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * harsh-writer DIR SECONDS [PAUSE]: writes to a file system in every way at once, to see whether a copy of the device below
 * misses anything: buffered with fsync, direct at random places, through mappings, files made and removed by the
 * hundred, holes punched, the whole file system trimmed.
 *
 * Trimming reaches the device that DIR is on, so anything but a loop device is refused. A full file system and a
 * frozen one are part of the game; any other failure ends the program with 1. It prints what it did. With PAUSE each
 * writer rests so many microseconds after each step: fewer writes over more places, so that none hides another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define LOOP_MAJOR 7
#define FILE_SIZE (UINT64_C(24) << 20)
#define FILE_SIZE_PAUSED (UINT64_C(64) << 20)
#define BUF (256U << 10)

struct shared {
        int dir;
        uint64_t file_size;
        struct timespec pause;
        atomic_bool stop;
        atomic_ullong done[6];
        atomic_int failed;
};

struct worker {
        struct shared *s;
        unsigned kind, number;
        uint64_t seed;
        unsigned char *buf;
};

static uint64_t next(uint64_t *x)
{
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        return *x;
}

static void fill(struct worker *w, size_t n)
{
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint64_t v = next(&w->seed);
                memcpy(w->buf + i, &v, 8);
        }
}

/* A full file system is no failure. */
static bool ok(struct worker *w, bool good, const char *what)
{
        if (good || errno == ENOSPC || errno == EINTR)
                return true;
        fprintf(stderr, "harsh-writer: %s: %s\n", what, strerror(errno));
        atomic_store(&w->s->failed, 1);
        atomic_store(&w->s->stop, true);
        return false;
}

static int open_file(struct worker *w, const char *stem, int flags)
{
        char name[64];

        snprintf(name, sizeof(name), "%s-%u", stem, w->number);
        int fd = openat(w->s->dir, name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
        ok(w, fd >= 0, name);
        return fd;
}

static void buffered(struct worker *w, int fd)
{
        size_t n = (next(&w->seed) % BUF) + 1;
        off_t at = (off_t)(next(&w->seed) % w->s->file_size);

        fill(w, n);
        ok(w, pwrite(fd, w->buf, n, at) >= 0, "pwrite");
        if (next(&w->seed) % 4 == 0)
                ok(w, fdatasync(fd) == 0, "fdatasync");
}

static void direct(struct worker *w, int fd)
{
        size_t n = 4096 * (next(&w->seed) % 16 + 1);
        off_t at = (off_t)(next(&w->seed) % (w->s->file_size / 4096) * 4096);

        fill(w, n);
        ok(w, pwrite(fd, w->buf, n, at) >= 0, "direct pwrite");
}

static void mapped(struct worker *w, int fd)
{
        size_t n = 1U << 20;
        off_t at = (off_t)(next(&w->seed) % (w->s->file_size / n) * n);

        /* Real blocks first: a store into a hole of a full file system would be SIGBUS. */
        if (fallocate(fd, 0, at, (off_t)n) < 0) {
                ok(w, false, "fallocate");
                return;
        }
        uint64_t *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
        if (!ok(w, m != MAP_FAILED, "mmap") || m == MAP_FAILED)
                return;
        for (int i = 0; i < 64; i++)
                m[next(&w->seed) % (n / 8)] = next(&w->seed);
        ok(w, msync(m, n, MS_SYNC) == 0, "msync");
        munmap(m, n);
}

static void storm(struct worker *w, int fd)
{
        char name[64];

        (void)fd;
        for (unsigned i = 0; i < 64; i++) {
                snprintf(name, sizeof(name), "storm-%u-%u", w->number, i);
                int f = openat(w->s->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                if (!ok(w, f >= 0, "storm") || f < 0)
                        return;
                size_t n = next(&w->seed) % 16384;
                fill(w, n);
                ok(w, write(f, w->buf, n) >= 0, "storm");
                close(f);
        }
        for (unsigned i = 0; i < 64; i++) {
                snprintf(name, sizeof(name), "storm-%u-%u", w->number, i);
                if (next(&w->seed) % 8)
                        ok(w, unlinkat(w->s->dir, name, 0) == 0 || errno == ENOENT, "unlink");
        }
}

static void punch(struct worker *w, int fd)
{
        off_t at = (off_t)(next(&w->seed) % w->s->file_size), n = (off_t)(next(&w->seed) % (1U << 20) + 1);

        fill(w, BUF);
        ok(w, pwrite(fd, w->buf, BUF, at) >= 0, "pwrite");
        ok(w, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n) == 0, "punch");
        if (next(&w->seed) % 8 == 0)
                ok(w, fsync(fd) == 0, "fsync");
}

static void trim(struct worker *w, int fd)
{
        struct fstrim_range r = {.len = UINT64_MAX};
        const struct timespec pause = {.tv_nsec = 100000000};

        (void)fd;
        ok(w, ioctl(w->s->dir, FITRIM, &r) == 0, "FITRIM");
        nanosleep(&pause, NULL);
}

static const struct {
        const char *name;
        void (*step)(struct worker *w, int fd);
        int flags;
} kinds[] = {
        {"buffered", buffered, 0}, {"direct", direct, O_DIRECT}, {"mapped", mapped, 0},
        {"storm", storm, 0},       {"punch", punch, 0},          {"trim", trim, 0},
};
static const unsigned plan[] = {0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5};
#define N_WORKERS (sizeof(plan) / sizeof(plan[0]))

static void *work(void *arg)
{
        struct worker *w = arg;
        int fd = open_file(w, kinds[w->kind].name, kinds[w->kind].flags);

        while (fd >= 0 && !atomic_load(&w->s->stop)) {
                kinds[w->kind].step(w, fd);
                atomic_fetch_add(&w->s->done[w->kind], 1);
                if (w->s->pause.tv_nsec)
                        nanosleep(&w->s->pause, NULL);
        }
        if (fd >= 0)
                close(fd);
        return NULL;
}

static bool on_loop(int dir)
{
        struct stat st;

        return fstat(dir, &st) == 0 && major(st.st_dev) == LOOP_MAJOR;
}

int main(int argc, char **argv)
{
        static struct worker workers[N_WORKERS];
        pthread_t threads[N_WORKERS];
        static struct shared s;
        char *end = NULL;
        size_t n = 0;

        unsigned long seconds = argc >= 3 ? strtoul(argv[2], &end, 10) : 0, pause_us = 0;
        if (end && !*end && argc == 4)
                pause_us = strtoul(argv[3], &end, 10);
        if (argc < 3 || argc > 4 || *end || seconds == 0 || pause_us >= 1000000) {
                fprintf(stderr, "usage: harsh-writer DIR SECONDS [PAUSE]\n");
                return 2;
        }
        s.pause.tv_nsec = (long)pause_us * 1000;
        s.file_size = pause_us ? FILE_SIZE_PAUSED : FILE_SIZE;
        s.dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s.dir < 0 || !on_loop(s.dir)) {
                fprintf(stderr, "harsh-writer: %s is not on a loop device\n", argv[1]);
                return 2;
        }
        for (; n < N_WORKERS; n++) {
                workers[n] = (struct worker){.s = &s, .kind = plan[n], .number = (unsigned)n,
                                             .seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid() * 7919 + n + 1,
                                             .buf = aligned_alloc(4096, BUF)};
                if (!workers[n].buf || pthread_create(&threads[n], NULL, work, &workers[n]))
                        return 1;
        }
        struct timespec t = {.tv_sec = (time_t)seconds};
        while (nanosleep(&t, &t) < 0 && errno == EINTR)
                ;
        atomic_store(&s.stop, true);
        for (size_t i = 0; i < n; i++)
                pthread_join(threads[i], NULL);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                printf("%s=%llu ", kinds[i].name, atomic_load(&s.done[i]));
        printf("\n");
        return atomic_load(&s.failed);
}
