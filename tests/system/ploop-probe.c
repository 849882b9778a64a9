/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ploop-probe drain DIR | check DIR | maps WORDS: what the shell tests of ploop cannot do themselves.
 *
 * drain   DIR is an empty file system on a loop device. An image in it is attached, DIR frozen: a write to the image
 *         is then in flight for as long as we like. It must be marked, must not be in the file (so that a reader who
 *         does not drain would copy the old block), the drain must wait for it, and after it the file must have it.
 * check   the self-check: right after real writes; in doubt when the program counts too few (the linker puts our
 *         counters before the real ones) and when the kernel has skipped it.
 * maps    prints how many BPF maps named `bits` with so many entries exist: a killed copier must leave none.
 *
 * Ends with 0, or 1 after saying what was not as it must be; `drain` with 77 where the loop driver passes by a freeze of the
 * host's file system (6.1), so that no write can be held.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "ploop/ploop.h"
#include "ploop/track-load.h"

#define BLOCK 4096
#define AT (UINT64_C(1234) * BLOCK)
#define SKIPPED 77
#define SIZE (UINT64_C(64) << 20)

struct lies {
        atomic_ullong sectors, misses;
};

static struct lies *lies(void)
{
        static struct lies l; /* the linker's wrappers get no context */

        return &l;
}

int __real_track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err);
int __wrap_track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err);
int __wrap_track_program_counters(const struct track_program *p, struct track_counters *ret, struct err *err)
{
        int r = __real_track_program_counters(p, ret, err);

        if (r == 0)
                ret->sectors -= atomic_load(&lies()->sectors);
        return r;
}

int __real_track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err);
int __wrap_track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err);
int __wrap_track_program_misses(const struct track_program *p, uint64_t *ret, struct err *err)
{
        int r = __real_track_program_misses(p, ret, err);

        if (r == 0)
                *ret += atomic_load(&lies()->misses);
        return r;
}

struct bench {
        int dir, image, loop;
        struct track *track;
        unsigned char *buf;
};

struct step {
        pthread_t thread;
        struct bench *b;
        atomic_bool done;
        int r;
        struct err err;
};

static int say(const char *what)
{
        fprintf(stderr, "ploop-probe: %s\n", what);
        return 1;
}

static int fail(const struct err *err)
{
        char line[640];

        return say(err_format(err, line, sizeof(line)));
}

static void rest(unsigned ms)
{
        struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

        nanosleep(&t, NULL);
}

static int setup(struct bench *b, const char *dir, struct err *err)
{
        struct image_options o = {.size = SIZE};
        struct image_attach_options ao = {.minor = -1};
        struct stat st;

        b->buf = aligned_alloc(BLOCK, BLOCK);
        b->dir = path_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, err);
        if (b->dir < 0 || !b->buf)
                return -EX_FAIL;
        if (fstat(b->dir, &st) < 0 || major(st.st_dev) != 7)
                return err_set(err, EX_USAGE, "cannot freeze", "not on a loop device", "%s", dir);
        int r = image_create(b->dir, "probe.img", &o, err);
        if (r < 0)
                return r;
        b->image = path_open(b->dir, "probe.img", O_RDWR | O_DIRECT, 0, err);
        if (b->image < 0)
                return b->image;
        r = image_attach(b->image, &ao, &b->loop, err);
        return r < 0 ? r : track_new(b->loop, SIZE, &b->track, err);
}

/* A direct write to the device: it returns when it has landed. */
static int write_block(struct bench *b, int value, struct err *err)
{
        char path[64];
        _cleanup_free_ unsigned char *buf = aligned_alloc(BLOCK, BLOCK);

        if (!buf)
                return err_sys(err, EX_NOSPC, ENOMEM, "cannot write", "device");
        memset(buf, value, BLOCK);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", b->loop);
        _cleanup_close_ int fd = path_open(AT_FDCWD, path, O_WRONLY | O_DIRECT, 0, err);
        if (fd < 0)
                return fd;
        ssize_t n = pwrite(fd, buf, BLOCK, (off_t)AT);
        return n == BLOCK ? 0 : err_sys(err, EX_FAIL, errno, "cannot write", "device");
}

static bool file_has(struct bench *b, int value)
{
        return pread(b->image, b->buf, BLOCK, (off_t)AT) == BLOCK && b->buf[0] == value && b->buf[BLOCK - 1] == value;
}

/* 1: the block is among what the take gave. */
static int taken(struct bench *b, struct err *err)
{
        _cleanup_free_ struct range *at = NULL;
        size_t n = 0;
        int r = track_take(b->track, &at, &n, err), found = 0;

        for (size_t i = 0; r == 0 && i < n; i++)
                found |= at[i].offset <= AT && AT < at[i].offset + at[i].length;
        return r < 0 ? r : found;
}

