/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix stream sockets: pairs with queues both ways, listeners by path and abstract name, connections, half-open ends,
 * waiting clients, options, credentials; what cannot be kept is refused.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/sk-unix-stream.pb-c.h"
#include "tests/unit/harness.h"

static char dir[64];

static void begin(void)
{
        signal(SIGPIPE, SIG_IGN);
        str_copy(dir, sizeof(dir), "/tmp/sk-unix-XXXXXX");
        cr_assert_not_null(mkdtemp(dir));
}

static void end(void)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/s", dir);
        unlink(path);
        rmdir(dir);
}

TestSuite(sk_unix_stream, .init = begin, .fini = end);

static struct sockaddr_un address(const char *name, socklen_t *len)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        if (name[0] == '@') {
                memcpy(a.sun_path + 1, name + 1, strlen(name + 1));
                *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
        } else {
                snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
                *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a.sun_path) + 1);
        }
        return a;
}

static int listener(const char *name, int backlog)
{
        socklen_t len;
        struct sockaddr_un a = address(name, &len);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
        cr_assert_eq(listen(fd, backlog), 0);
        return fd;
}

static int client(const char *name)
{
        socklen_t len;
        struct sockaddr_un a = address(name, &len);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        cr_assert_eq(connect(fd, (struct sockaddr *)&a, len), 0, "%s", strerror(errno));
        return fd;
}

static void expect(int fd, const char *text)
{
        char buf[64] = "";
        ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        cr_assert(n == (ssize_t)strlen(text) && memcmp(buf, text, strlen(text)) == 0, "got \"%s\" (%zd), not \"%s\"", buf, n, text);
}

static int get(int fd, int name)
{
        int v = -1;
        socklen_t n = sizeof(v);

        cr_assert_eq(getsockopt(fd, SOL_SOCKET, name, &v, &n), 0);
        return v;
}

