/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/path.c: lookups that stay inside, trees, whole files, atomic replacement.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

struct dir {
        char path[64];
        int fd;
};

static struct dir make(void)
{
        struct dir d = {.path = "/tmp/gantry-unit-path-XXXXXX"};

        cr_assert_not_null(mkdtemp(d.path));
        d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(d.fd, 0);
        return d;
}

static void done(struct dir *d)
{
        struct err e = {};

        close(d->fd);
        cr_assert_eq(path_remove_tree(AT_FDCWD, d->path, &e), 0, "%s", e.why);
        cr_assert_not(path_exists(AT_FDCWD, d->path));
}

Test(path, mkdir_and_remove)
{
        struct dir d = make();
        struct err e = {};

        cr_assert_eq(path_mkdir_p(d.fd, "a/b/c", 0755, &e), 0);
        cr_assert_eq(path_mkdir_p(d.fd, "a/b/c", 0755, &e), 0, "existing is fine");
        cr_assert_eq(path_replace(d.fd, "a/file", "x", 1, 0600, &e), 0);
        cr_assert_lt(path_mkdir_p(d.fd, "a/file", 0755, &e), 0);
        cr_assert_eq(e.sys, ENOTDIR);
        cr_assert_lt(path_mkdir_p(d.fd, "", 0755, &e), 0);
        cr_assert_eq(path_remove_tree(d.fd, "none/there", &e), 0, "missing is fine");
        cr_assert_lt(path_remove_tree(d.fd, "a/..", &e), 0);
        cr_assert_lt(path_remove_tree(d.fd, "a/", &e), 0);
        cr_assert(path_exists(d.fd, "a/b/c"));
        done(&d);
}

Test(path, remove_does_not_follow_links)
{
        struct dir d = make(), other = make();
        struct err e = {};

        cr_assert_eq(path_replace(other.fd, "precious", "x", 1, 0600, &e), 0);
        cr_assert_eq(path_mkdir_p(d.fd, "t/u", 0755, &e), 0);
        cr_assert_eq(symlinkat(other.path, d.fd, "t/u/link"), 0);
        cr_assert_eq(symlinkat("..", d.fd, "t/u/up"), 0);
        cr_assert_eq(path_remove_tree(d.fd, "t", &e), 0);
        cr_assert(path_exists(other.fd, "precious"));
        done(&other);
        done(&d);
}

Test(path, lookups_stay_in_the_root)
{
        struct dir d = make();
        struct err e = {};
        _cleanup_close_ int fd = -1;

        cr_assert_eq(path_mkdir_p(d.fd, "root/etc", 0755, &e), 0);
        cr_assert_eq(path_replace(d.fd, "secret", "outside", 7, 0600, &e), 0);
        cr_assert_eq(path_replace(d.fd, "root/secret", "inside", 6, 0600, &e), 0);
        cr_assert_eq(symlinkat("/secret", d.fd, "root/etc/abs"), 0);
        cr_assert_eq(symlinkat("../../../../secret", d.fd, "root/etc/rel"), 0);
        cr_assert_eq(symlinkat("/proc/self/root", d.fd, "root/etc/magic"), 0);
        fd = path_open(d.fd, "root", O_PATH | O_DIRECTORY, 0, &e);
        cr_assert_geq(fd, 0);
        static const char *const ways[] = {"etc/abs", "etc/rel", "../secret", "/secret"};
        for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
                char buf[16] = "";
                _cleanup_close_ int f = path_open_in_root(fd, ways[i], O_RDONLY, 0, &e);
                cr_assert_geq(f, 0, "%s: %s", ways[i], e.why);
                cr_assert_gt(read(f, buf, sizeof(buf) - 1), 0);
                cr_expect_str_eq(buf, "inside", "%s", ways[i]);
        }
        cr_assert_lt(path_open_beneath(fd, "etc/abs", O_RDONLY, 0, &e), 0);
        cr_assert_eq(e.sys, ELOOP);
        cr_assert_lt(path_open_beneath(fd, "../secret", O_RDONLY, 0, &e), 0);
        cr_assert_eq(e.sys, EXDEV);
        _cleanup_close_ int made = path_open_beneath(fd, "etc/new", O_WRONLY | O_CREAT | O_EXCL, 0640, &e);
        cr_assert_geq(made, 0);
        _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        cr_assert_lt(path_open_in_root(proc, "self/exe", O_RDONLY, 0, &e), 0, "magic links lead anywhere");
        done(&d);
}

Test(path, whole_files)
{
        struct dir d = make();
        struct err e = {};
        size_t len;
        struct stat st;

        umask(077);
        cr_assert_eq(path_replace(d.fd, "f", "one", 3, 0644, &e), 0);
        cr_assert_eq(path_replace(d.fd, "f", "second", 6, 0644, &e), 0);
        cr_assert_eq(fstatat(d.fd, "f", &st, 0), 0);
        cr_assert_eq(st.st_mode & 07777, 0644, "whatever the umask is");
        cr_assert_not(path_exists(d.fd, "f.tmp"));
        _cleanup_free_ char *s = NULL;
        cr_assert_eq(path_read(d.fd, "f", &s, &len, &e), 0);
        cr_assert_eq(len, 6);
        cr_assert_str_eq(s, "second");
        cr_assert_eq(path_write(d.fd, "f", "SEC", &e), 0);
        _cleanup_free_ char *t = NULL;
        cr_assert_eq(path_read(d.fd, "f", &t, NULL, &e), 0);
        cr_assert_str_eq(t, "SECond", "written in place");
        cr_assert_lt(path_write(d.fd, "missing", "x", &e), 0, "nothing is created");
        cr_assert_not(path_exists(d.fd, "missing"));
        cr_assert_lt(path_read(d.fd, "missing", &t, NULL, &e), 0);
        cr_assert_eq(e.sys, ENOENT);
        cr_assert_eq(symlinkat("nowhere", d.fd, "dangling"), 0);
        cr_assert(path_exists(d.fd, "dangling"));
        done(&d);
}

Test(path, replace_refuses_a_link_in_its_way)
{
        struct dir d = make();
        struct err e = {};

        cr_assert_eq(path_replace(d.fd, "victim", "keep", 4, 0600, &e), 0);
        cr_assert_eq(symlinkat("victim", d.fd, "f.tmp"), 0);
        cr_assert_lt(path_replace(d.fd, "f", "evil", 4, 0600, &e), 0);
        _cleanup_free_ char *s = NULL;
        cr_assert_eq(path_read(d.fd, "victim", &s, NULL, &e), 0);
        cr_assert_str_eq(s, "keep");
        done(&d);
}

Test(path, too_large)
{
        struct dir d = make();
        struct err e = {};
        char *s = NULL;
        _cleanup_close_ int fd = openat(d.fd, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        cr_assert_eq(ftruncate(fd, (1 << 20) + 1), 0);
        cr_assert_lt(path_read(d.fd, "big", &s, NULL, &e), 0);
        cr_assert_null(s);
        done(&d);
}
