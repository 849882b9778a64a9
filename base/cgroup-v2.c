/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a v2 cgroup as a whole, by a descriptor of its directory (base/cgroup.h): freeze, thaw, list, kill. A directory
 * below can be frozen by itself, by those in it; the whole being thawed does not thaw it.
 *
 * Freezer of 5.2, cgroup.kill of 5.14. cgroup.events announces a change by POLLPRI after the file has been read.
 * `frozen 1` also shows while tasks are only ptrace-stopped; who needs more looks at TracerPid. A cgroup of a
 * threaded subtree refuses to be read (EOPNOTSUPP): its processes are listed at the root of that subtree.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cgroup-walk.h"
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timer.h"

#define PROCS_MAX ((size_t)64 << 20)

int cgroup_freeze_write(int cgfd, struct err *err)
{
        int r = path_write(cgfd, "cgroup.freeze", "1", err);

        return r < 0 ? err_wrap(err, "cannot freeze a cgroup", "%s", "") : 0;
}

int cgroup_thaw(int cgfd, struct err *err)
{
        int r = path_write(cgfd, "cgroup.freeze", "0", err);

        return r < 0 ? err_wrap(err, "cannot thaw a cgroup", "%s", "") : 0;
}

static int read_frozen(int events, bool *ret, struct err *err)
{
        char text[256];
        int64_t n = sys_pread(events, text, sizeof(text) - 1, 0);

        if (n < 0)
                return err_sys(err, EX_FAIL, (int)n, "cannot read", "cgroup.events");
        text[n] = '\0';
        const char *p = strstr(text, "frozen ");
        if (!p || (p != text && p[-1] != '\n'))
                return err_set(err, EX_KERNEL, "cannot freeze a cgroup", "the kernel has no v2 freezer (5.2)", "%s",
                               "");
        *ret = p[7] == '1';
        return 0;
}

static int open_events(int cgfd, struct err *err)
{
        return path_open(cgfd, "cgroup.events", O_RDONLY, 0, err);
}

int cgroup_frozen(int cgfd, bool *ret, struct err *err)
{
        _cleanup_close_ int fd = open_events(cgfd, err);

        return fd < 0 ? fd : read_frozen(fd, ret, err);
}