Test(sk_unix_stream, pair)
{
        struct kt *t = kt_new();
        int p[2], on = 1, size = 50000;
        struct timeval tv = {3, 500000}, tv2 = {};

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        cr_assert_eq(setsockopt(p[0], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        cr_assert(write(p[0], "to one", 6) == 6 && write(p[1], "to", 2) == 2 && write(p[1], " zero", 5) == 5);
        cr_assert_eq(setsockopt(p[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
        cr_assert_eq(setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
        cr_assert_eq(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        expect(p[0], "to zero");
        expect(p[1], "to one");
        cr_assert(fcntl(p[0], F_GETFL) & O_NONBLOCK);
        cr_assert_eq(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0);
        cr_assert_eq(get(p[0], SO_REUSEADDR), 1);
        cr_assert_eq(get(p[1], SO_REUSEADDR), 0);
        cr_assert_eq(get(p[1], SO_SNDBUF), 100000);
        cr_assert_eq(get(p[0], SO_SNDBUF), 212992);
        socklen_t n = sizeof(tv2);
        cr_assert(getsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &tv2, &n) == 0 && tv2.tv_sec == 3 && tv2.tv_usec == 500000);
        struct ucred c;
        n = sizeof(c);
        cr_assert(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 && c.pid == getpid());
        cr_assert(write(p[0], "x", 1) == 1);
        expect(p[1], "x");
        kt_free(t);
}

/* Whoever sends them again is somebody else. */
Test(sk_unix_stream, senders)
{
        struct kt *t = kt_new();
        struct err err = {};
        int p[2], on = 1, status = -1;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        cr_assert_eq(setsockopt(p[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0)
                _exit(write(p[1], "x", 1) != 1);
        cr_assert(waitpid(child, &status, 0) == child && status == 0);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "SO_PASSCRED"), "%s", err.why);
        expect(p[0], "x");
        close(p[0]);
        close(p[1]);
        kt_free(t);
}

/* As nginx has them between its master and its workers. */
Test(sk_unix_stream, signal_owner)
{
        struct kt *t = kt_new();
        int p[2], on = 1;

        signal(SIGIO, SIG_IGN);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        cr_assert_eq(ioctl(p[0], FIOASYNC, &on), 0);
        cr_assert_eq(fcntl(p[0], F_SETOWN, getpid()), 0);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(fcntl(p[0], F_GETOWN), getpid());
        cr_assert(fcntl(p[0], F_GETFL) & O_ASYNC);
        cr_assert_eq(fcntl(p[1], F_GETFL) & O_ASYNC, 0);
        kt_free(t);
}

Test(sk_unix_stream, full_queue)
{
        struct kt *t = kt_new();
        int p[2];
        char buf[3000];
        size_t sent = 0, got = 0;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        for (size_t i = 0; i < sizeof(buf); i++)
                buf[i] = (char)(i * 3);
        for (ssize_t n; (n = send(p[0], buf, sizeof(buf), MSG_DONTWAIT)) > 0;)
                sent += (size_t)n;
        cr_assert_gt(sent, 65536);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        for (ssize_t n; (n = recv(p[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0; got += (size_t)n)
                for (ssize_t i = 0; i < n; i++)
                        cr_assert_eq(buf[i], (char)(((got + (size_t)i) % sizeof(buf)) * 3));
        cr_assert_eq(got, sent);
        kt_free(t);
}

Test(sk_unix_stream, shut_down_and_alone)
{
        struct kt *t = kt_new();
        int p[2], alone[2], reset[2];

        cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, alone) == 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, reset), 0);
        cr_assert(write(p[0], "last", 4) == 4 && shutdown(p[0], SHUT_WR) == 0);
        cr_assert(write(alone[1], "rest", 4) == 4 && close(alone[1]) == 0);
        cr_assert(write(reset[0], "unread", 6) == 6 && close(reset[1]) == 0);
        kt_add_fd(t, p[0]);
        kt_add_fd(t, p[1]);
        kt_add_fd(t, alone[0]);
        kt_add_fd(t, reset[0]);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        char c;
        expect(p[1], "last");
        cr_assert_eq(recv(p[1], &c, 1, MSG_DONTWAIT), 0, "the end of the stream is lost");
        cr_assert(write(p[0], "x", 1) == -1 && errno == EPIPE);
        cr_assert(write(p[1], "back", 4) == 4);
        expect(p[0], "back");
        expect(alone[0], "rest");
        cr_assert_eq(recv(alone[0], &c, 1, MSG_DONTWAIT), 0);
        cr_assert(recv(reset[0], &c, 1, MSG_DONTWAIT) == -1 && errno == ECONNRESET);
        kt_free(t);
}

Test(sk_unix_stream, listeners)
{
        struct kt *t = kt_new();
        char path[128];
        struct stat st;
        int a = listener("s", 7), b = listener("@sk-unix-test", 3), u = socket(AF_UNIX, SOCK_STREAM, 0);

        snprintf(path, sizeof(path), "%s/s", dir);
        cr_assert(chmod(path, 0621) == 0);
        kt_add_fd(t, a);
        kt_add_fd(t, b);
        kt_add_fd(t, u);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode, S_IFSOCK | 0621u);
        cr_assert_eq(get(a, SO_ACCEPTCONN), 1);
        cr_assert_eq(get(u, SO_ACCEPTCONN), 0);
        int c = client("s"), d = client("@sk-unix-test");
        int x = accept(a, NULL, NULL), y = accept(b, NULL, NULL);
        cr_assert(x >= 0 && y >= 0 && write(c, "1", 1) == 1 && write(y, "2", 1) == 1);
        expect(x, "1");
        expect(d, "2");
        kt_free(t);
}

Test(sk_unix_stream, connections)
{
        struct kt *t = kt_new();
        int l = listener("s", 5), c = client("s"), s = accept(l, NULL, NULL), gone = client("s"), half = accept(l, NULL, NULL);
        int waiting = client("s");
        struct sockaddr_un a = {}, want;
        socklen_t n = sizeof(a);

        want = address("s", &n);
        cr_assert(write(c, "question", 8) == 8 && write(s, "answer", 6) == 6);
        cr_assert(write(gone, "bye", 3) == 3 && close(gone) == 0);
        kt_add_fd(t, half);
        kt_add_fd(t, s);
        kt_add_fd(t, c);
        kt_add_fd(t, waiting);
        kt_add_fd(t, l);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        expect(s, "question");
        expect(c, "answer");
        expect(half, "bye");
        char b;
        cr_assert_eq(recv(half, &b, 1, MSG_DONTWAIT), 0);
        n = sizeof(a);
        cr_assert(getpeername(c, (struct sockaddr *)&a, &n) == 0 && strcmp(a.sun_path, want.sun_path) == 0);
        int later = accept4(l, NULL, NULL, SOCK_NONBLOCK);
        cr_assert_geq(later, 0);
        cr_assert(write(waiting, "me", 2) == 2);
        expect(later, "me");
        cr_assert_eq(fcntl(l, F_SETFL, O_NONBLOCK), 0);
        cr_assert(accept(l, NULL, NULL) == -1 && errno == EAGAIN, "somebody else is waiting");
        kt_free(t);
}

/* A listener whose file was removed still has its name, and no file. */
Test(sk_unix_stream, removed_file)
{
        struct kt *t = kt_new();
        int l = listener("s", 5), c = client("s"), s = accept(l, NULL, NULL);
        char path[128];

        snprintf(path, sizeof(path), "%s/s", dir);
        cr_assert_eq(unlink(path), 0);
        kt_add_fd(t, l);
        kt_add_fd(t, c);
        kt_add_fd(t, s);
        kt_dump(t);
        kt_close(t);
        kt_restore(t);
        cr_assert_eq(access(path, F_OK), -1);
        struct sockaddr_un a = {};
        socklen_t n = sizeof(a);
        cr_assert(getsockname(l, (struct sockaddr *)&a, &n) == 0 && strcmp(a.sun_path, path) == 0);
        cr_assert(write(c, "x", 1) == 1);
        expect(s, "x");
        kt_free(t);
}

static void expect_refusal(struct kt *t, const char *why)
{
        struct err err = {};

        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "%s", err.why);
        cr_assert(strstr(err.why, why), "%s", err.why);
        cr_assert(err.remedy[0]);
        kt_free(t);
}

Test(sk_unix_stream, refusals)
{
        struct kt *t = kt_new();
        int p[2], l = listener("s", 5), c = client("s");
        char path[128];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        kt_add_fd(t, p[0]);
        expect_refusal(t, "outside");

        t = kt_new();
        struct iovec v = {(char[]){"x"}, 1};
        union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } u = {};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof(u.b)};
        u.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&u.h), &l, sizeof(l));
        cr_assert_eq(sendmsg(p[0], &m, 0), 1);
        kt_add_fd(t, p[1]);
        kt_add_fd(t, p[0]);
        expect_refusal(t, "in flight");

        t = kt_new();
        cr_assert(write(c, "early", 5) == 5);
        kt_add_fd(t, c);
        kt_add_fd(t, l);
        expect_refusal(t, "waits to be accepted");

        t = kt_new();
        int s = accept(l, NULL, NULL);
        kt_add_fd(t, s);
        kt_add_fd(t, c);
        expect_refusal(t, "listener that is gone");

        t = kt_new();
        snprintf(path, sizeof(path), "%s/s", dir);
        cr_assert(unlink(path) == 0 && mknod(path, S_IFREG | 0600, 0) == 0);
        kt_add_fd(t, l);
        expect_refusal(t, "replaced");
}

