/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regular files: path, position, flags come back; a replaced one is refused; a disk that is another one is noticed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd-file.pb-c.h"
#include "tests/unit/harness.h"

static char dir[64], path[96];

static void begin(void)
{
        str_copy(dir, sizeof(dir), "/tmp/fd-file-XXXXXX");
        cr_assert_not_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/a log", dir);
}

static void end(void)
{
        unlink(path);
        rmdir(dir);
}

TestSuite(fd_file, .init = begin, .fini = end);

static int make(int flags)
{
        int fd = open(path, flags | O_CREAT | O_TRUNC, 0644);

        cr_assert_geq(fd, 0);
        cr_assert(write(fd, "0123456789", 10) == 10);
        return fd;
}

Test(fd_file, lifetime)
{
        struct kt *t = kt_new();
        uint64_t hint = RWH_WRITE_LIFE_MEDIUM, none = RWH_WRITE_LIFE_NOT_SET;
        int a = make(O_RDWR);

        cr_assert_eq(fcntl(a, F_SET_RW_HINT, &hint), 0);
        kt_add_fd(t, a);
        kt_dump(t);
        cr_assert_eq(fcntl(a, F_SET_RW_HINT, &none), 0);
        kt_close(t);
        kt_sweep(t);
        hint = 0;
        cr_assert_eq(fcntl(a, F_GET_RW_HINT, &hint), 0);
        cr_assert_eq(hint, RWH_WRITE_LIFE_MEDIUM);
        kt_free(t);
}

Test(fd_file, position_and_flags)
{
        struct kt *t = kt_new();
        int a = make(O_RDWR), b = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_DSYNC), c = open(path, O_RDONLY);
        char buf[4] = "";

        cr_assert_eq(lseek(a, 4, SEEK_SET), 4);
        cr_assert_eq(fcntl(a, F_SETFL, O_NOATIME), 0);
        int flags[] = {fcntl(a, F_GETFL), fcntl(b, F_GETFL), fcntl(c, F_GETFL)};
        kt_add_fd(t, a);
        kt_add_fd(t, b);
        kt_add_fd(t, c);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(fcntl(a, F_GETFL), flags[0]);
        cr_assert_eq(fcntl(b, F_GETFL), flags[1]);
        cr_assert_eq(fcntl(c, F_GETFL), flags[2]);
        cr_assert(read(a, buf, 3) == 3 && memcmp(buf, "456", 3) == 0);
        cr_assert(write(b, "x", 1) == 1);
        struct stat st;
        cr_assert_eq(fstat(b, &st), 0);
        cr_assert_eq(st.st_size, 11);
        cr_assert_eq(lseek(c, 0, SEEK_CUR), 0);
        kt_free(t);
}

Test(fd_file, replaced_file_is_refused)
{
        struct kt *t = kt_new();
        struct err err = {};
        char other[112];
        int fd = make(O_RDWR);

        kt_add_fd(t, fd);
        snprintf(other, sizeof(other), "%s.new", path);
        int second = open(other, O_WRONLY | O_CREAT, 0644);
        cr_assert(second >= 0 && rename(other, path) == 0);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert(err.remedy[0]);
        unlink(path);
        err = (struct err){};
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        kt_free(t);
}

Test(fd_file, another_disk_is_noticed)
{
        struct kt *t = kt_new();
        struct err err = {};
        uint64_t entries;
        int fd = make(O_RDWR);

        kt_add_fd(t, fd);
        kt_dump(t);
        cr_assert_eq(ftruncate(fd, 3), 0);
        cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_IMAGE);
        cr_assert(unlink(path) == 0 && mkdir(path, 0700) == 0);
        cr_assert_lt(kt_try_restore(t, 0, &entries, NULL), 0, "a directory in its place");
        rmdir(path);
        kt_free(t);
}

static Gantry__FdFile *message(const char *p, uint32_t flags, uint64_t pos)
{
        Gantry__FdFile *m = malloc(sizeof(*m));

        gantry__fd_file__init(m);
        m->path = (ProtobufCBinaryData){strlen(p), (uint8_t *)strdup(p)};
        m->flags = flags;
        m->mode = S_IFREG | 0644;
        m->pos = pos;
        return m;
}

Test(fd_file, golden)
{
        struct kt *t = kt_new();

        kt_give(t, 1, &kind_fd_file, &message("/var/log/a", O_WRONLY | O_APPEND, 0)->base);
        kt_give(t, 2, &kind_fd_file, &message("/srv/b", O_RDONLY | 0100000, 6000000000)->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 3 calls\n"
                  "# open /var/log/a (fd-file 1)\n"
                  "0 openat2(-100, \"/var/log/a\", hex:010508000000000000000000000000000200000000000000, 24) keep 1\n"
                  "# open /srv/b (fd-file 2)\n"
                  "1 openat2(-100, \"/srv/b\", hex:008108000000000000000000000000000200000000000000, 24) keep 2\n"
                  "2 lseek(r1, 0x165a0bc00, 0) = 6000000000\n");
        kt_free(t);
}

Test(fd_file, hostile)
{
        static const struct { const char *path; uint32_t flags; uint64_t pos; uint32_t mode; } rows[] = {
                {"relative", O_RDONLY, 0, S_IFREG}, {"", O_RDONLY, 0, S_IFREG},           {"/a", O_CREAT, 0, S_IFREG},
                {"/a", O_TRUNC, 0, S_IFREG},        {"/a", O_RDONLY, UINT64_MAX, S_IFREG}, {"/a", O_RDONLY, 0, S_IFDIR},
                {"/a", O_PATH, 0, S_IFREG},         {"/a", O_RDONLY, 0, S_IFBLK},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                Gantry__FdFile *m = message(rows[i].path, rows[i].flags, rows[i].pos);
                m->mode = rows[i].mode;
                kt_give(t, 1, &kind_fd_file, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %zu", i);
                kt_free(t);
        }
}
