/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor: how a process becomes one, and what it does.
 *
 * It owns the exit status of the container's init (it is its parent, unless it replaces one that died) and the master of
 * its console, nothing else: it may be killed, and the next command starts another, which waits by pidfd and cannot know
 * the status. RUN_DIR/NAME/monitor is locked as long as one lives; the lock is taken before the container exists and handed over exec,
 * so that no second one starts in between.
 *
 * The console goes to RUN_DIR/NAME/console.log, at most two files of 256 KiB. When init is gone the monitor takes the
 * container's lock, and if the run state still names that init, notes the status and cleans up; a stop that was quicker
 * has done it already. Its own lock it lets go before: a command that holds the container may be about to start it.
 */
#include "engine/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/ct-int.h"

#define PROGRAM "ctrmon"
#define CONSOLE_LOG "console.log"
#define CONSOLE_MAX (256 * 1024)

/* ---- becoming one ---- */

int monitor_lock(struct ct *ct, struct err *err)
{
        return lock_file(ct->run, "monitor", CT_LOCK_EXCLUSIVE, 10000, "the container's monitor", err);
}

/* Beside our own program, as in a build tree; else where it is installed. */
static void program(char ret[512])
{
        char self[400];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n > 0) {
                self[n] = '\0';
                char *slash = strrchr(self, '/');
                if (slash) {
                        *slash = '\0';
                        snprintf(ret, 512, "%s/" PROGRAM, self);
                        if (access(ret, X_OK) == 0)
                                return;
                }
        }
        snprintf(ret, 512, "%s", GANTRY_SBINDIR "/" PROGRAM);
}