/* 0: frozen, 1: not in time. */
static int wait_frozen(int events, unsigned ms, struct err *err)
{
        uint64_t until = now_ns() + (uint64_t)ms * 1000000;

        for (;;) {
                struct pollfd p = {.fd = events, .events = POLLPRI};
                bool frozen;
                int r = read_frozen(events, &frozen, err);
                if (r < 0)
                        return r;
                if (frozen)
                        return 0;
                uint64_t now = now_ns();
                if (now >= until)
                        return 1;
                if (poll(&p, 1, (int)((until - now + 999999) / 1000000)) < 0 && errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot wait for a cgroup to freeze", "%s", "");
        }
}

int cgroup_freeze(int cgfd, unsigned ms, struct err *err)
{
        _cleanup_close_ int events = open_events(cgfd, err);

        if (events < 0)
                return events;
        int r = cgroup_freeze_write(cgfd, err);
        if (r == 0)
                r = wait_frozen(events, ms, err);
        if (r != 0) {
                int q = cgroup_thaw(cgfd, r < 0 ? NULL : err);
                if (r > 0 && q < 0)
                        return q;
        }
        return r;
}

/* ---- what is frozen below ---- */

static int says(int dirfd, const char *file, const char *what, bool *ret, struct err *err)
{
        struct err e = {};
        _cleanup_free_ char *text = NULL;
        int r = path_read(dirfd, file, &text, NULL, &e);

        if (r < 0 && e.sys != ENOENT && e.sys != ENODEV) /* removed meanwhile */
                return err_take(err, &e);
        *ret = r == 0 && strstr(text, what);
        return 0;
}

struct below { bool started; };

static int thaw_one(void *ctx, int dirfd, struct err *err)
{
        struct below *b = ctx;
        bool frozen = false, populated = false;
        bool top = !b->started;

        b->started = true;
        int r = top ? 0 : says(dirfd, "cgroup.freeze", "1", &frozen, err);
        if (r == 0 && frozen)
                r = says(dirfd, "cgroup.events", "populated 1", &populated, err);
        if (r < 0 || !populated)
                return r;
        if (fsetxattr(dirfd, CGROUP_FROZEN_MARK, "", 0, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot mark a frozen cgroup", "%s", CGROUP_FROZEN_MARK);
        return cgroup_thaw(dirfd, err);
}

/* The mark goes last: whoever dies before has frozen it twice, which is once. */
static int freeze_one(void *ctx, int dirfd, struct err *err)
{
        (void)ctx;
        if (fgetxattr(dirfd, CGROUP_FROZEN_MARK, NULL, 0) < 0)
                return 0;
        int r = cgroup_freeze_write(dirfd, err);
        if (r == 0 && fremovexattr(dirfd, CGROUP_FROZEN_MARK) < 0 && errno != ENODATA)
                r = err_sys(err, EX_FAIL, errno, "cannot take the mark off a frozen cgroup", "%s", CGROUP_FROZEN_MARK);
        return r;
}

int cgroup_thaw_below(int cgfd, struct err *err)
{
        struct below b = {};
        struct cgroup_walk_ops ops = {.enter = thaw_one, .ctx = &b};

        return cgroup_walk(cgfd, &ops, err);
}

int cgroup_freeze_below(int cgfd, struct err *err)
{
        struct cgroup_walk_ops ops = {.enter = freeze_one};

        return cgroup_walk(cgfd, &ops, err);
}

struct pids {
        pid_t *v;
        size_t n, cap;
};

static int add_pid(struct pids *p, uint64_t pid, struct err *err)
{
        if (pid == 0 || pid > INT32_MAX)
                return err_set(err, EX_UNKNOWN, "cannot list the processes of a cgroup",
                               "one is in a pid namespace that this one does not see", "%s", "");
        if (p->n == p->cap) {
                size_t cap = p->cap ? p->cap * 2 : 64;
                pid_t *v = reallocarray(p->v, cap, sizeof(*v));
                if (!v)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot list the processes of a cgroup", "%s", "");
                p->v = v;
                p->cap = cap;
        }
        p->v[p->n++] = (pid_t)pid;
        return 0;
}

static int list_procs(void *ctx, int dirfd, struct err *err)
{
        struct err e = {};
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = path_open(dirfd, "cgroup.procs", O_RDONLY, 0, &e);
        uint64_t pid;

        int r = fd < 0 ? fd : fd_read_all(fd, PROCS_MAX, &text, NULL, &e);
        if (r < 0) {
                /* threaded, or removed meanwhile */
                if (e.sys == EOPNOTSUPP || e.sys == ENOENT || e.sys == ENODEV)
                        return 0;
                return err_sys(err, e.code, e.sys, "cannot list the processes of a cgroup", "%s", "");
        }
        for (const char *p = text; *p;) {
                if (!scan_u64(&p, &pid) || !scan_skip(&p, "\n"))
                        return err_set(err, EX_FAIL, "cannot list the processes of a cgroup",
                                       "its text has an unexpected form", "%s", "");
                r = add_pid(ctx, pid, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cgroup_procs(int cgfd, pid_t **ret, size_t *ret_n, struct err *err)
{
        struct pids p = {};
        struct cgroup_walk_ops ops = {.enter = list_procs, .ctx = &p};
        int r = cgroup_walk(cgfd, &ops, err);

        if (r < 0) {
                free(p.v);
                return r;
        }
        *ret = p.v;
        *ret_n = p.n;
        return 0;
}

int cgroup_kill(int cgfd, struct err *err)
{
        int fd = sys_openat(cgfd, "cgroup.kill", O_WRONLY, 0);

        if (fd == -ENOENT)
                return err_set(err, EX_KERNEL, "cannot end a cgroup", "the kernel has no cgroup.kill (5.14)", "%s",
                               "");
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot end a cgroup", "%s", "");
        int64_t r = sys_write(fd, "1", 1);
        fd_close(fd);
        return r < 0 ? err_sys(err, EX_FAIL, (int)r, "cannot end a cgroup", "%s", "") : 0;
}
