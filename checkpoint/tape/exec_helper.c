/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executor that plays in a helper: a child of ours that has entered a container's namespaces, its root and ids 0:0.
 *
 * Files, links and addresses of a container are opened from inside, never by the engine as the host's root: what the
 * helper may do is what root inside may do. Descriptors that a tape needs go over and those it keeps come back by
 * SCM_RIGHTS, at most FD_PASS_MAX a message.
 *
 *      engine  ->  tape (entries, places, data), needed descriptors
 *      engine  <-  results, data, numbers of kept descriptors, these descriptors
 *
 * The container can see the helper, so it holds nothing: every descriptor but the socket is closed and it is not dumpable, so
 * that ptrace and /proc/PID/mem want CAP_SYS_PTRACE outside of the container (its memory is a copy of ours). All signals
 * are blocked in it. It ends with us: by the socket's end, and by PR_SET_PDEATHSIG where a call blocks. A pid namespace is
 * entered by children only, so there the helper is a grandchild.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "checkpoint/tape/tape-int.h"

#define END_MS 2000

struct helper {
        int sock, pidfd;
};

struct ask {
        uint64_t n, n_relocs, data_len, n_needs, n_keeps;
};

struct answer {
        int32_t rc;
        bool played;              /* results follow */
        struct err err;
};

/* --- both sides --- */

