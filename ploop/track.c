/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The change tracker: what has been written to a loop device since the last look.
 *
 * A round is: take the bits → drain → read. The mark (track.bpf.c) is made while the request holds its queue, and the
 * drain waits until no request is in flight. So a block marked before the take has been written before the read; one
 * marked after it is in the next round's bits. Reading without the drain would see blocks before they land.
 *
 * Drain: LOOP_SET_STATUS64 with the values that LOOP_GET_STATUS64 gave freezes and unfreezes the device's queue and
 * changes nothing; it does not sync the file system.
 *
 * Self-check: in a moment without writes, the sectors that the program has seen must be those that the kernel's own
 * statistics have counted (written + discarded), since such a moment at the start; and the kernel must
 * never have skipped the program. Anything else, a start without one included, is "compare by hash". A
 * device that never rests has none: start the tracker while its file system is frozen.
 *
 * Not done: reading. Callers read the image file with O_DIRECT. Not tracked: writes to the file past the device.
 */
#include "ploop/ploop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "ploop/attach.h"
#include "ploop/ranges.h"
#include "ploop/track-load.h"

#define LOOP_MAJOR 7
#define BLOCK UINT64_C(4096)
#define REST_TRIES 200 /* of 1 ms */

/* What the kernel and the program have counted at one moment without writes. */
struct balance {
        uint64_t kernel, program; /* sectors changed */
};

struct track {
        struct track_program program;
        int loopfd; /* a duplicate: the device stays ours as long as we mark its blocks */
        unsigned minor;
        uint64_t size;
        struct balance start;
        bool rested; /* start is valid */
};

static const char cannot[] = "cannot track the image's changes";

static bool next_field(const char **p, uint64_t *ret)
{
        while (**p == ' ')
                (*p)++;
        return scan_u64(p, ret);
}

/* The first n numbers of a file of the device. */
static int read_numbers(unsigned number, const char *file, uint64_t *ret, size_t n, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        char path[64];

        snprintf(path, sizeof(path), "/sys/dev/block/%d:%u/%s", LOOP_MAJOR, number, file);
        int r = path_read(AT_FDCWD, path, &text, NULL, err);
        if (r < 0)
                return r;
        const char *p = text;
        for (size_t i = 0; i < n; i++)
                if (!next_field(&p, &ret[i]))
                        return err_set(err, EX_KERNEL, cannot, "the device's statistics have too few fields", "%s", path);
        return 0;
}

/* Documentation/block/stat.rst: the 7th is written, the 14th discarded, in sectors of 512 bytes. `inflight` counts reads,
 * then everything that changes data. */
static int read_balance(const struct track *t, struct balance *ret, uint64_t *ret_in_flight, struct err *err)
{
        struct track_counters c = {};
        uint64_t stat[14], flying[2] = {};
        int r = read_numbers(t->minor, "stat", stat, ELEMENTSOF(stat), err);

        if (r == 0)
                r = read_numbers(t->minor, "inflight", flying, ELEMENTSOF(flying), err);
        if (r < 0)
                return r;
        ret->kernel = stat[6] + stat[13];
        *ret_in_flight = flying[1];
        r = track_program_counters(&t->program, &c, err);
        ret->program = c.sectors;
        return r;
}

/* Looks for a moment without writes: nothing in flight, and neither side counted anything between two looks at
 * both. 1: there was none. */
