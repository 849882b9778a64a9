/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix stream sockets: a pair with bytes both ways and a signal owner, shared with a child as nginx shares its channels; a
 * listener by path and one by abstract name; a connection; a half-open one; a client that waits to be accepted.
 */
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

static struct sockaddr_un addr(struct victim *v, bool abstract, socklen_t *len)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        if (abstract)
                snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "victim%s", v->dir);
        else
                snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", v->dir);
        *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a.sun_path + abstract));
        return a;
}

static int listener(struct victim *v, bool abstract)
{
        socklen_t n;
        struct sockaddr_un a = addr(v, abstract, &n);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        VICTIM_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 9) == 0);
        return fd;
}

static int client(struct victim *v, bool abstract)
{
        socklen_t n;
        struct sockaddr_un a = addr(v, abstract, &n);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        VICTIM_MUST(fd >= 0);
        if (connect(fd, (struct sockaddr *)&a, n) < 0)
                victim_fail(v, "connect: %s", strerror(errno));
        return fd;
}

static void expect(struct victim *v, int fd, const char *what, const char *want)
{
        char buf[64] = "";
        ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        VICTIM_CHECK(v, n == (ssize_t)strlen(want) && memcmp(buf, want, strlen(want)) == 0, "%s: got \"%s\" (%zd), not \"%s\"",
                     what, buf, n, want);
}

int main(int argc, char **argv)
{
        struct victim v;
        int p[2], ch[2], on = 1, status = -1, cred_on = 1;
        struct stat st;
        struct ucred uc;
        char path[512], c;

        victim_begin(&v, argc, argv);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGIO, SIG_IGN);
        VICTIM_MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ch) == 0);
        VICTIM_MUST(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &cred_on, sizeof(cred_on)) == 0);
        VICTIM_MUST(write(p[0], "to one", 6) == 6 && write(p[1], "to zero", 7) == 7);
        VICTIM_MUST(setsockopt(p[1], SOL_SOCKET, SO_REUSEADDR, &cred_on, sizeof(cred_on)) == 0);
        VICTIM_MUST(ioctl(ch[0], FIOASYNC, &on) == 0 && fcntl(ch[0], F_SETOWN, getpid()) == 0);
        int l = listener(&v, false), al = listener(&v, true);
        const gid_t other[2] = {4711, 4712};
        gid_t groups[64], peers[64];
        int n_groups = getgroups(64, groups);
        VICTIM_MUST(n_groups >= 0 && setgroups(2, other) == 0);
        int cl = client(&v, false), s = accept(l, NULL, NULL);
        VICTIM_MUST(setgroups((size_t)n_groups, groups) == 0);
        int gone = client(&v, true), half = accept(al, NULL, NULL);
        VICTIM_MUST(s >= 0 && half >= 0 && write(gone, "bye", 3) == 3 && close(gone) == 0);
        VICTIM_MUST(write(cl, "question", 8) == 8 && shutdown(cl, SHUT_WR) == 0);
        int waiting = client(&v, false);
        snprintf(path, sizeof(path), "%s/sock", v.dir);
        VICTIM_MUST(chmod(path, 0602) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                close(ch[0]);
                _exit(read(ch[1], &c, 1) == 1 && write(ch[1], "a", 1) == 1 && read(ch[1], &c, 1) == 0 ? 0 : 1);
        }
        VICTIM_MUST(close(ch[1]) == 0);

        victim_wait(&v);

        expect(&v, p[0], "pair", "to zero");
        expect(&v, p[1], "pair", "to one");
        VICTIM_CHECK(&v, fcntl(ch[0], F_GETOWN) == getpid() && (fcntl(ch[0], F_GETFL) & O_ASYNC), "the signal owner is lost");
        socklen_t n = sizeof(on);
        on = 0;
        VICTIM_CHECK(&v, getsockopt(p[1], SOL_SOCKET, SO_REUSEADDR, &on, &n) == 0 && on == 1, "SO_REUSEADDR is lost");
        n = sizeof(uc);
        VICTIM_CHECK(&v, getsockopt(s, SOL_SOCKET, SO_PEERCRED, &uc, &n) == 0 && uc.pid == getpid() && uc.uid == getuid(),
                     "the peer is process %d of user %u", (int)uc.pid, (unsigned)uc.uid);
        n = sizeof(peers);
        VICTIM_CHECK(&v, getsockopt(s, SOL_SOCKET, SO_PEERGROUPS, peers, &n) == 0 && n == sizeof(other) && memcmp(peers, other, n) == 0,
                     "the peer has other groups, %u of them", (unsigned)(n / sizeof(peers[0])));
        expect(&v, s, "connection", "question");
        VICTIM_CHECK(&v, recv(s, &c, 1, MSG_DONTWAIT) == 0, "the shutdown is lost");
        VICTIM_CHECK(&v, write(s, "answer", 6) == 6, "write: %s", strerror(errno));
        expect(&v, cl, "connection", "answer");
        expect(&v, half, "half-open", "bye");
        VICTIM_CHECK(&v, recv(half, &c, 1, MSG_DONTWAIT) == 0, "the closed peer is there");
        int later = accept4(l, NULL, NULL, SOCK_NONBLOCK);
        VICTIM_CHECK(&v, later >= 0 && write(waiting, "me", 2) == 2, "nobody waits to be accepted");
        expect(&v, later, "accepted later", "me");
        VICTIM_CHECK(&v, stat(path, &st) == 0 && st.st_mode == (S_IFSOCK | 0602), "the socket's file has mode %o", st.st_mode);
        int fresh = client(&v, true), fs = accept4(al, NULL, NULL, SOCK_NONBLOCK);
        VICTIM_CHECK(&v, fs >= 0 && write(fresh, "x", 1) == 1, "the abstract listener does not listen");
        VICTIM_CHECK(&v, write(ch[0], "q", 1) == 1 && read(ch[0], &c, 1) == 1, "the child does not answer");
        close(ch[0]);
        VICTIM_CHECK(&v, waitpid(child, &status, 0) == child && status == 0, "the child ends with %x", (unsigned)status);
        return victim_end(&v);
}