static Gantry__SkUnixStream *message(int state)
{
        Gantry__SkUnixStream *m = malloc(sizeof(*m));

        gantry__sk_unix_stream__init(m);
        m->flags = O_RDWR;
        m->state = (Gantry__SkUnixStream__State)state;
        m->sndbuf = m->rcvbuf = 212992;
        return m;
}

static ProtobufCBinaryData bytes(const char *p, size_t n)
{
        return (ProtobufCBinaryData){n, kind_memdup(p, n)};
}

Test(sk_unix_stream, golden)
{
        struct kt *t = kt_new();
        Gantry__SkUnixStream *a = message(GANTRY__SK_UNIX_STREAM__STATE__PAIR), *b = message(GANTRY__SK_UNIX_STREAM__STATE__PAIR);
        Gantry__SkUnixStream *l = message(GANTRY__SK_UNIX_STREAM__STATE__LISTENING);

        a->has_peer = b->has_peer = true;
        a->peer = 2;
        b->peer = 1;
        a->flags |= O_NONBLOCK;
        a->has_data = true;
        a->data = bytes("ab", 2);
        a->length = 2;
        a->creator_uid = 33;
        l->has_name = true;
        l->name = bytes("/run/s", 6);
        l->backlog = 511;
        l->node = malloc(sizeof(*l->node));
        gantry__sk_unix_stream__node__init(l->node);
        l->node->mode = 0600;
        kt_give(t, 1, &kind_sk_unix_stream, &a->base);
        kt_give(t, 2, &kind_sk_unix_stream, &b->base);
        kt_give(t, 3, &kind_sk_unix_stream, &l->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 12 calls\n"
                  "# make socketpair (sk-unix-stream 1, 2)\n"
                  "0 setresuid(-1, 33, -1)\n"
                  "1 socketpair(1, 0x80001, 0, out[8]) keep 1 at o0 keep 2 at o4\n"
                  "2 setresuid(-1, 0, -1)\n"
                  "3 setsockopt(o4, 1, 7, hex:04000100, 4)\n"
                  "4 sendto(o4, hex:6162, 2, 0x4040, 0, 0) = 2\n"
                  "5 fcntl(o0, 4, 2048)\n"
                  "# make unix socket (sk-unix-stream 3)\n"
                  "6 socket(1, 0x80001, 0) keep 3\n"
                  "7 unlink(\"/run/s\") may fail ENOENT\n"
                  "8 bind(r6, hex:01002f72756e2f7300, 9)\n"
                  "9 fchownat(-100, \"/run/s\", 0, 0, 256)\n"
                  "10 chmod(\"/run/s\", 384)\n"
                  "11 listen(r6, 511)\n");
        kt_free(t);
}

