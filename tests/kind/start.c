/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A victim from its start to its verdict (driver.h).
 *
 * It is the init of a pid namespace of its own, in a cgroup of its own, with /dev/null as descriptors 0–2 and nothing
 * else open; all other namespaces are ours, which makes them external to the session. They talk by files: victim.h. The
 * victims of fd-pty and task-tty have a console as descriptor 0, which controls its session: we hold its master, as the engine's monitor
 * does; for fd-pty something is typed when it is ready.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/pidfd.h"
#include "tests/kind/driver.h"
#include "tests/kind/look.h"

#define PATIENCE_MS 20000

int failed(struct trial *r, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(r->why, sizeof(r->why), fmt, ap);
        va_end(ap);
        return -1;
}

int failed_err(struct trial *r, const char *what, const struct err *err)
{
        char text[700];

        return failed(r, "%s: %s", what, err_format(err, text, sizeof(text)));
}

static void nap(void)
{
        const struct timespec t = {.tv_nsec = 5000000};

        nanosleep(&t, NULL);
}

static void cgroup_name(const struct trial *r, char ret[200])
{
        snprintf(ret, 200, "%s-%u", r->cgroup, r->grounds);
}

/* What a driver that was ended left under this name: it may be frozen. */
static void cgroup_clear(struct cgroups *cg, const char *name)
{
        int dir = cgroup_open_v2(cg, name, NULL);

        if (dir < 0)
                return;
        (void)cgroup_kill(dir, NULL);
        (void)cgroup_thaw(dir, NULL);
        close(dir);
        for (int i = 0; i < 100 && cgroup_remove(cg, name, NULL) < 0; i++)
                nap();
}

static int cgroup_next(struct trial *r, char name[200])
{
        struct cgroups *cg = NULL;
        struct err err = {0};

        r->grounds++;
        cgroup_name(r, name);
        if (cgroups_open(&cg, &err) < 0)
                return failed_err(r, "cgroups", &err);
        cgroup_clear(cg, name);
        cgroups_free(cg);
        return 0;
}

static int cgroup_make(struct trial *r)
{
        struct cgroups *cg = NULL;
        struct err err = {0};
        char name[200];

        if (cgroup_next(r, name) < 0)
                return -1;
        int n = cgroups_open(&cg, &err);
        if (n == 0)
                n = cgroup_create(cg, name, &err);
        if (n == 0)
                n = r->s.cgroup_fd = cgroup_open_v2(cg, name, &err);
        cgroups_free(cg);
        return n < 0 ? failed_err(r, "the victim's cgroup", &err) : 0;
}

static int console_make(struct trial *r)
{
        if (!r->stem || (strcmp(r->stem, "fd-pty") != 0 && strcmp(r->stem, "task-tty") != 0) || r->master >= 0)
                return 0;
        r->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (r->master < 0 || grantpt(r->master) < 0 || unlockpt(r->master) < 0 ||
            ptsname_r(r->master, r->slave, sizeof(r->slave)) != 0 || ioctl(r->master, TIOCGPTN, &r->s.console_index) < 0)
                return failed(r, "a console: %s", strerror(errno));
        return 0;
}

/* A line, and the half of one. It is there when its echo has come back. */
static int console_type(struct trial *r)
{
        static const char text[] = "typed\nha";
        struct pollfd p = {.fd = r->master, .events = POLLIN};
        char echo[64];

        if (r->master < 0 || strcmp(r->stem, "fd-pty") != 0)
                return 0;
        if (write(r->master, text, strlen(text)) != (ssize_t)strlen(text))
                return failed(r, "the console: %s", strerror(errno));
        while (poll(&p, 1, 100) == 1 && read(r->master, echo, sizeof(echo)) > 0)
                ;
        return 0;
}

