/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running a program inside a container.
 *
 *      command ── fork ── A: sets its children's pid namespace, clones B into the payload's cgroup, waits for it
 *                         B: joins the other seven namespaces, becomes the container's root, capabilities, filter, execve
 *
 * Only B is ever in the container, in its cgroup and under its limits, and it is not dumpable from before it joins until
 * it executes: nothing inside can look into its memory or take the engine's program by /proc/PID/exe. It has the
 * caller's descriptors 0–2, or, when all three are a terminal, a pty of the container's own devpts whose master A relays.
 * The shared lock is held until B runs, so that no checkpoint begins between the join and the walk.
 *
 * B's parent is outside, so while it runs the container cannot be checkpointed: it may not outlive the command unnoticed. When the
 * command dies, A does, and B gets what a program gets whose terminal has gone, SIGHUP (PR_SET_PDEATHSIG of both).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/confine.h"
#include "engine/ct-int.h"
#include "engine/relay.h"

#define JOIN_FLAGS (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWTIME)

struct job {
        struct ct *ct;
        const char *const *argv;
        struct filter filter;
        int init, cgroup;            /* init's pidfd, the payload's directory */
        pid_t command;               /* the process that A is a child of */
        bool tty;
};

/* What the inner side says: ended badly before execve, or (ok) its pty's master beside it. */
struct said { bool ok; struct err err; };

/* ---- B ---- */

static int inner_pty(int sock, struct err *err)
{
        struct said s = {.ok = true};
        char name[32];
        int unlock = 0;
        unsigned index;

        _cleanup_close_ int master = path_open(AT_FDCWD, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0, err);
        if (master < 0)
                return master;
        if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &index) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a terminal", "/dev/pts");
        snprintf(name, sizeof(name), "/dev/pts/%u", index);
        _cleanup_close_ int slave = path_open(AT_FDCWD, name, O_RDWR | O_NOCTTY, 0, err);
        if (slave < 0)
                return slave;
        if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a session", "%s", name);
        for (int i = 0; i < 3; i++)
                if (dup2(slave, i) < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot use the terminal", "%s", name);
        return fd_send(sock, &s, sizeof(s), &master, 1, err);
}

