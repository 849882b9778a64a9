/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pipes: content, packets, sizes, flags of each end, missing ends, more than one description of an end. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd-pipe.pb-c.h"
#include "tests/unit/harness.h"

static int held(int fd)
{
        int n = -1;

        cr_assert_eq(ioctl(fd, FIONREAD, &n), 0);
        return n;
}

Test(fd_pipe, content_size_and_flags)
{
        struct kt *t = kt_new();
        int p[2];
        char buf[16] = "";

        cr_assert_eq(pipe(p), 0);
        cr_assert(write(p[1], "hello", 5) == 5);
        cr_assert_eq(fcntl(p[1], F_SETPIPE_SZ, 262144), 262144);
        cr_assert_eq(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
        cr_assert_eq(fchmod(p[0], 0640), 0);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_dump(t);
        cr_assert_eq(held(p[0]), 5, "the dump has consumed something");
        kt_close(t);
        kt_sweep(t);
        struct stat a, b;
        cr_assert(fstat(p[0], &a) == 0 && fstat(p[1], &b) == 0);
        cr_assert_eq(a.st_ino, b.st_ino);
        cr_assert_eq(a.st_mode & 07777, 0640u);
        cr_assert_eq(fcntl(p[0], F_GETPIPE_SZ), 262144);
        cr_assert_eq(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
        cr_assert_eq(fcntl(p[1], F_GETFL), O_WRONLY);
        cr_assert(read(p[0], buf, sizeof(buf)) == 5 && memcmp(buf, "hello", 5) == 0);
        kt_free(t);
}

Test(fd_pipe, a_full_mebibyte)
{
        struct kt *t = kt_new();
        int p[2];
        size_t size = 1u << 20;
        _cleanup_free_ uint8_t *put = malloc(size), *got = malloc(size);

        cr_assert_eq(pipe(p), 0);
        cr_assert_eq(fcntl(p[1], F_SETPIPE_SZ, (int)size), (int)size);
        for (size_t i = 0; i < size; i++)
                put[i] = (uint8_t)(i * 7 + (i >> 9));
        cr_assert(write(p[1], put, size) == (ssize_t)size);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(held(p[0]), (int)size);
        for (size_t at = 0; at < size;) {
                ssize_t n = read(p[0], got + at, size - at);
                cr_assert_gt(n, 0);
                at += (size_t)n;
        }
        cr_assert(memcmp(put, got, size) == 0);
        kt_free(t);
}

Test(fd_pipe, packets)
{
        struct kt *t = kt_new();
        int p[2];
        char buf[100];

        cr_assert_eq(pipe2(p, O_DIRECT), 0);
        cr_assert(write(p[1], "one", 3) == 3 && write(p[1], "three", 5) == 5);
        kt_add_fd(t, p[1]);
        kt_add_fd(t, p[0]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert(fcntl(p[1], F_GETFL) & O_DIRECT);
        cr_assert_eq(read(p[0], buf, sizeof(buf)), 3);
        cr_assert_eq(read(p[0], buf, sizeof(buf)), 5);
        cr_assert(write(p[1], "a", 1) == 1 && write(p[1], "b", 1) == 1);
        cr_assert_eq(read(p[0], buf, sizeof(buf)), 1);
        kt_free(t);
}

Test(fd_pipe, one_end_left)
{
        struct kt *t = kt_new();
        int a[2], b[2];
        char buf[8];

        signal(SIGPIPE, SIG_IGN);
        cr_assert(pipe(a) == 0 && pipe(b) == 0);
        cr_assert(write(a[1], "rest", 4) == 4);
        close(a[1]);
        close(b[0]);
        kt_add_fd(t, a[0]);
        kt_add_fd(t, b[1]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(read(a[0], buf, sizeof(buf)), 4);
        cr_assert_eq(read(a[0], buf, sizeof(buf)), 0, "a writer is there");
        cr_assert(write(b[1], "x", 1) == -1 && errno == EPIPE, "a reader is there");
        kt_free(t);
}

Test(fd_pipe, several_descriptions)
{
        struct kt *t = kt_new();
        int p[2];
        char path[40], buf[8];

        cr_assert_eq(pipe(p), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
        int w = open(path, O_WRONLY | O_NONBLOCK), rw = open(path, O_RDWR), twin = dup(p[1]);
        cr_assert(w >= 0 && rw >= 0 && twin >= 0);
        kt_add_fd(t, w);
        kt_add_fd(t, rw);
        kt_add_fd(t, p[0]);
        kt_alias(t, kt_add_fd(t, p[1]), twin);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(fcntl(w, F_GETFL) & ~0100000, O_WRONLY | O_NONBLOCK);
        cr_assert_eq(fcntl(rw, F_GETFL) & ~0100000, O_RDWR);
        cr_assert_eq(fcntl(p[1], F_GETFL), O_WRONLY);
        cr_assert_eq(fcntl(twin, F_SETFL, O_NONBLOCK), 0);
        cr_assert_eq(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK, "the twin is a description of its own");
        cr_assert(write(w, "1", 1) == 1 && write(rw, "2", 1) == 1 && write(p[1], "3", 1) == 1);
        cr_assert(read(p[0], buf, 8) == 3 && memcmp(buf, "123", 3) == 0);
        kt_free(t);
}

Test(fd_pipe, other_end_outside)
{
        int p[2];

        for (int side = 0; side < 2; side++) {
                struct kt *t = kt_new();
                struct err err = {};
                cr_assert_eq(pipe(p), 0);
                kt_add_fd(t, p[side]);
                cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
                cr_assert(strstr(err.why, "outside"), "%s", err.why);
                kt_free(t);
        }
}

static Gantry__FdPipe *message(uint64_t pipe, uint32_t flags)
{
        Gantry__FdPipe *m = malloc(sizeof(*m));

        gantry__fd_pipe__init(m);
        m->pipe = pipe;
        m->flags = flags;
        return m;
}

static Gantry__FdPipe *described(uint64_t pipe, uint32_t flags, const char *data)
{
        Gantry__FdPipe *m = message(pipe, flags);
        Gantry__FdPipe__Pipe *p = m->described = malloc(sizeof(*p));

        gantry__fd_pipe__pipe__init(p);
        p->has_reader = true;
        p->reader = pipe;
        p->size = 65536;
        p->mode = 0600;
        p->length = (uint32_t)strlen(data);
        p->has_data = p->length > 0;
        if (p->has_data)
                p->data = (ProtobufCBinaryData){p->length, (uint8_t *)strdup(data)};
        return m;
}

Test(fd_pipe, golden)
{
        struct kt *t = kt_new();
        Gantry__FdPipe *m = described(1, O_RDONLY | O_NONBLOCK, "abc");

        m->described->has_writer = true;
        m->described->writer = 2;
        kt_give(t, 1, &kind_fd_pipe, &m->base);
        kt_give(t, 2, &kind_fd_pipe, &message(1, O_WRONLY)->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 7 calls\n"
                  "# make pipe (fd-pipe 1)\n"
                  "0 pipe2(out[8], 0x80800) keep 1 at o0 keep 2 at o4\n"
                  "1 fcntl(o0, 1031, 0x10000)\n"
                  "2 write(o4, hex:616263, 3) = 3\n"
                  "3 fchown(o0, 0, 0)\n"
                  "4 fchmod(o0, 384)\n"
                  "5 fcntl(o0, 4, 2048)\n"
                  "6 fcntl(o4, 4, 0)\n");
        kt_free(t);
}

Test(fd_pipe, hostile)
{
        for (unsigned i = 0; i < 9; i++) {
                struct kt *t = kt_new();
                Gantry__FdPipe *m = described(1, O_RDONLY, "abc");
                Gantry__FdPipe__Pipe *p = m->described;
                switch (i) {
                case 0: p->size = 5000; break;
                case 1: p->size = 1u << 21; break;
                case 2: p->length = 4; break;
                case 3: p->length = 65537; break;
                case 4: p->has_reader = false; break;
                case 5: m->pipe = 2; break;
                case 6: m->has_again = true; m->again = 1; break;
                case 7: m->flags = O_CREAT; break;
                default:
                        p->packet = calloc(2, sizeof(*p->packet));
                        p->n_packet = 2;
                        p->packet[0] = 1;
                        p->packet[1] = 3;
                        break;
                }
                kt_give(t, 1, &kind_fd_pipe, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %u", i);
                kt_free(t);
        }
}

/* Ends that belong to another pipe, or to nothing. */
Test(fd_pipe, hostile_ends)
{
        for (unsigned i = 0; i < 3; i++) {
                struct kt *t = kt_new();
                struct err err = {};
                uint64_t entries;
                Gantry__FdPipe *m = described(1, O_RDONLY, "");
                m->described->has_writer = true;
                m->described->writer = i == 0 ? 99 : 2;
                kt_give(t, 1, &kind_fd_pipe, &m->base);
                kt_give(t, 2, &kind_fd_pipe, &message(i == 1 ? 3 : 1, i == 2 ? O_RDONLY : O_WRONLY)->base);
                cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_IMAGE, "row %u: %s", i, err.why);
                kt_free(t);
        }
}