Test(sk_unix_stream, hostile)
{
        for (unsigned i = 0; i < 15; i++) {
                struct kt *t = kt_new();
                Gantry__SkUnixStream *m = message(GANTRY__SK_UNIX_STREAM__STATE__UNCONNECTED);
                switch (i) {
                case 0: m->state = GANTRY__SK_UNIX_STREAM__STATE__PAIR; break;
                case 1: m->state = GANTRY__SK_UNIX_STREAM__STATE__PAIR, m->has_peer = true, m->peer = 1; break;
                case 2: m->state = GANTRY__SK_UNIX_STREAM__STATE__LISTENING; break;
                case 3: m->state = GANTRY__SK_UNIX_STREAM__STATE__QUEUED; break;
                case 4: m->has_name = true, m->name = bytes("relative", 8); break;
                case 5: m->has_name = true, m->name = bytes("/a\0b", 4); break;
                case 6: m->has_name = true, m->name = (ProtobufCBinaryData){109, calloc(1, 109)}; break;
                case 7: m->length = 3; break;
                case 8: m->sndbuf = 1u << 30; break;
                case 9: m->shut = 4; break;
                case 10: m->flags = O_DIRECTORY | O_ASYNC; break;
                case 11: m->n_option = 1, m->option = calloc(1, 4), m->option[0] = 9999, m->n_value = 1, m->value = calloc(1, 8); break;
                case 12: m->n_option = 1, m->option = calloc(1, 4), m->option[0] = 1; break;
                case 13: m->creator = ~0u; break;
                default: m->has_peer = true, m->peer = 3; break;
                }
                kt_give(t, 1, &kind_sk_unix_stream, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %u", i);
                kt_free(t);
        }
}

/* Records that name others which are something else. */
Test(sk_unix_stream, hostile_peers)
{
        for (unsigned i = 0; i < 4; i++) {
                struct kt *t = kt_new();
                struct err err = {};
                uint64_t entries;
                bool pair = i < 2;
                Gantry__SkUnixStream *m = message(pair ? GANTRY__SK_UNIX_STREAM__STATE__PAIR : GANTRY__SK_UNIX_STREAM__STATE__CONNECTED);
                m->has_peer = true;
                m->peer = i == 0 ? 77 : 2;
                m->has_listener = !pair;
                m->listener = i == 2 ? 2 : 99;
                Gantry__SkUnixStream *p = message(i == 1 ? GANTRY__SK_UNIX_STREAM__STATE__UNCONNECTED
                                                         : GANTRY__SK_UNIX_STREAM__STATE__ACCEPTED);
                p->has_peer = i != 1;
                p->peer = 1;
                kt_give(t, 1, &kind_sk_unix_stream, &m->base);
                kt_give(t, 2, &kind_sk_unix_stream, &p->base);
                cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_IMAGE, "row %u: %s", i, err.why);
                kt_free(t);
        }
}
