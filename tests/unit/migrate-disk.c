/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk on the wire with plain files: what arrives is the same file, holes included, in every round; what the other
 * node may not do is refused. Without a loop device the source compares hashes, which is the harder way.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/disk.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"

#define SIZE (16u << 20)

static int scratch(void)
{
        char path[] = "/var/tmp/migrate-disk-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);

        cr_assert_geq(fd, 0);
        unlink(path);
        return fd;
}

static void fill(int fd, uint64_t at, size_t len, unsigned char with)
{
        unsigned char *p = malloc(len);

        memset(p, with, len);
        cr_assert_eq(pwrite(fd, p, len, (off_t)at), (ssize_t)len);
        free(p);
}

struct receiver { struct wire w; struct disk_target *d; struct err err; int r; };

static void *receive(void *arg)
{
        struct receiver *t = arg;
        bool last = false;

        while (t->r == 0 && !last) {
                struct wire_msg m;
                ProtobufCMessage *body;
                t->r = msg_recv(&t->w, &m, &body, &t->err);
                if (t->r == 0 && disk_target_take(t->d, &t->w, &m, body, &last, &t->err) < 0) {
                        t->r = -t->err.code;
                        msg_send_error(&t->w, &t->err);
                }
                msg_free(body);
        }
        return NULL;
}

