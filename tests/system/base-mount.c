/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base/mountapi.h and base/idmap.h with real mounts: a detached file system is reachable by its descriptor only, an
 * idmapped clone shows its files under other ids, a refused option is explained in the kernel's words, and nothing of it
 * outlives its descriptor. And path_remove_tree() stops at a mount.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/idmap.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/procfs.h"
#include "base/str.h"
#include "tests/system/own.h"

#define MS_SHARED_FLAG (1 << 20)

static size_t mounts(void)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        int self = -1;

        OK(self = proc_open(getpid(), err));
        OK(mountinfo_read(self, &m, &n, err));
        mountinfo_free(m, n);
        close(self);
        return n;
}

static size_t fds(void)
{
        unsigned *v = NULL;
        size_t n = 0;

        OK(proc_numbers(AT_FDCWD, "/proc/self/fd", &v, &n, err));
        free(v);
        return n;
}

static void detached(const char *dir)
{
        static const struct mount_option opts[] = {{"size", "1m"}, {"mode", "0711"}, {NULL, NULL}};
        size_t n = mounts();
        struct stat st;
        int fd = -1;

        OK(fd = mount_new("tmpfs", "gantry", opts, 0, err));
        CHECK(mounts() == n);
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0711);
        OK(path_replace(fd, "a", "x", 1, 0644, err));
        OK(mount_attach(fd, AT_FDCWD, dir, err));
        CHECK(mounts() == n + 1);
        close(fd);
}

static void idmapped(const char *dir)
{
        struct idmap m = {.base = 100000, .count = 65536};
        struct stat st;
        int user = -1, fd = -1;

        OK(user = idmap_userns(&m, err));
        OK(fd = mount_clone(AT_FDCWD, dir, false, err));
        OK(mount_idmap(fd, user, err));
        close(user); /* the mount holds it */
        CHECK(fstatat(fd, "a", &st, 0) == 0);
        CHECK(st.st_uid == 100000 && st.st_gid == 100000);
        CHECK(fstatat(AT_FDCWD, dir, &st, 0) == 0 && st.st_uid == 0);
        struct err e = {};
        CHECK(mount_idmap(fd, -1, &e) < 0);
        close(fd);
}

static void refused(void)
{
        static const struct mount_option bad[] = {{"size", "many"}, {NULL, NULL}}, none[] = {{"nosuchoption", NULL}, {NULL, NULL}};
        struct err e = {};

        CHECK(mount_new("nosuchfs", NULL, NULL, 0, &e) == -EX_KERNEL);
        CHECK(mount_new("tmpfs", NULL, bad, 0, &e) < 0);
        CHECK(strstr(e.why, "size"));
        CHECK(mount_new("tmpfs", NULL, none, 0, &e) < 0);
        CHECK(strstr(e.why, "nosuchoption"));
}

static void propagation(const char *dir)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        int self = -1, shared = 0;

        OK(mount_propagation(dir, MS_SHARED_FLAG, false, err));
        OK(self = proc_open(getpid(), err));
        OK(mountinfo_read(self, &m, &n, err));
        for (size_t i = 0; i < n; i++) {
                if (str_eq(m[i].target, dir))
                        shared = m[i].shared;
                else
                        CHECK(!m[i].shared);
        }
        CHECK(shared > 0);
        mountinfo_free(m, n);
        close(self);
}

static void test(void)
{
        char dir[] = "/tmp/base-mount-XXXXXX", sub[64];
        size_t open_before = fds(), n = mounts();
        struct err e = {};

        CHECK(mkdtemp(dir));
        snprintf(sub, sizeof(sub), "%s/m", dir);
        CHECK(mkdir(sub, 0700) == 0);
        detached(sub);
        idmapped(sub);
        propagation(sub);
        refused();
        CHECK(path_remove_tree(AT_FDCWD, dir, &e) < 0);
        CHECK(path_exists(AT_FDCWD, sub));
        char file[80];
        snprintf(file, sizeof(file), "%s/a", sub);
        CHECK(path_exists(AT_FDCWD, file)); /* the mounted tree is whole */
        CHECK(umount2(sub, 0) == 0);
        OK(path_remove_tree(AT_FDCWD, dir, err));
        CHECK(fds() == open_before && mounts() == n);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1); /* idmap_userns left no child */
        printf("ok\n");
}

int main(void)
{
        return run_in_own_namespaces(test, NULL);
}
