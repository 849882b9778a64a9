/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures of dumps and restores, through the same calls as `ctrctl checkpoint` and `ctrctl restore`:
 *
 *      bench-session LOAD CGROUP DIR frozen PROCESSES ROUNDS    ms that a tree of so many processes stands still for a dump
 *      bench-session LOAD CGROUP DIR memory MIB ROUNDS          MiB/s of dump, restore and memcpy, in turns
 *      bench-session agent                                      bytes and instructions
 *
 * One line a figure, "NAME VALUE", each the median of the rounds. DIR should be a tmpfs: what a disk does is its own affair.
 * Frozen is from the call of session_freeze() until session_resume() has returned, the image whole and synced in
 * between. A dump is that without the process's end, a restore is from the image's opening until the thaw; its ground is
 * made before, as a migration does. LOAD is tests/bench/load.c. Needs root, and a pid namespace whose end is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/timer.h"
#include "checkpoint/image.h"
#include "checkpoint/tape/tracee.h"
#include "tests/kind/driver.h"

#define FREEZE_MS 20000
#define ROUNDS_MAX 64
#define IMAGE "image"

static double ms_since(uint64_t start)
{
        return (double)(now_ns() - start) / 1e6;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
        qsort(v, n, sizeof(*v), by_value);
        return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* ---- the tree ---- */

static void image_remove(const struct trial *r)
{
        static const char *const names[] = {IMAGE "/records", IMAGE "/pages", IMAGE, "ready"};
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (unlinkat(dir, names[i], 0) < 0 && errno == EISDIR)
                        (void)unlinkat(dir, names[i], AT_REMOVEDIR);
        close(dir);
}

static int load_start(struct trial *r, unsigned processes, unsigned mib)
{
        char path[128];

        image_remove(r);
        snprintf(path, sizeof(path), "%s/load", r->dir);
        FILE *f = fopen(path, "we");
        if (!f || fprintf(f, "%u %u\n", processes, mib) < 0 || fclose(f) != 0)
                return failed(r, "%s: %s", path, strerror(errno));
        return victim_start(r);
}

static int write_image(struct trial *r, struct dump *d, struct err *err)
{
        struct image_writer *w = NULL;
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int n = image_writer_open(dir, IMAGE, session_record_types(), &w, err);

        close(dir);
        if (n < 0)
                return n;
        struct record_sink rs = image_writer_records(w);
        n = session_dump(d, &rs, &image_page_sink, w, err);
        if (n < 0) {
                image_writer_abort(w);
                return n;
        }
        return image_writer_close(w, err);
}

/* Frozen, written, and let go or ended; *ret_ms without the end. */
static int dump_once(struct trial *r, bool end, double *ret_ms)
{
        struct err err = {0};
        struct dump *d = NULL;
        uint64_t start = now_ns();
        int n = session_freeze(&r->s, FREEZE_MS, &d, &err);

        if (n < 0)
                return failed_err(r, "freeze", &err);
        n = write_image(r, d, &err);
        if (n >= 0 && end) {
                *ret_ms = ms_since(start);
                n = session_kill(&r->s, d, &err);
        } else {
                int q = session_resume(d, n < 0 ? NULL : &err);
                *ret_ms = ms_since(start);
                n = n < 0 ? n : q;
        }
        return n < 0 ? failed_err(r, "dump", &err) : 0;
}

static int restore_once(struct trial *r, double *ret_ms)
{
        struct err err = {0};
        struct image *img = NULL;
        struct restore *rs = NULL;

        if (victim_ground(r) < 0)
                return -1;
        int dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        uint64_t start = now_ns();
        int n = image_open(dir, IMAGE, session_record_types(), &img, &err);
        close(dir);
        if (n >= 0)
                n = session_prepare(&r->s, img, &rs, &err);
        if (n >= 0)
                n = session_park(rs, &err);
        if (n >= 0)
                restore_free(rs);
        else
                session_undo(rs);
        if (n >= 0)
                n = session_go(&r->s, &err);
        *ret_ms = ms_since(start);
        image_close(img);
        return n < 0 ? failed_err(r, "restore", &err) : victim_at_large(r);
}

/* ---- what is measured ---- */

static int run_frozen(struct trial *r, unsigned processes, unsigned rounds)
{
        double frozen[ROUNDS_MAX];

        if (load_start(r, processes, 0) < 0)
                return -1;
        for (unsigned i = 0; i < rounds; i++) {
                if (dump_once(r, false, &frozen[i]) < 0 || victim_at_large(r) < 0)
                        return -1;
                image_remove(r);
        }
        printf("frozen_ms %.3f\n", median(frozen, rounds));
        return 0;
}

/* Both buffers are there already: what memory can do, not what page faults cost. */
static double copy_rate(void *to, const void *from, size_t bytes)
{
        uint64_t start = now_ns();

        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory");
        return (double)(bytes >> 20) / (ms_since(start) / 1e3);
}

static int run_memory(struct trial *r, unsigned mib, unsigned rounds)
{
        double dump[ROUNDS_MAX], restore[ROUNDS_MAX], copy[ROUNDS_MAX], ms = 0;
        size_t bytes = (size_t)mib << 20;
        char *buf = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (buf == MAP_FAILED)
                return failed(r, "memory for the copy: %s", strerror(errno));
        memset(buf, 1, 2 * bytes);
        for (unsigned i = 0; i < rounds; i++) {
                copy[i] = copy_rate(buf + bytes, buf, bytes);
                if (load_start(r, 1, mib) < 0 || dump_once(r, true, &ms) < 0 || victim_gone(r) < 0)
                        return -1;
                dump[i] = mib / (ms / 1e3);
                if (restore_once(r, &ms) < 0)
                        return -1;
                restore[i] = mib / (ms / 1e3);
                victim_end_all(r);
        }
        (void)munmap(buf, 2 * bytes);
        printf("dump_rate %.1f\nrestore_rate %.1f\ncopy_rate %.1f\n", median(dump, rounds), median(restore, rounds), median(copy, rounds));
        return 0;
}

static int agent_line(void)
{
        size_t bytes;
        unsigned instructions;

        agent_size(&bytes, &instructions);
        printf("agent_bytes %zu\nagent_instructions %u\n", bytes, instructions);
        return 0;
}

int main(int argc, char **argv)
{
        uint64_t amount, rounds;

        if (argc == 2 && strcmp(argv[1], "agent") == 0)
                return agent_line();
        if (argc != 7 || parse_u64(argv[5], 1, 65536, &amount, NULL) < 0 || parse_u64(argv[6], 1, ROUNDS_MAX, &rounds, NULL) < 0) {
                fprintf(stderr, "usage: %s LOAD CGROUP DIR frozen|memory AMOUNT ROUNDS, or %s agent\n", argv[0], argv[0]);
                return 2;
        }
        struct trial r = {.master = -1, .program = argv[1], .stem = "bench", .cgroup = argv[2],
                          .s = {.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .console_index = -1, .caps = ~UINT64_C(0),
                                .sock = -1, .sock_fd = -1, .fssync_fd = -1}};
        if (snprintf(r.dir, sizeof(r.dir), "%s", argv[3]) >= (int)sizeof(r.dir)) {
                fprintf(stderr, "%s: the directory's name is too long\n", argv[3]);
                return 2;
        }
        int n = strcmp(argv[4], "frozen") == 0 ? run_frozen(&r, (unsigned)amount, (unsigned)rounds)
                                               : run_memory(&r, (unsigned)amount, (unsigned)rounds);
        victim_end_all(&r);
        image_remove(&r);
        if (n < 0)
                fprintf(stderr, "%s\n", r.why);
        return n < 0;
}