static int send_fds(int sock, const int *fds, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i += FD_PASS_MAX) {
                size_t part = n - i < FD_PASS_MAX ? n - i : FD_PASS_MAX;
                int r = fd_send(sock, "f", 1, fds + i, part, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* All n or none. */
static int recv_fds(int sock, int *fds, size_t n, struct err *err)
{
        size_t have = 0;

        while (have < n) {
                size_t part = n - have < FD_PASS_MAX ? n - have : FD_PASS_MAX, got = 0, len = 0;
                char byte;
                int r = fd_recv(sock, &byte, 1, &len, fds + have, part, &got, err);
                have += got;
                if (r == 0 && got != part)
                        r = err_set(err, EX_PERM, "cannot pass a descriptor", "it did not arrive (a label forbids it?)",
                                    "%zu of %zu", got, part);
                else if (r > 0)
                        r = err_set(err, EX_FAIL, "cannot pass a descriptor", "the other side has ended", "%zu", n);
                if (r < 0) {
                        while (have)
                                fd_close(fds[--have]);
                        return r;
                }
        }
        return 0;
}

static int recv_bytes(int sock, void *buf, size_t n, struct err *err)
{
        size_t got;
        int r = n ? fd_read_full(sock, buf, n, &got, err) : 0;

        return r > 0 ? err_set(err, EX_FAIL, "cannot play a tape in a namespace", "the helper has ended", "%zu bytes", n) : r;
}

static int send_bytes(int sock, const void *buf, size_t n, struct err *err)
{
        const char *at = buf;

        while (n) {
                ssize_t r = send(sock, at, n, MSG_NOSIGNAL); /* the other side may be gone */
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot play a tape in a namespace", "%zu bytes", n);
                at += r;
                n -= (size_t)r;
        }
        return 0;
}

/* --- in the helper --- */

static int read_tape(int sock, const struct ask *a, struct tape *t, struct err *err)
{
        t->n = a->n;
        t->n_relocs = a->n_relocs;
        t->data_len = a->data_len;
        t->e = calloc(a->n + 1, sizeof(*t->e));
        t->relocs = calloc(a->n_relocs + 1, sizeof(*t->relocs));
        t->data = calloc(a->data_len + 1, 1);
        t->needs = calloc(a->n_needs + 1, sizeof(*t->needs));
        t->need_fds = calloc(a->n_needs + 1, sizeof(*t->need_fds));
        t->keeps = calloc(a->n_keeps + 1, sizeof(*t->keeps));
        t->keep_offs = calloc(a->n_keeps + 1, sizeof(*t->keep_offs));
        if (!t->e || !t->relocs || !t->data || !t->needs || !t->need_fds || !t->keeps || !t->keep_offs)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot play a tape in a namespace", "%llu calls",
                               (unsigned long long)a->n);
        int r = recv_bytes(sock, t->e, a->n * sizeof(*t->e), err);
        if (r == 0)
                r = recv_bytes(sock, t->relocs, a->n_relocs * sizeof(*t->relocs), err);
        if (r == 0)
                r = recv_bytes(sock, t->data, a->data_len, err);
        if (r == 0)
                r = recv_bytes(sock, t->needs, a->n_needs * sizeof(*t->needs), err);
        if (r == 0)
                r = recv_bytes(sock, t->keeps, a->n_keeps * sizeof(*t->keeps), err);
        if (r == 0)
                r = recv_bytes(sock, t->keep_offs, a->n_keeps * sizeof(*t->keep_offs), err);
        if (r == 0)
                r = recv_fds(sock, t->need_fds, a->n_needs, err);
        if (r < 0)
                return r;
        t->n_needs = a->n_needs;
        t->n_keeps = a->n_keeps;
        for (size_t i = 0; i < t->n; i++)
                t->e[i].label = 0; /* labels stay with the engine, which words the error */
        return 0;
}

static int write_results(int sock, const struct answer *an, const struct tape *t)
{
        int r = send_bytes(sock, an, sizeof(*an), NULL);

        for (size_t i = 0; r == 0 && i < t->n; i++)
                r = send_bytes(sock, &t->e[i].ret, sizeof(t->e[i].ret), NULL);
        if (r == 0)
                r = send_bytes(sock, t->data, t->data_len, NULL);
        for (size_t i = 0; r == 0 && i < t->n_keeps; i++) {
                int32_t fd = t->keeps[i].fd;
                r = send_bytes(sock, &fd, sizeof(fd), NULL);
                if (r == 0 && fd >= 0)
                        r = send_fds(sock, &fd, 1, NULL);
        }
        return r;
}

/* A kept descriptor that does not exist would break the stream: told as an error before anything is sent. */
static void check_kept(struct tape *t, struct answer *an)
{
        for (size_t i = 0; i < t->n_keeps; i++) {
                if (t->keeps[i].fd < 0 || fcntl(t->keeps[i].fd, F_GETFD) >= 0)
                        continue;
                t->keeps[i].fd = -1;
                if (an->rc == 0)
                        an->rc = err_sys(&an->err, EX_FAIL, EBADF, "cannot keep a descriptor", "object %llu",
                                         (unsigned long long)t->keeps[i].object);
        }
}

static int serve_one(int sock)
{
        struct tape *t = tape_new((struct actor){ ACTOR_NS, 0 });
        struct answer an = { 0 };
        struct ask a;

        if (!t || recv_bytes(sock, &a, sizeof(a), NULL) < 0) {
                tape_free(t);
                return -1;
        }
        int r = read_tape(sock, &a, t, &an.err);
        if (r == 0) {
                an.played = true;
                an.rc = tape_run_here(t, &an.err);
                check_kept(t, &an);
                r = write_results(sock, &an, t);
                for (size_t i = 0; i < t->n_keeps; i++)
                        fd_close(t->keeps[i].fd);
                for (size_t i = 0; i < t->n_needs; i++)
                        fd_close(t->need_fds[i]);
        } else {
                an.rc = r;
                (void)send_bytes(sock, &an, sizeof(an), NULL);
        }
        tape_free(t);
        return r; /* a tape that did not arrive whole ends the helper: the stream is out of step */
}

static int set_ids(struct err *err)
{
        if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot become root of a namespace", "%s", "ids 0:0");
        if (syscall(SYS_setgroups, 0, NULL) < 0 && (errno != EPERM || getgroups(0, NULL) != 0))
                return err_sys(err, EX_FAIL, errno, "cannot become root of a namespace", "%s", "groups");
        return 0;
}

static int enter(int pidfd, int root, int nstypes, struct err *err)
{
        if (nstypes && sys_setns(pidfd, nstypes) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot enter the namespaces", "types 0x%x", (unsigned)nstypes);
        if (fchdir(root) < 0 || chroot(".") < 0)
                return err_sys(err, EX_FAIL, errno, "cannot enter the root directory", "%s", "of the namespaces");
        return set_ids(err);
}

_Noreturn static void helper_main(int pidfd, int root, int nstypes, int sock)
{
        struct answer hello = { 0 };

        (void)prctl(PR_SET_DUMPABLE, 0);
        hello.rc = enter(pidfd, root, nstypes, &hello.err);
        if (hello.rc == 0 && nstypes & CLONE_NEWPID) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                pid_t p = fork();
                if (p > 0) {
                        close_range(0, ~0u, 0);
                        while (waitpid(p, NULL, 0) < 0 && errno == EINTR)
                                ;
                        _exit(0);
                }
                if (p < 0)
                        hello.rc = err_sys(&hello.err, EX_FAIL, errno, "cannot enter the pid namespace", "%s", "fork");
        }
        /* Both are reset by the change of ids. */
        (void)prctl(PR_SET_DUMPABLE, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sock > 0)
                close_range(0, (unsigned)sock - 1, 0);
        close_range((unsigned)sock + 1, ~0u, 0);
        if (send_bytes(sock, &hello, sizeof(hello), NULL) < 0 || hello.rc < 0)
                _exit(1);
        while (serve_one(sock) == 0)
                ;
        _exit(0);
}

/* --- in the engine --- */

static int write_tape(int sock, const struct tape *t, struct err *err)
{
        const struct ask a = { t->n, t->n_relocs, t->data_len, t->n_needs, t->n_keeps };
        int r = send_bytes(sock, &a, sizeof(a), err);

        if (r == 0)
                r = send_bytes(sock, t->e, t->n * sizeof(*t->e), err);
        if (r == 0)
                r = send_bytes(sock, t->relocs, t->n_relocs * sizeof(*t->relocs), err);
        if (r == 0)
                r = send_bytes(sock, t->data, t->data_len, err);
        if (r == 0)
                r = send_bytes(sock, t->needs, t->n_needs * sizeof(*t->needs), err);
        if (r == 0)
                r = send_bytes(sock, t->keeps, t->n_keeps * sizeof(*t->keeps), err);
        if (r == 0)
                r = send_bytes(sock, t->keep_offs, t->n_keeps * sizeof(*t->keep_offs), err);
        if (r == 0)
                r = send_fds(sock, t->need_fds, t->n_needs, err);
        return r;
}

static int read_results(int sock, struct answer *an, struct tape *t, struct err *err)
{
        int r = recv_bytes(sock, an, sizeof(*an), err);

        if (r == 0 && !an->played) {
                if (err)
                        *err = an->err;
                return an->rc < 0 ? an->rc : -EX_FAIL;
        }
        for (size_t i = 0; r == 0 && i < t->n; i++)
                r = recv_bytes(sock, &t->e[i].ret, sizeof(t->e[i].ret), err);
        if (r == 0)
                r = recv_bytes(sock, t->data, t->data_len, err);
        for (size_t i = 0; r == 0 && i < t->n_keeps; i++) {
                int32_t fd;
                r = recv_bytes(sock, &fd, sizeof(fd), err);
                if (r == 0 && fd >= 0)
                        r = recv_fds(sock, &t->keeps[i].fd, 1, err);
        }
        return r;
}

static int play_in(struct helper *h, struct tape *t, struct err *err)
{
        struct answer an;
        int r = tape_begin(t, err);

        if (r == 0)
                r = write_tape(h->sock, t, err);
        if (r == 0)
                r = read_results(h->sock, &an, t, err);
        if (r < 0 || an.rc == 0)
                return r;
        for (size_t i = 0; i < t->n; i++)
                if (t->e[i].ret != INT64_MIN && !tape_entry_ok(&t->e[i], t->e[i].ret))
                        return tape_failed(t, i, err);
        if (err)
                *err = an.err;
        return an.rc;
}

static int helper_play(void *ctx, struct tape *const t[], size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                int r = play_in(ctx, t[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void helper_done(void *ctx)
{
        struct helper *h = ctx;

        h->sock = fd_close(h->sock);
        if (h->pidfd >= 0 && pidfd_wait(h->pidfd, END_MS, NULL, NULL) != 0)
                pidfd_end(h->pidfd); /* it is in a call that blocks */
        fd_close(h->pidfd);
        free(h);
}

static const struct executor_ops helper_ops = { .play = helper_play, .done = helper_done };

/* setns() refuses the user namespace that one is in already. */
static int other_namespaces(pid_t pid, int nstypes, struct err *err)
{
        char path[64];
        struct stat ours, theirs;

        if (!(nstypes & CLONE_NEWUSER))
                return nstypes;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
        if (stat("/proc/self/ns/user", &ours) < 0 || stat(path, &theirs) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a user namespace", "%s", path);
        return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? nstypes & ~CLONE_NEWUSER : nstypes;
}

static int start_child(int pidfd, int root, int nstypes, struct helper *h, struct err *err)
{
        sigset_t all, old;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot start a helper", "%s", "socketpair");
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &old);
        pid_t p = fork();
        if (p == 0)
                helper_main(pidfd, root, nstypes, pair[1]);
        int saved = errno;
        sigprocmask(SIG_SETMASK, &old, NULL);
        fd_close(pair[1]);
        h->sock = pair[0];
        if (p < 0)
                return err_sys(err, EX_FAIL, saved, "cannot start a helper", "%s", "fork");
        h->pidfd = sys_pidfd_open(p, 0);
        return h->pidfd < 0 ? err_sys(err, EX_FAIL, h->pidfd, "cannot start a helper", "%s", "pidfd_open") : 0;
}

int executor_helper(int pidfd, int nstypes, struct executor *ret, struct err *err)
{
        struct answer hello = { 0 };
        char path[64];
        pid_t pid = 0;
        int r = pidfd_pid(pidfd, &pid, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
        _cleanup_close_ int root = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
        if (root < 0)
                return err_sys(err, EX_FAIL, root, "cannot open a task's root directory", "%s", path);
        if (pidfd_alive(pidfd) != 1)
                return err_set(err, EX_UNKNOWN, "cannot enter the namespaces", "the task has ended", "%d", (int)pid);
        nstypes = other_namespaces(pid, nstypes, err);
        if (nstypes < 0)
                return nstypes;
        struct helper *h = malloc(sizeof(*h));
        if (!h)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot start a helper", "%d", (int)pid);
        *h = (struct helper){ -1, -1 };
        r = start_child(pidfd, root, nstypes, h, err);
        if (r == 0)
                r = recv_bytes(h->sock, &hello, sizeof(hello), err);
        if (r == 0 && hello.rc < 0) {
                r = hello.rc;
                if (err)
                        *err = hello.err;
        }
        if (r < 0) {
                helper_done(h);
                return r;
        }
        *ret = (struct executor){ &helper_ops, h };
        return 0;
}