/* What the old tree has left of it: a restore finds a console that is new. */
static int console_fresh(struct trial *r)
{
        struct winsize none = {};
        struct termios t;

        if (r->master < 0)
                return 0;
        int fd = open(r->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
        bool done = fd >= 0 && tcgetattr(fd, &t) == 0;
        t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN;
        t.c_cc[VKILL] = 21;
        done = done && tcsetattr(fd, TCSANOW, &t) == 0 && tcflush(fd, TCIOFLUSH) == 0 && ioctl(fd, TIOCSWINSZ, &none) == 0;
        if (fd >= 0)
                close(fd);
        return done ? 0 : failed(r, "the console: %s", strerror(errno));
}

static void become_victim(const struct trial *r)
{
        char *const argv[] = {(char *)(uintptr_t)r->program, (char *)(uintptr_t)r->dir, NULL};
        char *const envp[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", (char *)(uintptr_t) "VICTIM=1",
                              (char *)(uintptr_t) (r->calm ? "VICTIM_CALM=1" : "VICTIM_CALM=0"),
                              r->calm ? (char *)(uintptr_t) "GLIBC_TUNABLES=glibc.pthread.rseq=0" : NULL, NULL};
        int null = open("/dev/null", O_RDWR);

        if (setsid() < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
                _exit(126);
        if (r->master >= 0) {
                int tty = open(r->slave, O_RDWR | O_NOCTTY);
                if (tty < 0 || ioctl(tty, TIOCSCTTY, 0) < 0 || dup2(tty, 0) < 0)
                        _exit(125);
        }
        (void)syscall(SYS_close_range, 3, ~0u, 0);
        (void)umask(022);
        execve(r->program, argv, envp);
        _exit(127);
}

/* Waits until r->dir/name is there, or the victim has ended. */
static int file_wait(struct trial *r, const char *name)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", r->dir, name);
        for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
                if (access(path, F_OK) == 0)
                        return 0;
                if (!pidfd_alive(r->s.init_pidfd)) {
                        int status = -1;
                        (void)pidfd_wait(r->s.init_pidfd, 0, &status, NULL);
                        return access(path, F_OK) == 0 ? 0 : failed(r, "the victim ended without '%s', status %d", name, status);
                }
                nap();
        }
        return failed(r, "the victim did not say '%s' in %d s", name, PATIENCE_MS / 1000);
}

static unsigned long switches(struct trial *r)
{
        char path[64], line[256];
        unsigned long n = 0;
        pid_t pid = 0;

        if (pidfd_pid(r->s.init_pidfd, &pid, NULL) < 0)
                return 0;
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                        n = strtoul(line + 24, NULL, 10);
        if (f)
                fclose(f);
        return n;
}

/* What a victim does for the first time after it has said "ready" (errno, a child that closes its descriptors) is done:
 * its wait has gone round, and it looks the same twice. A calm one sleeps for longer than any of its first sleeps. */
static int victim_settle(struct trial *r)
{
        unsigned long first = switches(r), last = first;
        char *before = NULL, diff[64];
        int n = 1, still = 0;

        for (int ms = 0; n && ms < PATIENCE_MS; ms += 5) {
                nap();
                still = switches(r) == last ? still + 1 : 0;
                last = switches(r);
                if (last < first + 3 || (r->calm && still < 20))
                        continue;
                char *now = look(r->s.cgroup_fd);
                n = !before || !now || look_differs(before, now, diff, sizeof(diff));
                free(before);
                before = now;
        }
        free(before);
        return n ? failed(r, "the victim does not come to rest") : 0;
}

int victim_start(struct trial *r)
{
        int pidfd = -1;

        if (cgroup_make(r) < 0 || console_make(r) < 0)
                return -1;
        struct clone_args a = {.flags = CLONE_NEWPID | CLONE_PIDFD | CLONE_INTO_CGROUP,
                               .pidfd = (uint64_t)(uintptr_t)&pidfd,
                               .exit_signal = SIGCHLD,
                               .cgroup = (uint64_t)(unsigned)r->s.cgroup_fd};
        long pid = syscall(SYS_clone3, &a, sizeof(a));
        if (pid == 0)
                become_victim(r);
        if (pid < 0)
                return failed(r, "clone3: %s", strerror(errno));
        r->s.init_pidfd = pidfd;
        return file_wait(r, "ready") < 0 || console_type(r) < 0 ? -1 : victim_settle(r);
}

int victim_ground(struct trial *r)
{
        struct err err = {0};
        char name[200];

        if (cgroup_next(r, name) < 0 || console_fresh(r) < 0)
                return -1;
        if (ground_small(&r->s, name, &err) < 0)
                return failed_err(r, "the ground", &err);
        return 0;
}