static void pair_up(struct wire *a, struct wire *b)
{
        int p[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
        cr_assert_eq(wire_open(p[0], p[0], 5000, a, NULL), 0);
        cr_assert_eq(wire_open(p[1], p[1], 5000, b, NULL), 0);
}

static void expect_same(int a, int b)
{
        static unsigned char x[SIZE], y[SIZE];

        cr_assert_eq(pread(a, x, SIZE, 0), SIZE);
        cr_assert_eq(pread(b, y, SIZE, 0), SIZE);
        cr_expect_eq(memcmp(x, y, SIZE), 0);
}

Test(disk, rounds_make_the_same_file)
{
        int from = scratch(), to = scratch();
        struct wire w;
        struct receiver t = {0};
        struct disk_source *s;
        struct err note, err = {0};
        pthread_t thread;
        struct stat st;

        cr_assert_eq(ftruncate(from, SIZE), 0);
        fill(from, 0, 8192, 'a');
        fill(from, 3u << 20, 2u << 20, 'b');
        fill(from, SIZE - 4096, 4096, 'c');
        fill(from, 8u << 20, 1u << 20, 0);
        pair_up(&w, &t.w);
        cr_assert_eq(disk_target_new(to, SIZE, &t.d, &err), 0);
        cr_assert_eq(pthread_create(&thread, NULL, receive, &t), 0);
        cr_assert_eq(disk_source_new(from, -1, SIZE, &s, &note, &err), 0);
        cr_expect_eq(note.code, EX_KERNEL);
        cr_assert_eq(disk_source_round(s, &w, false, &err), 0, "%s", err.why);
        cr_expect_eq(disk_source_round_bytes(s), 8192 + (2u << 20) + 4096, "zeros do not travel");
        expect_same(from, to);

        fill(from, 4096, 4096, 'd');
        fill(from, 3u << 20, 1u << 20, 0);
        cr_assert_eq(fallocate(from, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, SIZE - 4096, 4096), 0);
        cr_assert_eq(disk_source_round(s, &w, false, &err), 0, "%s", err.why);
        cr_expect_eq(disk_source_round_bytes(s), 4096);
        expect_same(from, to);

        fill(from, 7u << 20, 4096, 'e');
        cr_assert_eq(disk_source_round(s, &w, true, &err), 0, "%s", err.why);
        pthread_join(thread, NULL);
        cr_expect_eq(t.r, 0, "%s", t.err.why);
        expect_same(from, to);
        fstat(to, &st);
        cr_expect_lt(st.st_blocks * 512, 3 << 20, "holes stay holes");
        cr_expect_eq(disk_source_stat(s).resent, 8192);
        disk_source_free(s);
        disk_target_free(t.d);
        wire_done(&w);
        wire_done(&t.w);
        close(from);
        close(to);
}

/* What a hostile source sends must be refused before the file is touched. */
static int verdict(uint64_t at, size_t len)
{
        static unsigned char bytes[WIRE_BULK_MAX];
        struct receiver t = {0};
        struct wire w;
        struct wire_msg m;
        ProtobufCMessage *body;
        bool last = false;
        int to = scratch();

        pair_up(&w, &t.w);
        cr_assert_eq(disk_target_new(to, SIZE, &t.d, NULL), 0);
        cr_assert_eq(w.ops->data(w.ctx, WIRE_DISK, at, bytes, len, NULL), 0);
        cr_assert_eq(msg_recv(&t.w, &m, &body, NULL), 0);
        int r = disk_target_take(t.d, &t.w, &m, body, &last, &t.err);
        struct stat st;
        fstat(to, &st);
        cr_expect_eq(st.st_size, SIZE);
        disk_target_free(t.d);
        wire_done(&w);
        wire_done(&t.w);
        close(to);
        return r;
}

Test(disk, blocks_outside_of_the_image_are_refused)
{
        cr_expect_eq(verdict(0, 4096), 1);
        cr_expect_eq(verdict(SIZE - 4096, 4096), 1);
        cr_expect_eq(verdict(SIZE, 4096), -EX_PEER);
        cr_expect_eq(verdict(SIZE - 4096, 8192), -EX_PEER);
        cr_expect_eq(verdict(512, 4096), -EX_PEER);
        cr_expect_eq(verdict(0, 4095), -EX_PEER);
        cr_expect_eq(verdict(0, 0), -EX_PEER);
        cr_expect_eq(verdict((uint64_t)1 << 62, 4096), -EX_PEER);
        struct disk_target *d;
        int to = scratch();
        cr_expect_eq(disk_target_new(to, 0, &d, NULL), -EX_PEER);
        cr_expect_eq(disk_target_new(to, UINT64_MAX / DISK_BLOCK * DISK_BLOCK, &d, NULL), -EX_PEER);
        cr_expect_eq(disk_target_new(to, 4097, &d, NULL), -EX_PEER);
        close(to);
}

Test(disk, a_round_that_was_announced_otherwise_is_refused)
{
        struct receiver t = {0};
        struct wire w;
        int to = scratch();
        Gantry__WireRound m = GANTRY__WIRE_ROUND__INIT;

        pair_up(&w, &t.w);
        cr_assert_eq(disk_target_new(to, SIZE, &t.d, NULL), 0);
        m.bytes = 4096;
        cr_assert_eq(msg_send(&w, MSG_ROUND, &m.base, NULL), 0);
        receive(&t);
        cr_expect_eq(t.r, -EX_PEER);
        disk_target_free(t.d);
        wire_done(&w);
        wire_done(&t.w);
        close(to);
}

Test(disk, the_stop_rule)
{
        uint64_t shrinking[DISK_ROUNDS_MAX] = {1000u << 20, 100u << 20, 10u << 20, 2u << 20, 1u << 20};
        uint64_t flat[DISK_ROUNDS_MAX] = {1000u << 20, 500u << 20, 490u << 20};
        uint64_t never[DISK_ROUNDS_MAX];

        for (unsigned n = 0; n < 5; n++)
                cr_expect(disk_again(shrinking, n), "%u", n);
        cr_expect_not(disk_again(shrinking, 5));
        cr_expect(disk_again(flat, 2));
        cr_expect_not(disk_again(flat, 3));
        for (unsigned n = 0; n < DISK_ROUNDS_MAX; n++)
                never[n] = (uint64_t)1 << (60 - 2 * n);
        cr_expect_not(disk_again(never, DISK_ROUNDS_MAX));
}
