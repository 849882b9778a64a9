/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ploop-copier DIR IMAGE COPY ROUNDS MODE CGROUP: copies the image mounted at DIR while the tasks of CGROUP (a directory
 * of the v2 tree) write to it, then compares all of it, byte by byte, with tasks and file system still frozen.
 *
 * The rounds are those of a migration: everything allocated, then take → drain → read, the last one with the tasks
 * frozen first and the file system after them. Discards of free blocks go on in a frozen file system (ext4's own
 * worker, FITRIM): while the comparison finds something, one more round is asked for, which can help only if the
 * tracker has seen what happened. A MODE other than "right" leaves something out on purpose; if the comparison still finds nothing, it proves nothing:
 *   no-drain   reads right after the take
 *   no-mark    forgets every seventh range of a take
 *   hash       no tracker: hashes of the image against those of what was copied
 *   stall      stops for ever in the middle of round 1 (to be killed)
 *   stall-frozen  the same with the file system frozen
 * Ends with 0: equal and the self-check agrees, 3: different, 4: equal but the self-check is in doubt, 1: failed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timer.h"
#include "ploop/ploop.h"

#define CHUNK ((size_t)1 << 20)
#define BLOCK 4096
#define SETTLE_ROUNDS 3

enum mode { RIGHT, NO_DRAIN, NO_MARK, HASH, STALL, STALL_FROZEN };
static const char *const mode_names[] = {"right", "no-drain", "no-mark", "hash", "stall", "stall-frozen"};

struct copy {
        enum mode mode;
        int fs, image, to, loop, cgroup;
        uint64_t size, copied;
        struct track *track;
        struct block_hashes *hashes;
        unsigned char *buf, *other;
};

static bool all_zero(const unsigned char *p, size_t n)
{
        return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int put(struct copy *c, const unsigned char *p, size_t n, off_t at, struct err *err)
{
        int r = 0;

        if (all_zero(p, n))
                r = sys_fallocate(c->to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)n);
        else
                return fd_pwrite_full(c->to, p, n, at, err);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot punch a hole", "copy") : 0;
}

static int copy_range(struct copy *c, const struct range *at, struct err *err)
{
        for (uint64_t off = at->offset; off < at->offset + at->length;) {
                uint64_t left = at->offset + at->length - off;
                size_t n = left < CHUNK ? (size_t)left : CHUNK, got = 0;
                int r = fd_pread_full(c->image, c->buf, n, (off_t)off, &got, err);
                if (r >= 0)
                        r = c->hashes ? hashes_note(c->hashes, off, c->buf, n, err) : 0;
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n && r == 0; i += BLOCK)
                        r = put(c, c->buf + i, n - i < BLOCK ? n - i : BLOCK, (off_t)(off + i), err);
                if (r < 0)
                        return r;
                c->copied += n;
                off += n;
        }
        return 0;
}

static int changed(struct copy *c, bool first, struct range **ret, size_t *ret_n, struct err *err)
{
        if (c->mode == HASH)
                return hashes_take(c->image, &c->hashes, ret, ret_n, err);
        if (first)
                return image_ranges(c->image, ret, ret_n, err);
        int r = track_take(c->track, ret, ret_n, err);
        if (r == 0 && c->mode != NO_DRAIN)
                r = track_drain(c->track, err);
        return r;
}

static void stall(void)
{
        printf("stalled\n");
        fflush(stdout);
        pause();
}

static int one_round(struct copy *c, bool first, struct err *err)
{
        _cleanup_free_ struct range *at = NULL;
        uint64_t begin = now_ns(), before = c->copied;
        size_t n = 0;
        int r = changed(c, first, &at, &n, err);

        for (size_t i = 0; i < n && r == 0; i++) {
                if (c->mode == NO_MARK && !first && i % 7 == 0)
                        continue;
                r = copy_range(c, &at[i], err);
                if (c->mode == STALL && !first)
                        stall();
        }
        printf("round: %zu ranges, %.1f MiB, %.0f ms\n", n, (double)(c->copied - before) / 1048576.0,
               (double)(now_ns() - begin) / 1e6);
        return r;
}

/* The page cache may hold old pages of the image: both are read past it or after it was dropped by direct writes. */
static int compare(struct copy *c, uint64_t *ret_different, struct err *err)
{
        uint64_t different = 0, holes = 0;

        for (uint64_t off = 0; off < c->size; off += CHUNK) {
                size_t n = c->size - off < CHUNK ? (size_t)(c->size - off) : CHUNK, a = 0, b = 0;
                int r = fd_pread_full(c->image, c->buf, n, (off_t)off, &a, err);
                if (r >= 0)
                        r = fd_pread_full(c->to, c->other, n, (off_t)off, &b, err);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i += BLOCK) {
                        bool differs = memcmp(c->buf + i, c->other + i, BLOCK) != 0;
                        different += differs;
                        holes += differs && all_zero(c->buf + i, BLOCK);
                }
        }
        printf("compared: %" PRIu64 " blocks differ, %" PRIu64 " of them zero in the image\n", different, holes);
        *ret_different = different;
        return 0;
}

