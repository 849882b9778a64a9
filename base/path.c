/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Paths as (dirfd, relative) (base/path.h).
 *
 * Lookups inside a container's root are openat2 (5.6): RESOLVE_IN_ROOT keeps the container's own symlinks inside,
 * and magic links of /proc are refused in both kinds of lookup, since they lead anywhere. openat2 answers EAGAIN
 * when a rename or mount elsewhere raced with a ".." of the walk: it is asked again, a bounded number of times.
 *
 * A tree is removed one directory level per descriptor, and no deeper than DEPTH_MAX: the trees removed here are the
 * engine's own (run and state directories), a container's files live in its image.
 */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"

#define READ_MAX ((size_t)1 << 20)
#define RESOLVE_TRIES 128
#define DEPTH_MAX 256

static int open_at(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
        int fd = sys_openat(dirfd, path, flags, mode);

        return fd < 0 ? err_sys(err, EX_FAIL, fd, "cannot open", "%s", path) : fd;
}

static int open_how(int dirfd, const char *path, const struct open_how *how)
{
        int fd = -EAGAIN;

        for (int i = 0; fd == -EAGAIN && i < RESOLVE_TRIES; i++)
                fd = sys_openat2(dirfd, path, how);
        return fd;
}

static int open_resolve(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
        /* openat2 wants no mode where nothing can be created. */
        bool creates = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
        struct open_how how = {.flags = (unsigned)flags, .mode = creates ? mode : 0, .resolve = resolve};

        return open_how(dirfd, path, &how);
}

