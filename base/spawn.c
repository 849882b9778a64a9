/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Child processes without a shell (base/spawn.h).
 *
 * The child is made by clone3 (5.3) with its pidfd, so that it is never known by a number alone. Between clone3 and
 * execve it only makes system calls: another thread may have held the allocator's lock. All signals are blocked
 * across the clone, so that no handler of ours runs in it. A failed step comes back as (step, errno) through a pipe
 * that execve closes.
 *
 * Output is read until the program ends, not until the pipe does: a daemon that it leaves behind may hold the pipe.
 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "base/sys.h"

#define PATH_DIRS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define STDERR_MAX 4096
#define STDOUT_MAX ((size_t)1 << 20)
#define REPORT_FD 3

enum step { STEP_FDS = 1, STEP_SESSION, STEP_EXEC };
struct report {
        int step, errno_value;
};

/* Everything the child needs, made before it exists. */
struct plan {
        char path[512];
        const char *const *argv, *const *env;
        int fds[3];
        int report;
        bool setsid;
};

static void child_fail(int fd, int step)
{
        struct report rep = {step, errno};
        ssize_t r = write(fd, &rep, sizeof(rep));

        (void)r; /* the parent sees the exit status then */
        _exit(127);
}

static void child_signals(void)
{
        struct sigaction dfl = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void)sigaction(i, &dfl, NULL); /* SIGKILL and SIGSTOP refuse */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_main(const struct plan *p) __attribute__((noreturn));

static void child_main(const struct plan *p)
{
        int fds[3], report = fcntl(p->report, F_DUPFD_CLOEXEC, 16);

        if (report < 0)
                child_fail(p->report, STEP_FDS);
        child_signals();
        /* First out of the way of 0-3, in whatever order they came. */
        for (int i = 0; i < 3; i++) {
                fds[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, 16);
                if (fds[i] < 0)
                        child_fail(report, STEP_FDS);
        }
        for (int i = 0; i < 3; i++)
                if (dup2(fds[i], i) < 0)
                        child_fail(report, STEP_FDS);
        if (dup3(report, REPORT_FD, O_CLOEXEC) < 0)
                child_fail(report, STEP_FDS);
        if (syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0) < 0)
                child_fail(REPORT_FD, STEP_FDS);
        if (p->setsid && setsid() < 0)
                child_fail(REPORT_FD, STEP_SESSION);
        execve(p->path, (char *const *)(uintptr_t)p->argv, (char *const *)(uintptr_t)p->env);
        child_fail(REPORT_FD, STEP_EXEC);
        __builtin_unreachable();
}

static int find_program(const char *name, char *ret, size_t size, struct err *err)
{
        static const char dirs[] = PATH_DIRS;

        if (strchr(name, '/')) {
                if (!str_copy(ret, size, name))
                        return err_sys(err, EX_FAIL, ENAMETOOLONG, "cannot run", "%s", name);
                return 0;
        }
        for (const char *d = dirs; *d;) {
                size_t n = strcspn(d, ":");
                int len = snprintf(ret, size, "%.*s/%s", (int)n, d, name);
                if (len > 0 && (size_t)len < size && access(ret, X_OK) == 0)
                        return 0;
                d += n + (d[n] == ':');
        }
        int r = err_set(err, EX_FAIL, "cannot run", "no such program", "%s", name);
        if (err)
                err_remedy(err, "install it; it is looked up in %s", PATH_DIRS);
        return r;
}

static pid_t clone_child(struct plan *p, int *ret_pidfd)
{
        struct clone_args args = {
                .flags = CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };
        sigset_t all, old;

        sigfillset(&all);
        if (sigprocmask(SIG_BLOCK, &all, &old) < 0)
                return -errno;
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                child_main(p);
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        return pid;
}