static void *write_thread(void *arg)
{
        struct step *s = arg;

        s->r = write_block(s->b, 'B', &s->err);
        atomic_store(&s->done, true);
        return NULL;
}

static void *drain_thread(void *arg)
{
        struct step *s = arg;

        s->r = track_drain(s->b->track, &s->err);
        atomic_store(&s->done, true);
        return NULL;
}

/* With DIR frozen. */
static int in_flight(struct bench *b, struct step *writer, struct step *drainer)
{
        struct err err = {};
        int r = 0;

        if (pthread_create(&writer->thread, NULL, write_thread, writer))
                return say("no thread");
        for (int i = 0; i < 200 && r == 0; i++) {
                rest(10);
                r = taken(b, &err);
        }
        bool old = file_has(b, 'A');
        if (pthread_create(&drainer->thread, NULL, drain_thread, drainer))
                return say("no thread");
        rest(300);
        if (r < 0)
                return fail(&err);
        if (r == 0)
                return say("a write in flight is not marked");
        if (!old || atomic_load(&writer->done)) {
                say("this kernel's loop driver writes into a frozen file system");
                return SKIPPED;
        }
        return atomic_load(&drainer->done) ? say("the drain did not wait for a write in flight") : 0;
}

static int test_drain(struct bench *b, struct err *err)
{
        struct step writer = {.b = b}, drainer = {.b = b};
        int r = write_block(b, 'A', err);

        if (r == 0)
                r = taken(b, err);
        if (r < 0)
                return fail(err);
        if (r == 0)
                return say("a finished write is not marked");
        if (!file_has(b, 'A'))
                return say("a finished write is not in the file");
        r = image_freeze(b->dir, err);
        if (r < 0)
                return fail(err);
        r = in_flight(b, &writer, &drainer);
        if (image_thaw(b->dir, err) < 0)
                return fail(err);
        if (drainer.thread)
                pthread_join(drainer.thread, NULL);
        bool has = file_has(b, 'B');
        if (writer.thread)
                pthread_join(writer.thread, NULL);
        if (r)
                return r;
        if (writer.r < 0 || drainer.r < 0)
                return fail(writer.r < 0 ? &writer.err : &drainer.err);
        if (!has)
                return say("after the drain the file does not have the write");
        return taken(b, err) == 0 ? 0 : say("a write was marked twice");
}

static int test_check(struct bench *b, struct err *err)
{
        int r = write_block(b, 'C', err);

        if (r == 0)
                r = track_check(b->track, err);
        if (r < 0)
                return fail(err);
        if (r)
                return fail(err);
        atomic_store(&lies()->sectors, 8);
        if (track_check(b->track, NULL) != 1)
                return say("a block that was not counted went unnoticed");
        atomic_store(&lies()->sectors, 0);
        atomic_store(&lies()->misses, 1);
        if (track_check(b->track, NULL) != 1)
                return say("a skipped program went unnoticed");
        atomic_store(&lies()->misses, 0);
        return track_check(b->track, NULL) == 0 ? 0 : say("the check does not recover");
}

static int count_maps(const char *text)
{
        uint64_t words = 0;
        unsigned n = 0;
        uint32_t id = 0;

        if (parse_u64(text, 1, UINT32_MAX, &words, NULL) < 0)
                return say("WORDS is no number");
        while (bpf_map_get_next_id(id, &id) == 0) {
                struct bpf_map_info info = {};
                uint32_t len = sizeof(info);
                _cleanup_close_ int fd = bpf_map_get_fd_by_id(id);
                if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
                        continue;
                n += str_eq(info.name, "bits") && info.max_entries == words;
        }
        printf("%u\n", n);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench b = {.dir = -1, .image = -1, .loop = -1};
        struct err err = {};
        int r;

        if (argc == 3 && str_eq(argv[1], "maps"))
                return count_maps(argv[2]);
        if (argc != 3 || (!str_eq(argv[1], "drain") && !str_eq(argv[1], "check")))
                return say("usage: ploop-probe drain DIR | check DIR | maps WORDS");
        r = setup(&b, argv[2], &err);
        if (r < 0)
                r = fail(&err);
        else
                r = str_eq(argv[1], "drain") ? test_drain(&b, &err) : test_check(&b, &err);
        track_free(b.track);
        free(b.buf);
        fd_close(b.loop);
        fd_close(b.image);
        if (b.dir >= 0)
                (void)unlinkat(b.dir, "probe.img", 0);
        return r;
}
