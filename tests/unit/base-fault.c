/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for base/sys.c counts and fails (tests/sys_fault.h), and base/ leaks nothing whichever call fails.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/idmap.h"
#include "base/path.h"
#include "base/procfs.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/sys.h"
#include "tests/sys_fault.h"

Test(fault, counts_and_fails_once)
{
        sys_fault_arm(2, EIO);
        _cleanup_close_ int a = sys_openat(AT_FDCWD, "/", O_PATH, 0);
        cr_assert_geq(a, 0);
        cr_assert_not(sys_fault_fired());
        cr_assert_eq(sys_fsync(a), -EIO);
        cr_assert(sys_fault_fired());
        cr_assert_str_eq(sys_fault_name(), "fsync");
        cr_assert_eq(sys_fsync(a), -EBADF, "the third is a real one (O_PATH)");
        cr_assert_eq(sys_fault_count(), 3);
        sys_fault_arm_call("openat", 2, ENOSPC);
        cr_assert_eq(sys_fsync(a), -EBADF);
        _cleanup_close_ int b = sys_openat(AT_FDCWD, "/", O_PATH, 0);
        cr_assert_geq(b, 0);
        cr_assert_eq(sys_openat(AT_FDCWD, "/", O_PATH, 0), -ENOSPC);
        sys_fault_disarm();
}

static size_t open_fds(void)
{
        unsigned *v = NULL;
        size_t n = 0;

        cr_assert_eq(proc_numbers(AT_FDCWD, "/proc/self/fd", &v, &n, NULL), 0);
        free(v);
        return n;
}

/* Runs `fn` with k = 1, 2, 3 … until no call is left to fail; every failure must be told and leave no descriptor or
 * child behind. Calls whose failure the function may survive by design are told by it returning 0. */
static unsigned long sweep(int (*fn)(void *ctx, struct err *err), void *ctx, void (*after)(void *ctx, int r))
{
        for (unsigned long k = 1;; k++) {
                struct err e = {};
                size_t before = open_fds();
                sys_fault_arm(k, EIO);
                int r = fn(ctx, &e);
                sys_fault_disarm();
                cr_expect_eq(open_fds(), before, "step %lu (%s)", k, sys_fault_name());
                cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left at step %lu (%s)", k, sys_fault_name());
                cr_expect_eq(r < 0, err_is_set(&e), "step %lu (%s)", k, sys_fault_name());
                if (after)
                        after(ctx, r);
                if (!sys_fault_fired()) {
                        cr_assert_eq(r, 0, "without a fault: %s: %s", e.what, e.why);
                        return k - 1;
                }
                cr_assert_lt(k, 1000);
        }
}

struct place {
        char path[64];
        int fd;
};

static int replace(void *ctx, struct err *err)
{
        const struct place *p = ctx;

        return path_replace(p->fd, "f", "new", 3, 0600, err);
}

/* Whole old or whole new, and nothing beside it. */
static void replaced(void *ctx, int r)
{
        const struct place *p = ctx;
        _cleanup_free_ char *s = NULL;

        cr_expect_not(path_exists(p->fd, "f.tmp"));
        cr_assert_eq(path_read(p->fd, "f", &s, NULL, NULL), 0);
        if (r == 0)
                cr_expect_str_eq(s, "new");
        else
                cr_expect(str_eq(s, "old") || str_eq(s, "new"));
        cr_assert_eq(path_write(p->fd, "f", "old", NULL), 0);
}

Test(fault, replace)
{
        struct place p = {.path = "/tmp/gantry-unit-fault-XXXXXX"};

        cr_assert_not_null(mkdtemp(p.path));
        p.fd = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_eq(path_replace(p.fd, "f", "old", 3, 0600, NULL), 0);
        cr_assert_geq(sweep(replace, &p, replaced), 5, "open, write, fsync, rename, open and fsync of the directory");
        close(p.fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, p.path, NULL), 0);
}

static int output(void *ctx, struct err *err)
{
        _cleanup_free_ char *s = NULL;
        int r = spawn_output((const char *const[]){"echo", "x", NULL}, &s, err);

        (void)ctx;
        if (r == 0)
                cr_expect_str_eq(s, "x\n");
        return r;
}

Test(fault, spawn)
{
        cr_assert_geq(sweep(output, NULL, NULL), 3);
}

static int smaps_entry(void *ctx, const struct proc_vma *v)
{
        (void)v;
        ++*(size_t *)ctx;
        return 0;
}

static int read_proc(void *ctx, struct err *err)
{
        struct proc_stat s;
        struct mountinfo *m = NULL;
        size_t n = 0, vmas = 0;
        _cleanup_close_ int fd = proc_open(getpid(), err);

        (void)ctx;
        if (fd < 0)
                return fd;
        int r = proc_stat_read(fd, &s, err);
        if (r == 0)
                r = proc_smaps_read(fd, smaps_entry, &vmas, err);
        if (r == 0)
                r = mountinfo_read(fd, &m, &n, err);
        mountinfo_free(m, n);
        return r;
}

Test(fault, procfs)
{
        cr_assert_geq(sweep(read_proc, NULL, NULL), 8);
}

static int remove_and_make(void *ctx, struct err *err)
{
        const struct place *p = ctx;
        int r = path_mkdir_p(p->fd, "a/b/c", 0700, err);

        return r < 0 ? r : path_remove_tree(p->fd, "a", err);
}

Test(fault, trees)
{
        struct place p = {.path = "/tmp/gantry-unit-fault-XXXXXX"};

        cr_assert_not_null(mkdtemp(p.path));
        p.fd = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(sweep(remove_and_make, &p, NULL), 9);
        close(p.fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, p.path, NULL), 0);
}
