/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eventfd: the counter and the mode come back, also a counter above 32 bits; hostile records are refused. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/fd-eventfd.pb-c.h"
#include "tests/unit/harness.h"

static uint64_t take_from(int fd)
{
        uint64_t v = 0;

        cr_assert_eq(read(fd, &v, sizeof(v)), 8);
        return v;
}

Test(fd_eventfd, counters_and_semaphores)
{
        struct kt *t = kt_new();
        uint64_t big = UINT64_C(0x123456789a);
        int a = eventfd(7, EFD_NONBLOCK), b = eventfd(3, EFD_SEMAPHORE), c = eventfd(0, 0);

        cr_assert_eq(write(c, &big, sizeof(big)), 8);
        kt_add_fd(t, a);
        kt_add_fd(t, b);
        kt_add_fd(t, c);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(take_from(a), 7);
        uint64_t v;
        cr_assert_eq(read(a, &v, sizeof(v)), -1, "O_NONBLOCK is lost");
        cr_assert_eq(take_from(b), 1);
        cr_assert_eq(take_from(b), 1);
        cr_assert_eq(take_from(b), 1);
        cr_assert_eq(take_from(c), big);
        cr_assert_eq(fcntl(c, F_GETFL) & O_NONBLOCK, 0);
        kt_free(t);
}

Test(fd_eventfd, the_dump_changes_nothing)
{
        struct kt *t = kt_new();
        int fd = eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK);

        kt_add_fd(t, fd);
        kt_dump(t);
        for (int i = 0; i < 5; i++)
                cr_assert_eq(take_from(fd), 1);
        uint64_t v;
        cr_assert_eq(read(fd, &v, sizeof(v)), -1);
        kt_free(t);
}

/* A kernel before 6.5 does not show the mode: it is found out, and nothing is lost by it. */
Test(fd_eventfd, mode_without_fdinfo)
{
        static const struct { unsigned count; int flags; } rows[] = {
                {0, 0}, {1, 0}, {2, 0}, {9, 0}, {0, EFD_SEMAPHORE}, {1, EFD_SEMAPHORE}, {2, EFD_SEMAPHORE}, {9, EFD_SEMAPHORE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                int fd = eventfd(rows[i].count, rows[i].flags | EFD_NONBLOCK);
                uint64_t id = kt_add_fd(t, fd);
                char info[64];
                snprintf(info, sizeof(info), "pos:\t0\neventfd-count: %16x\n", rows[i].count);
                kt_facts(t, id)->file.fdinfo = info;
                kt_dump(t);
                const Gantry__FdEventfd *m = (const void *)kt_record(t, id)->msg;
                cr_assert_eq(m->semaphore, (rows[i].flags & EFD_SEMAPHORE) != 0, "row %zu", i);
                uint64_t left = 0, v;
                while (read(fd, &v, sizeof(v)) == 8)
                        left += v;
                cr_assert_eq(left, rows[i].count, "row %zu: the counter changed to %u", i, (unsigned)left);
                close(fd);
                kt_free(t);
        }
}

Test(fd_eventfd, signal_owner)
{
        struct kt *t = kt_new();
        int fd = eventfd(0, 0);

        cr_assert_eq(fcntl(fd, F_SETOWN, getpid()), 0);
        cr_assert_eq(fcntl(fd, F_SETSIG, 35), 0);
        kt_add_fd(t, fd);
        struct err err = {};
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "an owner without O_ASYNC is asked for on sockets alone");
        kt_free(t);
}

Test(fd_eventfd, golden)
{
        struct kt *t = kt_new();
        Gantry__FdEventfd *m = malloc(sizeof(*m));

        gantry__fd_eventfd__init(m);
        m->flags = O_RDWR | O_NONBLOCK;
        m->count = 3;
        m->semaphore = true;
        kt_give(t, 1, &kind_fd_eventfd, &m->base);
        kt_golden(t, PH_MAKE, "tape of task 1000, 2 calls\n"
                             "# make eventfd (fd-eventfd 1)\n"
                             "0 eventfd2(0, 0x80801) keep 1\n"
                             "1 write(r0, hex:0300000000000000, 8) = 8\n");
        kt_free(t);
}

Test(fd_eventfd, hostile)
{
        static const struct { uint32_t flags; uint64_t count; } rows[] = {
                {O_RDWR, UINT64_MAX}, {O_RDWR | O_ASYNC, 1}, {O_ACCMODE, 1}, {O_RDWR | O_CREAT, 1}, {~0u, 1},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                Gantry__FdEventfd *m = malloc(sizeof(*m));
                gantry__fd_eventfd__init(m);
                m->flags = rows[i].flags;
                m->count = rows[i].count;
                kt_give(t, 1, &kind_fd_eventfd, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %zu", i);
                kt_free(t);
        }
}
