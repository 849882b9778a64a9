/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices without state: each comes back as the device it was; a record cannot ask for another one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "proto/fd-dev.pb-c.h"
#include "tests/unit/harness.h"

Test(fd_dev, round_trip)
{
        static const struct { const char *path; int flags; } rows[] = {
                {"/dev/null", O_RDWR}, {"/dev/null", O_WRONLY | O_APPEND}, {"/dev/zero", O_RDONLY}, {"/dev/full", O_RDWR},
                {"/dev/random", O_RDONLY | O_NONBLOCK}, {"/dev/urandom", O_RDONLY},
        };
        struct kt *t = kt_new();
        struct stat before[ELEMENTSOF(rows)], after;
        int fd[ELEMENTSOF(rows)], flags[ELEMENTSOF(rows)];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                fd[i] = open(rows[i].path, rows[i].flags);
                cr_assert_geq(fd[i], 0, "%s", rows[i].path);
                flags[i] = fcntl(fd[i], F_GETFL);
                cr_assert_eq(fstat(fd[i], &before[i]), 0);
                kt_add_fd(t, fd[i]);
        }
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                cr_assert_eq(fstat(fd[i], &after), 0);
                cr_assert_eq(after.st_rdev, before[i].st_rdev, "%s", rows[i].path);
                cr_assert_eq(fcntl(fd[i], F_GETFL), flags[i], "%s", rows[i].path);
        }
        kt_free(t);
}

static Gantry__FdDev *message(const char *path, uint32_t major, uint32_t minor)
{
        Gantry__FdDev *m = malloc(sizeof(*m));

        gantry__fd_dev__init(m);
        m->path = (ProtobufCBinaryData){strlen(path), (uint8_t *)strdup(path)};
        m->flags = O_RDWR;
        m->mode = S_IFCHR | 0666;
        m->rdev = major << 20 | minor;
        return m;
}

Test(fd_dev, golden)
{
        struct kt *t = kt_new();

        kt_give(t, 1, &kind_fd_dev, &message("/dev/null", 1, 3)->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 1 calls\n"
                  "# open /dev/null (fd-dev 1)\n"
                  "0 openat2(-100, \"/dev/null\", hex:020108000000000000000000000000000200000000000000, 24) keep 1\n");
        kt_free(t);
}

Test(fd_dev, another_device_at_that_path)
{
        struct kt *t = kt_new();
        struct err err = {};
        uint64_t entries;

        kt_give(t, 1, &kind_fd_dev, &message("/dev/zero", 1, 3)->base);
        cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_IMAGE);
        kt_free(t);
}

Test(fd_dev, hostile)
{
        static const struct { uint32_t major, minor; } rows[] = {{1, 1}, {1, 4}, {1, 11}, {7, 0}, {10, 232}, {0, 3}, {1, 6}};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                kt_give(t, 1, &kind_fd_dev, &message("/dev/x", rows[i].major, rows[i].minor)->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "%u:%u", rows[i].major, rows[i].minor);
                kt_free(t);
        }
}
