/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/fd.c: whole transfers, descriptors over sockets, flags.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/procfs.h"

static size_t open_fds(void)
{
        unsigned *v = NULL;
        size_t n = 0;

        cr_assert_eq(proc_numbers(AT_FDCWD, "/proc/self/fd", &v, &n, NULL), 0);
        free(v);
        return n;
}

Test(fd, whole_transfers)
{
        _cleanup_close_ int fd = memfd_create("t", MFD_CLOEXEC);
        char buf[8] = "";
        size_t got = 0;
        struct err e = {};

        cr_assert_eq(fd_write_full(fd, "hello", 5, &e), 0);
        cr_assert_eq(fd_pwrite_full(fd, "J", 1, 0, &e), 0);
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        cr_assert_eq(fd_read_full(fd, buf, 5, &got, &e), 0);
        cr_assert_arr_eq(buf, "Jello", 5);
        cr_assert_eq(fd_pread_full(fd, buf, 8, 3, &got, &e), 1);
        cr_assert_eq(got, 2);
        cr_assert_eq(fd_read_full(fd, buf, 1, NULL, &e), 1);
        cr_assert_not(err_is_set(&e));
        cr_assert_lt(fd_read_full(-1, buf, 1, NULL, &e), 0);
        cr_assert_eq(e.sys, EBADF);
}

Test(fd, read_all_has_a_limit)
{
        _cleanup_close_ int fd = memfd_create("t", MFD_CLOEXEC);
        _cleanup_free_ char *s = NULL;
        size_t len;
        struct err e = {};

        cr_assert_eq(ftruncate(fd, 10000), 0);
        cr_assert_eq(fd_read_all(fd, 10000, &s, &len, &e), 0);
        cr_assert_eq(len, 10000);
        cr_assert_eq(s[10000], '\0');
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        char *none = NULL;
        cr_assert_lt(fd_read_all(fd, 9999, &none, NULL, &e), 0);
        cr_assert_null(none);
}

static void pair(int type, int s[2])
{
        cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s), 0);
}

Test(fd, passing)
{
        int s[2], fds[3], got[4];
        size_t n = 0, len = 0;
        char buf[16];
        struct err e = {};

        pair(SOCK_SEQPACKET, s);
        for (int i = 0; i < 3; i++)
                fds[i] = memfd_create("t", 0);
        cr_assert_eq(fd_send(s[0], "abc", 3, fds, 3, &e), 0);
        cr_assert_eq(fd_recv(s[1], buf, sizeof(buf), &len, got, 4, &n, &e), 0);
        cr_assert_eq(len, 3);
        cr_assert_eq(n, 3);
        for (size_t i = 0; i < n; i++) {
                struct stat a, b;
                cr_assert(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
                cr_assert_eq(fstat(got[i], &a), 0);
                cr_assert_eq(fstat(fds[i], &b), 0);
                cr_assert_eq(a.st_ino, b.st_ino, "they arrive in order");
        }
        cr_assert_eq(fd_send(s[0], "x", 1, NULL, 0, &e), 0);
        cr_assert_eq(fd_recv(s[1], buf, sizeof(buf), &len, got, 4, &n, &e), 0);
        cr_assert_eq(n, 0);
        close(s[0]);
        cr_assert_eq(fd_recv(s[1], buf, sizeof(buf), &len, got, 4, &n, &e), 1, "end of file");
}

Test(fd, more_than_fits_is_refused_and_closed)
{
        int s[2], fds[3], got[2];
        size_t n = 9, len = 9, before;
        char buf[4];
        struct err e = {};

        pair(SOCK_SEQPACKET, s);
        for (int i = 0; i < 3; i++)
                fds[i] = memfd_create("t", 0);
        before = open_fds();
        cr_assert_eq(fd_send(s[0], "a", 1, fds, 3, &e), 0);
        cr_assert_lt(fd_recv(s[1], buf, sizeof(buf), &len, got, 2, &n, &e), 0);
        cr_assert_eq(open_fds(), before);
        cr_assert_eq(fd_send(s[0], "abcdefgh", 8, fds, 1, &e), 0);
        cr_assert_lt(fd_recv(s[1], buf, sizeof(buf), &len, got, 2, &n, &e), 0, "the message is cut");
        cr_assert_eq(open_fds(), before);
        cr_assert_eq(n, 9);
        cr_assert_eq(len, 9, "untouched on failure");
}

Test(fd, as_many_as_the_kernel_takes)
{
        int s[2], fds[FD_PASS_MAX + 1], got[FD_PASS_MAX];
        size_t n = 0, len;
        char buf[4];
        struct err e = {};

        pair(SOCK_STREAM, s);
        for (int i = 0; i <= FD_PASS_MAX; i++)
                fds[i] = s[0];
        cr_assert_eq(fd_send(s[0], "a", 1, fds, FD_PASS_MAX, &e), 0);
        cr_assert_eq(fd_recv(s[1], buf, sizeof(buf), &len, got, FD_PASS_MAX, &n, &e), 0);
        cr_assert_eq(n, FD_PASS_MAX);
        cr_assert_lt(fd_send(s[0], "a", 1, fds, FD_PASS_MAX + 1, &e), 0);
        cr_assert_lt(fd_send(s[0], "", 0, fds, 1, &e), 0, "a stream would lose them");
}

Test(fd, flags_and_moving)
{
        struct err e = {};
        int fd = memfd_create("t", MFD_CLOEXEC);

        cr_assert_eq(fd_cloexec(fd, false, &e), 0);
        cr_assert_eq(fcntl(fd, F_GETFD), 0);
        cr_assert_eq(fd_nonblock(fd, true, &e), 0);
        cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        int moved = fd_move(fd, 100, &e);
        cr_assert_geq(moved, 100);
        cr_assert_eq(fcntl(moved, F_GETFD), FD_CLOEXEC);
        cr_assert_eq(fcntl(fd, F_GETFD), -1, "the old one is closed");
        close(moved);
        cr_assert_lt(fd_cloexec(-1, true, &e), 0);
        cr_assert_lt(fd_move(-1, 0, &e), 0);
}
