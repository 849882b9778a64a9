/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of the cgroup files on directories that look like cgroups: no root. The real ones: tests/system/base-cgroup.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

struct dir {
        char path[64];
        int fd;
};

static struct dir make(void)
{
        struct dir d = {.path = "/tmp/gantry-unit-cgroup-XXXXXX"};

        cr_assert_not_null(mkdtemp(d.path));
        d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(d.fd, 0);
        return d;
}

static void put(const struct dir *d, const char *path, const char *text)
{
        cr_assert_eq(path_replace(d->fd, path, text, strlen(text), 0644, NULL), 0, "%s", path);
}

static char freeze_byte(const struct dir *d)
{
        _cleanup_free_ char *s = NULL;

        cr_assert_eq(path_read(d->fd, "cgroup.freeze", &s, NULL, NULL), 0);
        return s[0];
}

static void done(struct dir *d)
{
        close(d->fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, d->path, NULL), 0);
}

Test(cgroup, freeze)
{
        struct dir d = make();
        struct err e = {};
        bool frozen = false;

        put(&d, "cgroup.freeze", "0");
        put(&d, "cgroup.events", "populated 1\nfrozen 1\n");
        cr_assert_eq(cgroup_freeze(d.fd, 1000, &e), 0);
        cr_assert_eq(freeze_byte(&d), '1');
        cr_assert_eq(cgroup_frozen(d.fd, &frozen, &e), 0);
        cr_assert(frozen);
        cr_assert_eq(cgroup_thaw(d.fd, &e), 0);
        cr_assert_eq(freeze_byte(&d), '0');
        done(&d);
}

Test(cgroup, freeze_not_in_time)
{
        struct dir d = make();
        struct err e = {};

        put(&d, "cgroup.freeze", "0");
        put(&d, "cgroup.events", "populated 1\nfrozen 0\n");
        cr_assert_eq(cgroup_freeze(d.fd, 20, &e), 1);
        cr_assert_not(err_is_set(&e));
        cr_assert_eq(freeze_byte(&d), '0', "thawed again");
        done(&d);
}

Test(cgroup, freeze_without_the_freezer)
{
        struct dir d = make();
        struct err e = {};

        put(&d, "cgroup.freeze", "0");
        put(&d, "cgroup.events", "populated 1\n");
        cr_assert_eq(cgroup_freeze(d.fd, 10, &e), -EX_KERNEL);
        cr_assert_eq(freeze_byte(&d), '0', "every way out thaws");
        cr_assert_eq(cgroup_kill(d.fd, &e), -EX_KERNEL);
        done(&d);
}

static int compare(const void *a, const void *b)
{
        return *(const pid_t *)a - *(const pid_t *)b;
}

Test(cgroup, procs_of_a_tree)
{
        struct dir d = make();
        struct err e = {};
        pid_t *v = NULL;
        size_t n = 0;
        static const pid_t want[] = {10, 11, 12, 13};

        cr_assert_eq(path_mkdir_p(d.fd, "a/b", 0755, &e), 0);
        cr_assert_eq(path_mkdir_p(d.fd, "c", 0755, &e), 0);
        put(&d, "cgroup.procs", "");
        put(&d, "a/cgroup.procs", "10\n11\n");
        put(&d, "a/b/cgroup.procs", "13\n");
        put(&d, "c/cgroup.procs", "12\n");
        cr_assert_eq(cgroup_procs(d.fd, &v, &n, &e), 0, "%s: %s", e.what, e.why);
        cr_assert_eq(n, 4);
        qsort(v, n, sizeof(*v), compare);
        cr_assert_arr_eq(v, want, sizeof(want));
        free(v);
        put(&d, "c/cgroup.procs", "0\n");
        cr_assert_lt(cgroup_procs(d.fd, &v, &n, &e), 0, "a process out of sight is not passed over");
        put(&d, "c/cgroup.procs", "1x\n");
        cr_assert_lt(cgroup_procs(d.fd, &v, &n, &e), 0);
        done(&d);
}

/* Deeper than a process has descriptors: a container may nest so. */
Test(cgroup, walk_needs_no_descriptor_per_level)
{
        struct dir d = make();
        struct err e = {};
        pid_t *v = NULL;
        size_t n = 0;
        int fd = dup(d.fd);

        for (int i = 0; i < 3000; i++) {
                cr_assert_eq(mkdirat(fd, "x", 0755), 0);
                int next = openat(fd, "x", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cr_assert_geq(next, 0);
                close(fd);
                fd = next;
        }
        cr_assert_eq(path_replace(fd, "cgroup.procs", "77\n", 3, 0644, &e), 0);
        cr_assert_eq(cgroup_procs(d.fd, &v, &n, &e), 0, "%s: %s", e.what, e.why);
        cr_assert_eq(n, 1);
        cr_assert_eq(v[0], 77);
        free(v);
        cr_assert_eq(unlinkat(fd, "cgroup.procs", 0), 0);
        for (int i = 0; i < 3000; i++) {
                int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = up;
                cr_assert_eq(unlinkat(fd, "x", AT_REMOVEDIR), 0);
        }
        close(fd);
        done(&d);
}
