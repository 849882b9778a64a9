/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files named by a path (inside.h).
 *
 * /proc shows where a file was reached, as seen from the root of its mount namespace. Whether this path still leads to
 * it (overmounts, renames, replaced files) is known only by looking: O_PATH through openat2 within that root, no symbolic
 * link on the way because the kernel's own text has none, and a comparison of device and inode. At restore the same look
 * tells whether a disk brought the file that was mapped. tmpfs gives out inode numbers anew, so there only size and
 * time count. Looking confers nothing: what is used is opened by a tape in the right task.
 */
#include "checkpoint/kind/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "checkpoint/kind/field.h"

static int look(int root, const char *path)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};

        return sys_openat2(root, path, &how);
}

static int look_at(struct dump *d, const struct obj *o, const char *path, struct looked *ret, struct err *err)
{
        struct statfs fs;
        struct stat now;
        int root = dump_root(d, o, err);

        if (root < 0)
                return root;
        _cleanup_close_ int fd = look(root, path);
        bool there = fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP;
        *ret = (struct looked){ .known = true };
        if (!there)
                return 0;
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot look at a file", "%s", path);
        if (fstatat(fd, "", &now, AT_EMPTY_PATH | AT_NO_AUTOMOUNT) < 0 || fstatfs(fd, &fs) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a file", "%s", path);
        *ret = (struct looked){ .known = true, .there = true, .lasting = fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC,
                                .dev = now.st_dev, .ino = now.st_ino };
        return 0;
}

int inside_same(struct dump *d, const struct obj *o, const char *path, const struct stat *st, bool *ret_lasting,
                struct err *err)
{
        struct looked own, *kept = dump_looked(d, path);
        int r = kept && kept->known ? 0 : look_at(d, o, path, &own, err);

        if (r < 0)
                return r;
        if (kept && !kept->known)
                *kept = own;
        const struct looked *l = kept ? kept : &own;
        if (!l->there)
                return 0;
        *ret_lasting = l->lasting;
        return l->dev == st->st_dev && l->ino == st->st_ino;
}

static int changed(const struct kind *k, const struct record *r, const char *path, const char *why, struct err *err)
{
        err_set(err, EX_IMAGE, "a file of the container is not the one that was in use", why, "%s (%s %llu)", path,
                k->stem, (unsigned long long)r->id);
        return err_remedy(err, "Restore on the disk that belongs to this checkpoint");
}

int inside_expect(struct restore *rs, const struct kind *k, const struct record *r, uint64_t object,
                  const struct inside_file *want, struct err *err)
{
        char path[PATH_MAX];
        struct stat now;
        int root = restore_root(rs, object, err);

        if (root < 0)
                return root;
        if (!field_copy(want->path, path, sizeof(path)))
                return kind_bad(k, r, err, "its path is too long");
        _cleanup_close_ int fd = look(root, path);
        if (fd < 0)
                return err_sys(err, EX_IMAGE, fd, "cannot find a file of the container", "%s (%s %llu)", path, k->stem,
                               (unsigned long long)r->id);
        if (fstatat(fd, "", &now, AT_EMPTY_PATH | AT_NO_AUTOMOUNT) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a file", "%s", path);
        if (!S_ISREG(now.st_mode))
                return changed(k, r, path, "it is not a regular file", err);
        if ((uint64_t)now.st_size != want->size)
                return changed(k, r, path, "its size differs", err);
        if (want->has_ino && now.st_ino != want->ino)
                return changed(k, r, path, "its inode number differs", err);
        if (want->has_mtime && (now.st_mtim.tv_sec != want->mtime || now.st_mtim.tv_nsec != (long)want->mtime_ns))
                return changed(k, r, path, "it was modified since", err);
        return 0;
}
