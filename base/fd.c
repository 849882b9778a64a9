/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors: whole transfers, passing over unix sockets, flags (base/fd.h).
 *
 * A read or write that a signal cut short is continued. Descriptors that arrive with a message are ours from the
 * moment recvmsg returns: every refusal after it closes them. SCM_RIGHTS carries at most 253 in one message and
 * needs at least one byte beside it on a stream socket.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/sys.h"

/* The kernel moves at most this much in one call. */
#define CHUNK ((size_t)0x7ffff000)

struct transfer {
        int fd;
        off_t off; /* -1: at the file position */
};

static int read_full(struct transfer t, void *buf, size_t n, size_t *ret_got, struct err *err)
{
        size_t got = 0;

        while (got < n) {
                size_t want = n - got < CHUNK ? n - got : CHUNK;
                int64_t r = t.off < 0 ? sys_read(t.fd, (char *)buf + got, want)
                                      : sys_pread(t.fd, (char *)buf + got, want, t.off + (off_t)got);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return err_sys(err, EX_FAIL, (int)r, "cannot read", "descriptor %d", t.fd);
                if (r == 0)
                        break;
                got += (size_t)r;
        }
        if (ret_got)
                *ret_got = got;
        return got < n ? 1 : 0;
}

static int write_full(struct transfer t, const void *buf, size_t n, struct err *err)
{
        size_t done = 0;

        while (done < n) {
                size_t want = n - done < CHUNK ? n - done : CHUNK;
                int64_t r = t.off < 0 ? sys_write(t.fd, (const char *)buf + done, want)
                                      : sys_pwrite(t.fd, (const char *)buf + done, want, t.off + (off_t)done);
                if (r == -EINTR)
                        continue;
                if (r == 0)
                        r = -ENOSPC;
                if (r < 0)
                        return err_sys(err, EX_FAIL, (int)r, "cannot write", "descriptor %d", t.fd);
                done += (size_t)r;
        }
        return 0;
}

int fd_read_full(int fd, void *buf, size_t n, size_t *ret_got, struct err *err)
{
        return read_full((struct transfer){fd, -1}, buf, n, ret_got, err);
}

int fd_write_full(int fd, const void *buf, size_t n, struct err *err)
{
        return write_full((struct transfer){fd, -1}, buf, n, err);
}

int fd_pread_full(int fd, void *buf, size_t n, off_t off, size_t *ret_got, struct err *err)
{
        return read_full((struct transfer){fd, off}, buf, n, ret_got, err);
}

int fd_pwrite_full(int fd, const void *buf, size_t n, off_t off, struct err *err)
{
        return write_full((struct transfer){fd, off}, buf, n, err);
}

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len, struct err *err)
{
        _cleanup_free_ char *buf = NULL;
        size_t len = 0, cap = 0;

        for (;;) {
                if (cap - len < 2) {
                        size_t grown = cap ? cap * 2 : 4096;
                        char *p = realloc(buf, grown);
                        if (!p)
                                return err_sys(err, EX_FAIL, ENOMEM, "cannot read", "descriptor %d", fd);
                        buf = p;
                        cap = grown;
                }
                int64_t r = sys_read(fd, buf + len, cap - len - 1);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return err_sys(err, EX_FAIL, (int)r, "cannot read", "descriptor %d", fd);
                if (r == 0)
                        break;
                len += (size_t)r;
                if (len > max)
                        return err_set(err, EX_FAIL, "cannot read", "it is longer than expected",
                                       "descriptor %d: more than %zu bytes", fd, max);
        }
        buf[len] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_len)
                *ret_len = len;
        return 0;
}

union rights {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
};

int fd_send(int sock, const void *buf, size_t len, const int fds[], size_t n, struct err *err)
{
        union rights ctl = {};
        struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n > FD_PASS_MAX || len == 0)
                return err_sys(err, EX_FAIL, EINVAL, "cannot send a message", "%zu bytes, %zu descriptors", len, n);
        if (n) {
                m.msg_control = &ctl;
                m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
        }
        while (iov.iov_len) {
                int64_t r = sys_sendmsg(sock, &m, MSG_NOSIGNAL);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return err_sys(err, EX_FAIL, (int)r, "cannot send a message", "%zu bytes, %zu descriptors",
                                       len, n);
                /* A stream may take less than all of it; the descriptors went with the first part. */
                iov.iov_base = (char *)iov.iov_base + r;
                iov.iov_len -= (size_t)r;
                m.msg_control = NULL;
                m.msg_controllen = 0;
        }
        return 0;
}

/* Collects what came; more than fits the caller is closed and counted as too many. */
static size_t take_rights(struct msghdr *m, int fds[], size_t max, bool *ret_too_many)
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t have = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < have; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (n < max) {
                                fds[n++] = fd;
                        } else {
                                fd_close(fd);
                                *ret_too_many = true;
                        }
                }
        }
        return n;
}

int fd_recv(int sock, void *buf, size_t cap, size_t *ret_len, int fds[], size_t max, size_t *ret_n, struct err *err)
{
        union rights ctl = {};
        struct iovec iov = {.iov_base = buf, .iov_len = cap};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)};
        bool too_many = false;
        int64_t r;

        do
                r = sys_recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
        while (r == -EINTR);
        if (r < 0)
                return err_sys(err, EX_FAIL, (int)r, "cannot receive a message", "socket %d", sock);

        size_t n = take_rights(&m, fds, max, &too_many);
        if (too_many || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                for (size_t i = 0; i < n; i++)
                        fd_close(fds[i]);
                return err_set(err, EX_FAIL, "cannot receive a message", "it is larger than expected", "socket %d",
                               sock);
        }
        if (r == 0 && n == 0)
                return 1;
        *ret_len = (size_t)r;
        if (ret_n)
                *ret_n = n;
        return 0;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
        int old = fcntl(fd, get);

        if (old < 0)
                return -errno;
        int want = on ? old | flag : old & ~flag;
        if (want != old && fcntl(fd, set, want) < 0)
                return -errno;
        return 0;
}

int fd_cloexec(int fd, bool on, struct err *err)
{
        int r = set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);

        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot set close-on-exec", "descriptor %d", fd) : 0;
}

int fd_nonblock(int fd, bool on, struct err *err)
{
        int r = set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);

        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot set non-blocking mode", "descriptor %d", fd) : 0;
}

int fd_move(int fd, int min, struct err *err)
{
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, min);

        if (moved < 0)
                return err_sys(err, EX_FAIL, errno, "cannot move a descriptor", "%d to %d or above", fd, min);
        fd_close(fd);
        return moved;
}