/* Waits until execve closed the pipe or a step reported. */
static int read_report(int fd, const char *name, struct err *err)
{
        static const char *const steps[] = {
                [STEP_FDS] = "cannot set up the descriptors of a program",
                [STEP_SESSION] = "cannot make a session for a program",
                [STEP_EXEC] = "cannot run",
        };
        struct report rep;
        size_t got = 0;
        int r = fd_read_full(fd, &rep, sizeof(rep), &got, err);

        if (r < 0 || got == 0)
                return r < 0 ? r : 0;
        if (got < sizeof(rep) || rep.step < STEP_FDS || rep.step > STEP_EXEC)
                return err_set(err, EX_FAIL, "cannot run", "it ended too early", "%s", name);
        return err_sys(err, EX_FAIL, rep.errno_value, steps[rep.step], "%s", name);
}

int spawn_start(const struct spawn *s, int *ret_pidfd, struct err *err)
{
        char auth[512];
        const char *env[5] = {("PATH=" PATH_DIRS), "HOME=/root", "LANG=C.UTF-8"};
        _cleanup_close_ int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
        _cleanup_close_ int rd = -1, wr = -1, pidfd = -1;
        struct plan p = {.argv = s->argv, .env = s->env ? s->env : env, .setsid = s->setsid};
        int pipefd[2];

        if (null < 0)
                return err_sys(err, EX_FAIL, null, "cannot open", "/dev/null");
        const char *sock = getenv("SSH_AUTH_SOCK");
        if (sock && (size_t)snprintf(auth, sizeof(auth), "SSH_AUTH_SOCK=%s", sock) < sizeof(auth))
                env[3] = auth;
        int r = find_program(s->argv[0], p.path, sizeof(p.path), err);
        if (r < 0)
                return r;
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a pipe", "for %s", s->argv[0]);
        rd = pipefd[0];
        wr = pipefd[1];
        p.report = wr;
        p.fds[0] = s->in >= 0 ? s->in : null;
        p.fds[1] = s->out >= 0 ? s->out : null;
        p.fds[2] = s->errfd >= 0 ? s->errfd : null;
        pid_t pid = clone_child(&p, &pidfd);
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make a process", "for %s", s->argv[0]);
        wr = fd_close(wr);
        r = read_report(rd, s->argv[0], err);
        if (r < 0) {
                pidfd_end(pidfd);
                return r;
        }
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

/* One of the program's outputs. Beyond max bytes the oldest are dropped (keep_tail) or `over` is set. */
struct capture {
        int fd;
        struct strbuf text;
        size_t max;
        bool keep_tail, over;
};

/* Takes what is there now; closes at end of file. */
static int capture_read(struct capture *c, struct err *err)
{
        char buf[4096];

        while (c->fd >= 0) {
                int64_t r = sys_read(c->fd, buf, sizeof(buf));
                if (r == -EINTR)
                        continue;
                if (r == -EAGAIN)
                        return 0;
                if (r < 0)
                        return err_sys(err, EX_FAIL, (int)r, "cannot read the output of a program", "%s", "");
                if (r == 0) {
                        c->fd = fd_close(c->fd);
                        break;
                }
                strbuf_add(&c->text, buf, (size_t)r);
                if (c->text.len <= c->max || c->text.bad)
                        continue;
                if (!c->keep_tail) {
                        c->over = true;
                        return 0;
                }
                memmove(c->text.s, c->text.s + c->text.len - c->max, c->max);
                c->text.len = c->max;
                c->text.s[c->max] = '\0';
        }
        return 0;
}

static int capture_all(int pidfd, struct capture *c, size_t n, int *ret_status, struct err *err)
{
        for (;;) {
                struct pollfd p[3] = {{.fd = pidfd, .events = POLLIN}};
                for (size_t i = 0; i < n; i++)
                        p[i + 1] = (struct pollfd){.fd = c[i].fd, .events = POLLIN};
                int r = poll(p, n + 1, -1);
                if (r < 0 && errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot wait for a program", "%s", "");
                if (r < 0)
                        continue;
                for (size_t i = 0; i < n; i++) {
                        r = capture_read(&c[i], err);
                        if (r < 0)
                                return r;
                        if (c[i].over)
                                return err_set(err, EX_FAIL, "cannot read the output of a program",
                                               "it is longer than expected", "more than %zu bytes", c[i].max);
                }
                /* Ended before the reads above: all it wrote itself has been seen. */
                if (p[0].revents)
                        return pidfd_wait(pidfd, -1, ret_status, err);
        }
}

static int capture_open(struct capture *c, int *ret_write, struct err *err)
{
        int p[2];

        if (pipe2(p, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a pipe", "%s", "");
        c->fd = p[0];
        *ret_write = p[1];
        return fd_nonblock(p[0], true, err);
}

/* c[0] is standard error, c[1], if n is 2, standard output. */
static int run(const char *const *argv, int in, struct capture *c, size_t n, int *ret_status, struct err *err)
{
        _cleanup_close_ int w0 = -1, w1 = -1, pidfd = -1;
        int r = capture_open(&c[0], &w0, err);

        if (r == 0 && n > 1)
                r = capture_open(&c[1], &w1, err);
        if (r < 0)
                return r;
        struct spawn s = {.argv = argv, .in = in, .out = w1, .errfd = w0};
        r = spawn_start(&s, &pidfd, err);
        if (r < 0)
                return r;
        w0 = fd_close(w0);
        w1 = fd_close(w1);
        r = capture_all(pidfd, c, n, ret_status, err);
        if (r < 0) {
                pidfd_end(pidfd);
                return err_wrap(err, "cannot run", "%s", argv[0]);
        }
        return 0;
}

static void captures_done(struct capture *c, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                c[i].fd = fd_close(c[i].fd);
                strbuf_done(&c[i].text);
        }
}

/* The last line that says something, else the status. */
static int failed(int code, const char *name, int status, char *text, struct err *err)
{
        size_t n = text ? strlen(text) : 0;

        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
                text[--n] = '\0';
        const char *line = n ? strrchr(text, '\n') : NULL;
        line = line ? line + 1 : text;
        int r = err_set(err, code, "a program failed", n ? line : "", "%s", name);
        if (err && !n)
                err_why(err, status >= 128 ? "ended by signal %d" : "exit status %d",
                        status >= 128 ? status - 128 : status);
        return r;
}

int spawn_run(const char *const *argv, int *ret_status, struct err *err)
{
        struct capture c = {.fd = -1, .max = STDERR_MAX, .keep_tail = true};
        int status = 0, r = run(argv, -1, &c, 1, &status, err);

        if (r == 0) {
                *ret_status = status;
                if (status)
                        (void)failed(EX_FAIL, argv[0], status, c.text.s, err);
        }
        captures_done(&c, 1);
        return r;
}

int spawn_check_in(int code, const char *const *argv, int in, struct err *err)
{
        struct capture c = {.fd = -1, .max = STDERR_MAX, .keep_tail = true};
        int status = 0, r = run(argv, in, &c, 1, &status, err);

        if (r == 0 && status)
                r = failed(code, argv[0], status, c.text.s, err);
        captures_done(&c, 1);
        return r;
}

int spawn_check(int code, const char *const *argv, struct err *err)
{
        return spawn_check_in(code, argv, -1, err);
}

int spawn_output(const char *const *argv, char **ret, struct err *err)
{
        struct capture c[2] = {
                {.fd = -1, .max = STDERR_MAX, .keep_tail = true},
                {.fd = -1, .max = STDOUT_MAX},
        };
        int status = 0, r = run(argv, -1, c, 2, &status, err);

        if (r == 0 && status)
                r = failed(EX_FAIL, argv[0], status, c[0].text.s, err);
        if (r == 0) {
                char *text = strbuf_take(&c[1].text);
                if (text)
                        *ret = text;
                else
                        r = err_sys(err, EX_FAIL, ENOMEM, "cannot keep the output of a program", "%s", argv[0]);
        }
        captures_done(c, 2);
        return r;
}