static int search_exec(char *const argv[], char *const env[])
{
        static const char dirs[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        char path[4096];

        if (strchr(argv[0], '/')) {
                execve(argv[0], argv, env);
                return errno;
        }
        for (const char *d = dirs; *d;) {
                size_t n = strcspn(d, ":");
                int len = snprintf(path, sizeof(path), "%.*s/%s", (int)n, d, argv[0]);
                if (len > 0 && (size_t)len < sizeof(path))
                        execve(path, argv, env);
                if (errno != ENOENT && errno != ENOTDIR)
                        return errno;
                d += n + (d[n] == ':');
        }
        return ENOENT;
}

static int join(const struct job *j, struct err *err)
{
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot hide from the container", "%s", j->ct->name);
        int r = sys_setns(j->init, JOIN_FLAGS);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter the container", "%s", j->ct->name);
        r = confine_keyring(err);
        if (r < 0)
                return r;
        if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot become the container's root", "%s", j->ct->name);
        if (chdir("/") < 0)
                return err_sys(err, EX_FAIL, errno, "cannot enter the container's root", "%s", j->ct->name);
        return 0;
}

/* From here on A's end is ours; one that came before is seen by its end of the socket. */
static int follow_outer(int sock, struct err *err)
{
        char c;

        if (prctl(PR_SET_PDEATHSIG, SIGHUP) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot follow the command", "%s", "");
        if (recv(sock, &c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) == 0)
                return err_set(err, EX_FAIL, "cannot run the program in the container", "the command has ended", "%s", "");
        return 0;
}

static int run_inside(const struct job *j, int sock, struct err *err)
{
        char term[80] = "TERM=linux";
        const char *t = getenv("TERM");
        char *const env[] = {(char[]){"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                             (char[]){"HOME=/root"}, (char[]){"LANG=C.UTF-8"}, (char[]){"container=gantry"}, term, NULL};
        struct sigaction dfl = {.sa_handler = SIG_DFL};
        sigset_t none;
        int r = join(j, err);

        if (r == 0 && j->tty)
                r = inner_pty(sock, err);
        if (r < 0)
                return r;
        if (t && strlen(t) < 64)
                snprintf(term, sizeof(term), "TERM=%s", t);
        if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot close descriptors", "%s", j->ct->name);
        for (int i = 1; i < NSIG; i++)
                (void)sigaction(i, &dfl, NULL); /* SIGKILL and SIGSTOP refuse */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        umask(022);
        r = follow_outer(sock, err);
        if (r == 0)
                r = caps_limit(confine_caps(), err);
        if (r == 0)
                r = filter_load(&j->filter, err);
        if (r < 0)
                return r;
        r = search_exec((char *const *)(uintptr_t)j->argv, env);
        return err_sys(err, r == ENOENT ? EX_UNKNOWN : EX_FAIL, r, "cannot run the program in the container", "%s", j->argv[0]);
}

static void inner_main(const struct job *j, int sock) __attribute__((noreturn));

static void inner_main(const struct job *j, int sock)
{
        struct said s = {};
        char go;
        size_t len, n;

        /* Not before A has put us into the v1 hierarchies. */
        if (fd_recv(sock, &go, 1, &len, NULL, 0, &n, &s.err) != 0)
                _exit(127);
        (void)run_inside(j, sock, &s.err);
        (void)fd_send(sock, &s, sizeof(s), NULL, 0, NULL);
        _exit(127);
}

/* ---- A ---- */

/* The directory of init below the payload: where a controller is enabled in the payload, nobody may be in the payload itself. */
static int init_cgroup(const struct job *j, struct err *err)
{
        char proc[64], below[sizeof(j->ct->cgroup) + sizeof(V2_LEAF) + 4];
        _cleanup_free_ char *text = NULL;
        pid_t pid;
        int r = pidfd_pid(j->init, &pid, err);

        if (r < 0)
                return r;
        snprintf(proc, sizeof(proc), "/proc/%d/cgroup", pid);
        snprintf(below, sizeof(below), "/%s/" V2_LEAF "/", j->ct->cgroup);
        r = path_read(AT_FDCWD, proc, &text, NULL, err);
        char *path = r < 0 ? NULL : strstr(text, "0::");
        path = path ? strstr(path, below) : NULL;
        if (!path)
                return r < 0 ? r : err_sys(err, EX_STATE, EBUSY, "cannot enter the container's cgroup", "%s", j->ct->name);
        path += strlen(below);
        path[strcspn(path, "\n")] = '\0';
        return path_open_beneath(j->cgroup, path, O_RDONLY | O_DIRECTORY, 0, err);
}

static int clone_inner(const struct job *j, int sv[2], int *ret_pidfd, struct err *err)
{
        struct clone_args args = {.flags = CLONE_PIDFD | (uint64_t)CLONE_INTO_CGROUP, .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                                  .exit_signal = SIGCHLD, .cgroup = (unsigned)j->cgroup};
        int r = sys_setns(j->init, CLONE_NEWPID);

        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter the container", "%s", j->ct->name);
        pid_t pid = sys_clone3(&args, sizeof(args));
        _cleanup_close_ int other = pid == -EBUSY ? init_cgroup(j, err) : -1;
        if (pid == -EBUSY && other < 0)
                return other;
        if (other >= 0) {
                args.cgroup = (unsigned)other;
                pid = sys_clone3(&args, sizeof(args));
        }
        if (pid == 0) {
                fd_close(sv[0]);
                inner_main(j, sv[1]);
        }
        if (pid < 0)
                return err_sys(err, pid == -EAGAIN ? EX_NOSPC : EX_FAIL, pid, "cannot make a process in the container", "%s",
                               j->ct->name);
        sv[1] = fd_close(sv[1]);
        r = cgroup_attach(j->ct->node->cg, j->ct->cgroup, NULL, pid, err); /* it was born in the v2 one */
        return r < 0 ? r : fd_send(sv[0], "g", 1, NULL, 0, err);
}

/* 0: it runs (*ret_master: its terminal, or -1). */
static int hear(int sock, bool tty, int *ret_master, struct err *err)
{
        struct said s = {};
        size_t len = 0, n = 0;
        int fd = -1;

        *ret_master = -1;
        for (;;) {
                int r = fd_recv(sock, &s, sizeof(s), &len, &fd, 1, &n, err);
                if (r < 0)
                        return r;
                if (r == 1) /* execve has closed the other end */
                        return 0;
                if (len != sizeof(s) || !s.ok || n != 1 || !tty || *ret_master >= 0) {
                        if (n == 1)
                                fd_close(fd);
                        if (s.err.code)
                                return err_take(err, &s.err);
                        return err_set(err, EX_FAIL, "cannot run the program in the container", "its process answers nonsense", "%s", "");
                }
                *ret_master = fd;
        }
}

static int outer(struct job *j, int *ret_status, struct err *err)
{
        _cleanup_close_ int pidfd = -1, master = -1, sock = -1, theirs = -1;
        int sv[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a socket", "%s", j->ct->name);
        int r = clone_inner(j, sv, &pidfd, err);
        sock = sv[0];
        theirs = sv[1];
        if (r == 0)
                r = hear(sock, j->tty, &master, err);
        if (r < 0) {
                if (pidfd >= 0)
                        pidfd_end(pidfd);
                return r;
        }
        if (j->ct->mode == CT_LOCK_SHARED)
                (void)flock(j->ct->lock, LOCK_UN); /* of the open file description: the command's too; cannot fail */
        return relay_run(pidfd, master, ret_status, err);
}

struct result { int status; struct err err; };

static void outer_main(struct job *j, int pipefd) __attribute__((noreturn));

static void outer_main(struct job *j, int pipefd)
{
        struct result res = {};

        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != j->command)
                _exit(1);
        (void)outer(j, &res.status, &res.err);
        (void)fd_write_full(pipefd, &res, sizeof(res), NULL); /* the command sees the end of file otherwise */
        _exit(0);
}

/* ---- the command ---- */

static int open_job(struct ct *ct, struct job *j, struct err *err)
{
        enum ct_state s;
        int r = ct_state(ct, &s, err);

        if (r < 0)
                return r;
        if (s == CT_FROZEN || s == CT_OFFERED) {
                err_set(err, EX_STATE, "cannot run the program in the container", "", "%s", ct->name);
                return err_why(err, "it is %s", ct_state_name(s));
        }
        j->init = ct_init_pidfd(ct, err);
        if (j->init < 0)
                return j->init;
        j->cgroup = ct_payload(ct, err);
        return j->cgroup < 0 ? j->cgroup : filter_get(ct->run, "seccomp", &j->filter, err);
}

static int run_job(struct job *j, int *ret_status, struct err *err)
{
        _cleanup_close_ int rd = -1, wr = -1, pidfd = -1;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        struct result res = {};
        int fds[2];
        size_t got;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a pipe", "%s", j->ct->name);
        rd = fds[0];
        wr = fds[1];
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0) {
                rd = fd_close(rd);
                outer_main(j, wr);
        }
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make a process", "%s", j->ct->name);
        wr = fd_close(wr);
        int r = fd_read_full(rd, &res, sizeof(res), &got, err);
        pidfd_end(pidfd);
        if (r == 1)
                return err_set(err, EX_FAIL, "cannot run the program in the container", "the process beside it was killed", "%s",
                               j->ct->name);
        if (r == 0 && res.err.code)
                return err_take(err, &res.err);
        if (r == 0)
                *ret_status = res.status;
        return r;
}

int ct_exec(struct ct *ct, const char *const argv[], int *ret_status, struct err *err)
{
        struct job j = {.ct = ct, .argv = argv, .init = -1, .cgroup = -1, .command = getpid()};

        if (!argv[0])
                return err_set(err, EX_USAGE, "cannot run the program in the container", "none is given", "%s", ct->name);
        j.tty = isatty(0) && isatty(1) && isatty(2);
        int r = open_job(ct, &j, err);
        if (r == 0)
                r = run_job(&j, ret_status, err);
        fd_close(j.init);
        fd_close(j.cgroup);
        free(j.filter.insns);
        return r;
}
