/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open directories: the reading goes on where it was; hostile records are refused. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/fd-dir.pb-c.h"
#include "tests/unit/harness.h"

Test(fd_dir, reading_goes_on)
{
        struct kt *t = kt_new();
        char buf[256];
        _Alignas(struct dirent) char rest[4096], again[4096];
        int fd = open("/usr/bin", O_RDONLY | O_DIRECTORY);

        cr_assert_geq(fd, 0);
        cr_assert_gt(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0);
        off_t pos = lseek(fd, 0, SEEK_CUR);
        kt_add_fd(t, fd);
        kt_dump(t);
        long n = syscall(SYS_getdents64, fd, rest, sizeof(rest));
        cr_assert_gt(n, 0);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(lseek(fd, 0, SEEK_CUR), pos);
        cr_assert_eq(syscall(SYS_getdents64, fd, again, sizeof(again)), n);
        /* Entry by entry: the bytes between them are not written. */
        for (long at = 0; at < n;) {
                const struct dirent *a = (const void *)(rest + at), *b = (const void *)(again + at);
                cr_assert_str_eq(a->d_name, b->d_name);
                cr_assert_eq(a->d_ino, b->d_ino);
                at += a->d_reclen;
        }
        kt_free(t);
}

Test(fd_dir, golden)
{
        struct kt *t = kt_new();
        Gantry__FdDir *m = malloc(sizeof(*m));

        gantry__fd_dir__init(m);
        m->path = (ProtobufCBinaryData){4, (uint8_t *)strdup("/srv")};
        m->flags = O_DIRECTORY;
        m->mode = S_IFDIR | 0755;
        m->pos = 77;
        kt_give(t, 1, &kind_fd_dir, &m->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 2 calls\n"
                  "# open /srv (fd-dir 1)\n"
                  "0 openat2(-100, \"/srv\", hex:000109000000000000000000000000000200000000000000, 24) keep 1\n"
                  "1 lseek(r0, 77, 0) = 77\n");
        kt_free(t);
}

Test(fd_dir, hostile)
{
        static const struct { const char *path; uint32_t flags, mode; } rows[] = {
                {"x", O_DIRECTORY, S_IFDIR}, {"/x", O_DIRECTORY, S_IFREG}, {"/x", O_TMPFILE, S_IFDIR}, {"/x", O_PATH, S_IFDIR},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                Gantry__FdDir *m = malloc(sizeof(*m));
                gantry__fd_dir__init(m);
                m->path = (ProtobufCBinaryData){strlen(rows[i].path), (uint8_t *)strdup(rows[i].path)};
                m->flags = rows[i].flags;
                m->mode = rows[i].mode;
                kt_give(t, 1, &kind_fd_dir, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %zu", i);
                kt_free(t);
        }
}