static int standard_null(struct err *err)
{
        _cleanup_close_ int null = path_open(AT_FDCWD, "/dev/null", O_RDWR, 0, err);

        if (null < 0)
                return null;
        for (int i = 0; i < 3; i++)
                if (dup2(null, i) < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot become the monitor", "descriptor %d", i);
        return 0;
}

int monitor_exec(struct ct *ct, int pidfd, int console, int lock, struct err *err)
{
        char path[512], args[3][16];
        int fds[3] = {pidfd, console, lock};
        char *const env[] = {NULL};

        program(path);
        for (int i = 0; i < 3; i++) {
                if (fds[i] >= 0 && fd_cloexec(fds[i], false, err) < 0)
                        return err_result(err);
                snprintf(args[i], sizeof(args[i]), "%d", fds[i]);
        }
        int r = standard_null(err);
        if (r < 0)
                return r;
        char *const argv[] = {(char[]){PROGRAM}, ct->name, args[0], args[1], args[2], NULL};
        execve(path, argv, env);
        err_sys(err, EX_FAIL, errno, "cannot execute the monitor", "%s", path);
        return err_remedy(err, "is Gantry installed whole?");
}

int monitor_spawn(struct ct *ct, struct err *err)
{
        char path[512];
        int pidfd = -1;
        _cleanup_close_ int lock = lock_file(ct->run, "monitor", CT_LOCK_EXCLUSIVE, 0, ct->name, NULL);

        if (lock < 0)
                return 0; /* there is one */
        lock = fd_close(lock);
        program(path);
        const char *const argv[] = {path, ct->name, NULL};
        struct spawn s = {.argv = argv, .in = -1, .out = -1, .errfd = -1, .setsid = true};
        int r = spawn_start(&s, &pidfd, err);
        fd_close(pidfd);
        return r;
}

/* ---- being one ---- */

struct monitor {
        struct node *node;
        const char *name;
        int run, log;
        off_t logged;
};

static void log_open(struct monitor *m)
{
        struct stat st;

        m->log = sys_openat(m->run, CONSOLE_LOG, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
        m->logged = m->log >= 0 && fstat(m->log, &st) == 0 ? st.st_size : 0;
}

/* The console must be read whether or not it can be kept: a full pty stops the container's init. */
static void log_write(struct monitor *m, const char *buf, size_t n)
{
        if (m->logged + (off_t)n > CONSOLE_MAX) {
                m->log = fd_close(m->log);
                (void)sys_renameat2(m->run, CONSOLE_LOG, m->run, CONSOLE_LOG ".1", 0); /* else the old one grows on */
                log_open(m);
        }
        if (m->log >= 0 && fd_write_full(m->log, buf, n, NULL) == 0)
                m->logged += (off_t)n;
}

/* false: the console is gone for good, or every user of it has closed it just now. */
static bool drain(struct monitor *m, int console)
{
        char buf[4096];

        for (;;) {
                ssize_t n = read(console, buf, sizeof(buf));
                if (n > 0) {
                        log_write(m, buf, (size_t)n);
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                return n < 0 && errno == EAGAIN;
        }
}

static void wait_for_end(struct monitor *m, int pidfd, int console)
{
        for (;;) {
                struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = console, .events = POLLIN}};
                if (poll(p, 2, -1) < 0 && errno != EINTR)
                        return;
                /* A pty without an open slave says POLLHUP all the time: look again a little later. */
                if (p[1].revents && !drain(m, console) && !p[0].revents)
                        (void)poll(p, 1, 100);
                if (p[0].revents)
                        return;
        }
}

static void note_status(struct ct *ct, int status)
{
        char text[32];
        int n = status < 0 ? snprintf(text, sizeof(text), "status = unknown\n") : snprintf(text, sizeof(text), "status = %d\n", status);

        (void)path_replace(ct->run, "exit", text, (size_t)n, 0644, NULL); /* for people only */
}

static int clean_up(struct monitor *m, const struct run_state *was, int status, struct err *err)
{
        struct timespec nap = {.tv_nsec = 20000000};
        struct ct *ct = NULL;
        struct run_state now;
        int r;

        /* Whoever holds the lock (a stop, a migration) may do this work for us, and even start the container again. */
        for (;; (void)nanosleep(&nap, NULL)) {
                r = ct_open_as(m->node, m->name, false, CT_LOCK_EXCLUSIVE, &ct, err);
                bool locked = r == -EX_LOCKED;
                if (locked)
                        r = ct_open_as(m->node, m->name, false, CT_LOCK_NONE, &ct, err);
                if (r < 0)
                        return r == -EX_UNKNOWN ? 0 : r;
                r = state_get(ct, &now, err);
                bool mine = r == 0 && now.pid == was->pid && now.start == was->start;
                if (mine && !locked) {
                        note_status(ct, status);
                        r = ct_cleanup(ct, err);
                }
                ct_close(ct);
                ct = NULL;
                if (r < 0 || !mine || !locked)
                        return r < 0 ? r : 0;
        }
}

int monitor_run(struct node *n, const char *name, const struct monitor_fds *fds, struct err *err)
{
        struct monitor m = {.node = n, .name = name, .run = -1, .log = -1};
        _cleanup_close_ int pidfd = fds->pidfd, console = fds->console, lock = fds->lock;
        struct ct *ct = NULL;
        struct run_state was;
        int status = -1;

        int r = ct_open_as(n, name, false, CT_LOCK_NONE, &ct, err);
        if (r < 0)
                return r;
        _cleanup_close_ int run = fcntl(ct->run, F_DUPFD_CLOEXEC, 3);
        r = state_get(ct, &was, err);
        if (r == 0 && lock < 0)
                r = lock = monitor_lock(ct, err);
        if (r >= 0 && pidfd < 0 && r != 1)
                r = state_pidfd(ct, &pidfd, err);
        ct_close(ct);
        if (r < 0 || r == 1 || run < 0)
                return r < 0 ? r : 0; /* it is gone already */
        m.run = run;
        if (console >= 0 && fd_nonblock(console, true, err) < 0)
                return err_result(err);
        log_open(&m);
        wait_for_end(&m, pidfd, console);
        if (pidfd_wait(pidfd, 0, &status, NULL) != 0)
                status = -1; /* not our child */
        if (console >= 0)
                (void)drain(&m, console);
        fd_close(m.log);
        console = fd_close(console);
        lock = fd_close(lock); /* whoever has the container's lock may start the next one */
        return clean_up(&m, &was, status, err);
}