int path_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
        return open_at(dirfd, path, flags, mode, err);
}

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *err)
{
        int fd = open_resolve(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

        return fd < 0 ? err_sys(err, EX_FAIL, fd, "cannot open inside the root", "%s", path) : fd;
}

int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
        int fd = open_resolve(dirfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

        return fd < 0 ? err_sys(err, EX_FAIL, fd, "cannot open beneath a directory", "%s", path) : fd;
}

int path_mkdir_p(int dirfd, const char *path, mode_t mode, struct err *err)
{
        char part[PATH_MAX];
        struct stat st;

        if (!path[0] || !str_copy(part, sizeof(part), path))
                return err_sys(err, EX_FAIL, path[0] ? ENAMETOOLONG : ENOENT, "cannot make a directory", "%s", path);
        for (char *p = part; p;) {
                p = strchr(p + 1, '/');
                if (p)
                        *p = '\0';
                int r = sys_mkdirat(dirfd, part, mode);
                if (r < 0 && r != -EEXIST)
                        return err_sys(err, EX_FAIL, r, "cannot make a directory", "%s", part);
                if (p)
                        *p = '/';
        }
        if (fstatat(dirfd, path, &st, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a directory", "%s", path);
        if (!S_ISDIR(st.st_mode))
                return err_sys(err, EX_FAIL, ENOTDIR, "cannot make a directory", "%s", path);
        return 0;
}

static int remove_entries(int fd, unsigned depth, struct err *err);

static int remove_one(int dirfd, const char *name, unsigned depth, struct err *err)
{
        int r = sys_unlinkat(dirfd, name, 0);

        if (r == 0 || r == -ENOENT)
                return 0;
        if (r != -EISDIR && r != -EPERM)
                return err_sys(err, EX_FAIL, r, "cannot remove", "%s", name);
        int fd = open_resolve(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                              RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
        if (fd == -EXDEV)
                return err_set(err, EX_FAIL, "cannot remove a tree", "something is mounted there", "%s", name);
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot remove", "%s", name);
        int q = remove_entries(fd, depth, err); /* owns fd */
        if (q < 0)
                return q;
        r = sys_unlinkat(dirfd, name, AT_REMOVEDIR);
        if (r < 0 && r != -ENOENT)
                return err_sys(err, EX_FAIL, r, "cannot remove", "%s", name);
        return 0;
}

static int remove_entries(int fd, unsigned depth, struct err *err)
{
        _cleanup_closedir_ DIR *d = fdopendir(fd);
        const struct dirent *e;

        if (!d) {
                int saved = errno;
                fd_close(fd);
                return err_sys(err, EX_FAIL, saved, "cannot read a directory", "descriptor %d", fd);
        }
        if (depth == 0)
                return err_set(err, EX_FAIL, "cannot remove a tree", "it is nested too deeply", "%d levels",
                               DEPTH_MAX);
        for (errno = 0; (e = readdir(d)); errno = 0) {
                if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
                        continue;
                int r = remove_one(dirfd(d), e->d_name, depth - 1, err);
                if (r < 0)
                        return r;
        }
        if (errno)
                return err_sys(err, EX_FAIL, errno, "cannot read a directory", "descriptor %d", fd);
        return 0;
}

int path_remove_tree(int dirfd, const char *path, struct err *err)
{
        char parent[PATH_MAX];

        if (!str_copy(parent, sizeof(parent), path))
                return err_sys(err, EX_FAIL, ENAMETOOLONG, "cannot remove a tree", "%s", path);
        char *slash = strrchr(parent, '/');
        const char *name = slash ? path + (slash - parent) + 1 : path;
        if (!*name || str_eq(name, ".") || str_eq(name, ".."))
                return err_sys(err, EX_FAIL, EINVAL, "cannot remove a tree", "%s", path);
        if (!slash)
                return remove_one(dirfd, name, DEPTH_MAX, err);
        slash[slash == parent] = '\0'; /* "/name": the parent is "/" */
        _cleanup_close_ int fd = sys_openat(dirfd, parent, O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot remove a tree", "%s", path);
        return remove_one(fd, name, DEPTH_MAX, err);
}

int path_exists(int dirfd, const char *path)
{
        struct stat st;

        return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int path_read(int dirfd, const char *path, char **ret, size_t *ret_len, struct err *err)
{
        _cleanup_close_ int fd = open_at(dirfd, path, O_RDONLY, 0, err);

        if (fd < 0)
                return fd;
        int r = fd_read_all(fd, READ_MAX, ret, ret_len, err);
        return r < 0 ? err_wrap(err, "cannot read", "%s", path) : 0;
}

int path_write(int dirfd, const char *path, const char *text, struct err *err)
{
        size_t n = strlen(text);
        _cleanup_close_ int fd = open_at(dirfd, path, O_WRONLY, 0, err);

        if (fd < 0)
                return fd;
        int64_t r = sys_write(fd, text, n);
        if (r < 0)
                return err_sys(err, EX_FAIL, (int)r, "cannot write", "%s", path);
        if ((size_t)r != n)
                return err_set(err, EX_FAIL, "cannot write", "only a part of it was taken", "%s", path);
        return 0;
}

/* A rename is durable once its directory is. */
static int sync_parent(int dirfd, const char *path, struct err *err)
{
        char parent[PATH_MAX];

        str_copy(parent, sizeof(parent), path);
        char *slash = strrchr(parent, '/');
        if (!slash)
                str_copy(parent, sizeof(parent), ".");
        else
                slash[slash == parent] = '\0';
        _cleanup_close_ int fd = open_at(dirfd, parent, O_RDONLY | O_DIRECTORY, 0, err);
        if (fd < 0)
                return fd;
        int r = sys_fsync(fd);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot make durable", "%s", parent) : 0;
}

static int write_new(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
        _cleanup_close_ int fd = open_at(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode, err);

        if (fd < 0)
                return fd;
        if (fchmod(fd, mode) < 0) /* also where the umask or an older file says otherwise */
                return err_sys(err, EX_FAIL, errno, "cannot set the mode", "%s", path);
        int r = fd_write_full(fd, data, n, err);
        if (r < 0)
                return err_wrap(err, "cannot write", "%s", path);
        r = sys_fsync(fd);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot make durable", "%s", path) : 0;
}

int path_replace(int dirfd, const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
        char tmp[PATH_MAX];

        if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
                return err_sys(err, EX_FAIL, ENAMETOOLONG, "cannot replace", "%s", path);
        int r = write_new(dirfd, tmp, data, n, mode, err);
        if (r == 0) {
                int q = sys_renameat2(dirfd, tmp, dirfd, path, 0);
                if (q == 0)
                        return sync_parent(dirfd, path, err);
                r = err_sys(err, EX_FAIL, q, "cannot replace", "%s", path);
        }
        (void)unlinkat(dirfd, tmp, 0); /* the failure above is what counts */
        return r;
}