static int find_rest(const struct track *t, struct balance *ret, struct err *err)
{
        const struct timespec pause = {.tv_nsec = 1000000};

        for (int i = 0; i < REST_TRIES; i++) {
                struct balance a, b;
                uint64_t flying_a, flying_b;
                int r = read_balance(t, &a, &flying_a, err);
                if (r == 0)
                        r = read_balance(t, &b, &flying_b, err);
                if (r < 0)
                        return r;
                if (!flying_a && !flying_b && a.kernel == b.kernel && a.program == b.program) {
                        *ret = a;
                        return 0;
                }
                (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
        }
        return 1;
}

/* The kernel must count, or there is nothing to check against. */
static int check_device(int loopfd, unsigned number, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        struct loop_info64 info = {};
        char path[64];
        int r = sys_ioctl(loopfd, LOOP_GET_STATUS64, &info);

        if (r < 0)
                return err_sys(err, EX_DISK, r, cannot, "/dev/loop%u", number);
        if (info.lo_offset)
                return err_set(err, EX_DISK, cannot, "the image does not begin at the start of its file", "/dev/loop%u",
                               number);
        snprintf(path, sizeof(path), "/sys/dev/block/%d:%u/queue/iostats", LOOP_MAJOR, number);
        r = path_read(AT_FDCWD, path, &text, NULL, err);
        if (r < 0)
                return r;
        if (text[0] == '1')
                return 0;
        err_set(err, EX_KERNEL, cannot, "the device's statistics are turned off", "/dev/loop%u", number);
        return err ? err_remedy(err, "write 1 to %s", path) : -EX_KERNEL;
}

static int start(struct track *t, struct err *err)
{
        struct track_target target = {LOOP_MAJOR, t->minor, (t->size + BLOCK - 1) / BLOCK};
        int r = track_program_load(&target, &t->program, err);

        /* What was issued before the program was attached is over after this, so that round 0 reads it. */
        if (r == 0)
                r = track_drain(t, err);
        if (r == 0)
                r = find_rest(t, &t->start, err);
        if (r < 0)
                return r;
        t->rested = r == 0;
        return 0;
}

int track_new(int loopfd, uint64_t size, struct track **ret, struct err *err)
{
        unsigned number = 0;
        char device[32];
        int r = loop_name(loopfd, device, sizeof(device), &number, err);

        if (r == 0)
                r = check_device(loopfd, number, err);
        if (r < 0)
                return r;
        struct track *t = calloc(1, sizeof(*t));
        if (!t)
                return err_sys(err, EX_NOSPC, ENOMEM, cannot, "%s", device);
        t->minor = number;
        t->size = size;
        t->loopfd = fcntl(loopfd, F_DUPFD_CLOEXEC, 3);
        r = t->loopfd < 0 ? err_sys(err, EX_FAIL, errno, cannot, "%s", device) : start(t, err);
        if (r < 0) {
                track_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

static void mark(struct track *t, const struct range *at)
{
        uint64_t last = (at->offset + at->length - 1) / BLOCK;

        for (uint64_t b = at->offset / BLOCK; b <= last; b++)
                __atomic_fetch_or(&t->program.words[b / 64], UINT64_C(1) << (b % 64), __ATOMIC_SEQ_CST);
}

static int add_word(struct range_list *l, size_t word, uint64_t bits, uint64_t size, struct err *err)
{
        while (bits) {
                unsigned from = (unsigned)__builtin_ctzll(bits);
                uint64_t rest = ~(bits >> from);
                unsigned n = rest ? (unsigned)__builtin_ctzll(rest) : 64;
                if (n > 64 - from)
                        n = 64 - from;
                uint64_t offset = (word * 64 + from) * BLOCK, length = n * BLOCK;
                if (offset + length > size)
                        length = size - offset;
                int r = range_add(l, offset, length, err);
                if (r < 0)
                        return r;
                bits &= n + from >= 64 ? 0 : ~UINT64_C(0) << (from + n);
        }
        return 0;
}

int track_take(struct track *t, struct range **ret, size_t *ret_n, struct err *err)
{
        _cleanup_ranges_ struct range_list l = {};
        struct track_counters c = {};
        int r = track_program_counters(&t->program, &c, err);

        if (r < 0)
                return r;
        if (c.outside) {
                err_set(err, EX_STATE, cannot, "it was written past the size that it had", "/dev/loop%u", t->minor);
                return err ? err_remedy(err, "the image has grown: start again") : -EX_STATE;
        }
        for (size_t i = 0; i < t->program.n_words; i++) {
                /* A bit that is set after this look belongs to the next round either way. */
                if (!__atomic_load_n(&t->program.words[i], __ATOMIC_RELAXED))
                        continue;
                uint64_t bits = __atomic_exchange_n(&t->program.words[i], 0, __ATOMIC_SEQ_CST);
                r = add_word(&l, i, bits, t->size, err);
                if (r == 0)
                        continue;
                /* Nothing taken may be lost: back into the map. */
                __atomic_fetch_or(&t->program.words[i], bits, __ATOMIC_SEQ_CST);
                for (size_t k = 0; k < l.n; k++)
                        mark(t, &l.at[k]);
                return r;
        }
        *ret_n = l.n;
        *ret = l.at;
        l.at = NULL;
        return 0;
}

int track_drain(struct track *t, struct err *err)
{
        struct loop_info64 info = {};
        int r = sys_ioctl(t->loopfd, LOOP_GET_STATUS64, &info);

        if (r == 0)
                r = sys_ioctl(t->loopfd, LOOP_SET_STATUS64, &info);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot wait for the image's requests", "/dev/loop%u", t->minor) : 0;
}

static int doubt(const struct track *t, struct err *err, const char *why)
{
        err_set(err, EX_DISK, "a write to the image may have been missed", why, "/dev/loop%u", t->minor);
        if (err)
                err_remedy(err, "both sides are compared by hash");
        return 1;
}

int track_check(struct track *t, struct err *err)
{
        struct balance now = {};
        struct track_counters c = {};
        uint64_t misses = 0;

        if (!t->rested)
                return doubt(t, err, "the device did not rest when the tracker started");
        int r = track_program_misses(&t->program, &misses, err);
        if (r == 0)
                r = track_program_counters(&t->program, &c, err);
        if (r < 0)
                return r;
        if (misses)
                return doubt(t, err, "the kernel has skipped the program");
        if (c.outside)
                return doubt(t, err, "it was written past the size that it had");
        r = find_rest(t, &now, err);
        if (r < 0)
                return r;
        if (r)
                return doubt(t, err, "the device does not rest");
        if (now.kernel - t->start.kernel != now.program - t->start.program) {
                r = doubt(t, err, "");
                if (err)
                        err_why(err, "the kernel counted %" PRIu64 " sectors, the program %" PRIu64,
                                now.kernel - t->start.kernel, now.program - t->start.program);
                return r;
        }
        return 0;
}

void track_free(struct track *t)
{
        if (!t)
                return;
        track_program_done(&t->program);
        fd_close(t->loopfd);
        free(t);
}