static int result_read(struct trial *r)
{
        char path[128], text[1024] = "";

        snprintf(path, sizeof(path), "%s/result", r->dir);
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        if (f)
                fclose(f);
        text[n] = '\0';
        if (strcmp(text, "ok\n") == 0)
                return 0;
        for (char *p = text; *p; p++)
                if (*p == '\n')
                        *p = p[1] ? ';' : '\0';
        return failed(r, "the victim says: %s", text);
}

int victim_verify(struct trial *r)
{
        struct err err = {0};
        char path[128];
        int status = -1;

        snprintf(path, sizeof(path), "%s/go", r->dir);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return failed(r, "%s: %s", path, strerror(errno));
        close(fd);
        if (file_wait(r, "result") < 0) {
                if (pidfd_alive(r->s.init_pidfd) == 0 && pidfd_wait(r->s.init_pidfd, 0, &status, &err) == 0)
                        return failed(r, "the victim ended with status %d and without a result", status);
                return -1;
        }
        if (result_read(r) < 0)
                return -1;
        if (pidfd_wait(r->s.init_pidfd, PATIENCE_MS, &status, &err) != 0)
                return failed(r, "the victim did not end after its result");
        return status ? failed(r, "the victim ended with status %d", status) : 0;
}

static int cgroup_empty(struct trial *r)
{
        pid_t *pids = NULL;
        size_t n = 0;
        int q = cgroup_procs(r->s.cgroup_fd, &pids, &n, NULL);

        free(pids);
        return q == 0 && n == 0;
}

static void cgroup_drop(struct trial *r)
{
        struct cgroups *cg = NULL;
        char name[200];

        cgroup_name(r, name);
        if (cgroups_open(&cg, NULL) == 0)
                (void)cgroup_remove(cg, name, NULL);
        cgroups_free(cg);
        close(r->s.cgroup_fd);
        r->s.cgroup_fd = -1;
}

int victim_gone(struct trial *r)
{
        struct err err = {0};
        int status = 0;

        if (pidfd_wait(r->s.init_pidfd, PATIENCE_MS, &status, &err) != 0 && pidfd_alive(r->s.init_pidfd))
                return failed(r, "the tree's init is still there");
        close(r->s.init_pidfd);
        r->s.init_pidfd = -1;
        for (int ms = 0; !cgroup_empty(r); ms += 5) {
                if (ms > PATIENCE_MS)
                        return failed(r, "its cgroup still holds processes");
                nap();
        }
        cgroup_drop(r);
        return 0;
}

void victim_end_all(struct trial *r)
{
        char why[sizeof(r->why)];

        memcpy(why, r->why, sizeof(why));
        if (r->s.cgroup_fd >= 0) {
                (void)cgroup_kill(r->s.cgroup_fd, NULL);
                (void)cgroup_thaw(r->s.cgroup_fd, NULL);
        }
        if (r->s.init_pidfd >= 0) {
                pidfd_end(r->s.init_pidfd);
                (void)victim_gone(r);
        } else if (r->s.cgroup_fd >= 0) {
                cgroup_drop(r);
        }
        if (r->s.sock >= 0)
                close(r->s.sock);
        r->s.sock = -1;
        memcpy(r->why, why, sizeof(why));
}

/* Any thread of the process that somebody traces or that is stopped. */
static int task_traced(pid_t pid)
{
        char path[64], line[256];
        int bad = 0;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if ((strncmp(line, "TracerPid:", 10) == 0 && strtol(line + 10, NULL, 10) != 0) || strncmp(line, "State:\tt", 8) == 0)
                        bad = 1;
        if (f)
                fclose(f);
        return bad;
}

int victim_at_large(struct trial *r)
{
        pid_t *pids = NULL;
        size_t n = 0;
        bool frozen = false;
        int bad = 0;

        if (cgroup_frozen(r->s.cgroup_fd, &frozen, NULL) < 0 || frozen)
                return failed(r, "the tree is still frozen");
        if (cgroup_procs(r->s.cgroup_fd, &pids, &n, NULL) < 0 || n == 0)
                bad = failed(r, "the tree is gone");
        for (size_t i = 0; i < n && !bad; i++)
                if (task_traced(pids[i]))
                        bad = failed(r, "process %d is still traced", (int)pids[i]);
        free(pids);
        return bad;
}

size_t open_descriptors(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        while (d && readdir(d))
                n++;
        if (d)
                closedir(d);
        return n;
}