static int begin(struct copy *c, struct err *err)
{
        int r = image_freeze(c->fs, err);

        if (r < 0)
                return r;
        r = c->mode == HASH ? 0 : track_new(c->loop, c->size, &c->track, err);
        int q = image_thaw(c->fs, r < 0 ? NULL : err);
        return r < 0 ? r : q;
}

/* 0 equal, 3 different, 4 in doubt. */
static int end(struct copy *c, struct err *err)
{
        uint64_t different = 0;
        struct err why = {};
        char line[640];
        int r = one_round(c, false, err);

        if (r == 0)
                r = compare(c, &different, err);
        for (int i = 0; i < SETTLE_ROUNDS && r == 0 && different; i++) {
                r = one_round(c, false, err);
                if (r == 0)
                        r = compare(c, &different, err);
        }
        int q = r == 0 && c->track ? track_check(c->track, &why) : 0;
        if (r < 0)
                return r;
        printf("self-check: %s\n", q == 0 ? "right" : err_format(&why, line, sizeof(line)));
        return different ? 3 : q ? 4 : 0;
}

static int run(struct copy *c, uint64_t rounds, struct err *err)
{
        int r = begin(c, err);

        if (r < 0)
                return r;
        for (uint64_t i = 0; i + 1 < rounds && r == 0; i++)
                r = one_round(c, i == 0, err);
        uint64_t from = now_ns();
        if (r == 0)
                r = cgroup_freeze(c->cgroup, 10000, err);
        if (r == 0)
                r = image_freeze(c->fs, err);
        if (r)
                return r < 0 ? r : err_set(err, EX_BUSY, "cannot freeze the writers", "not in time", "cgroup");
        printf("frozen in %.1f ms\n", (double)(now_ns() - from) / 1e6);
        if (c->mode == STALL_FROZEN)
                stall();
        r = end(c, err);
        int q = image_thaw(c->fs, r < 0 ? NULL : err);
        int q2 = cgroup_thaw(c->cgroup, r < 0 || q < 0 ? NULL : err);
        return r < 0 ? r : q < 0 ? q : q2 < 0 ? q2 : r;
}

static int open_all(struct copy *c, char **argv, struct err *err)
{
        struct disk_info info;

        c->fs = path_open(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY, 0, err);
        c->image = c->fs < 0 ? -1 : path_open(AT_FDCWD, argv[2], O_RDONLY, 0, err);
        c->to = c->image < 0 ? -1 : path_open(AT_FDCWD, argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600, err);
        c->cgroup = c->to < 0 ? -1 : path_open(AT_FDCWD, argv[6], O_RDONLY | O_DIRECTORY, 0, err);
        if (c->cgroup < 0)
                return -EX_FAIL;
        int r = disk_info(c->image, &info, err);
        if (r < 0)
                return r;
        if (!info.attached)
                return err_set(err, EX_STATE, "cannot copy", "it is not attached", "%s", argv[2]);
        fd_close(c->image);
        c->image = path_open(AT_FDCWD, argv[2], O_RDONLY | O_DIRECT, 0, err);
        c->loop = c->image < 0 ? -1 : path_open(AT_FDCWD, info.device, O_RDWR, 0, err);
        if (c->loop < 0)
                return -EX_FAIL;
        c->size = info.size;
        r = sys_ftruncate(c->to, (off_t)c->size);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot make the copy", "%s", argv[3]) : 0;
}

int main(int argc, char **argv)
{
        struct copy c = {.buf = aligned_alloc(BLOCK, CHUNK), .other = aligned_alloc(BLOCK, CHUNK)};
        struct err err = {};
        uint64_t rounds = 0;
        char line[640];
        int r = -1;

        for (size_t i = 0; argc == 7 && i < ELEMENTSOF(mode_names); i++)
                if (str_eq(argv[5], mode_names[i])) {
                        c.mode = (enum mode)i;
                        r = parse_u64(argv[4], 2, 100, &rounds, NULL);
                }
        if (r < 0 || !c.buf || !c.other) {
                fprintf(stderr, "usage: ploop-copier DIR IMAGE COPY ROUNDS MODE CGROUP\n");
                return 2;
        }
        r = open_all(&c, argv, &err);
        if (r == 0)
                r = run(&c, rounds, &err);
        track_free(c.track);
        hashes_free(c.hashes);
        free(c.buf);
        free(c.other);
        if (r < 0) {
                fprintf(stderr, "ploop-copier: %s\n", err_format(&err, line, sizeof(line)));
                return err.code == EX_KERNEL ? EX_KERNEL : 1;
        }
        return r;
}
