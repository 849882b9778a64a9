/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptor-based mount calls (base/mountapi.h), so that a mount can be made, changed and checked before
 * anybody can reach it.
 *
 * The kernel explains a refused option only in the log of the file system context, one message per read(2), with
 * "e ", "w " or "i " before it: the last error of it becomes the reason.
 */
#include "base/mountapi.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

static int code_of(int r)
{
        return r == -ENOSYS || r == -ENODEV ? EX_KERNEL : EX_FAIL;
}

static int refused(int fsfd, int r, const char *type, const char *option, struct err *err)
{
        char line[160];
        ssize_t n;
        int ret = err_sys(err, code_of(r), r, "cannot mount a file system", "%s%s%s", type, option ? ", option " : "",
                          option ? option : "");

        if (!err || fsfd < 0)
                return ret;
        while ((n = read(fsfd, line, sizeof(line) - 1)) > 0) {
                line[n] = '\0';
                if (str_starts(line, "e "))
                        err_why(err, "%s", line + 2);
        }
        return ret;
}

int mount_new(const char *type, const char *source, const struct mount_option *opts, unsigned attr, struct err *err)
{
        _cleanup_close_ int fs = sys_fsopen(type, 0);
        int r = 0;

        if (fs < 0)
                return refused(-1, fs, type, NULL, err);
        if (source)
                r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0);
        if (r < 0)
                return refused(fs, r, type, "source", err);
        for (const struct mount_option *o = opts; o && o->key; o++) {
                r = sys_fsconfig(fs, o->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o->key, o->value, 0);
                if (r < 0)
                        return refused(fs, r, type, o->key, err);
        }
        r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
        if (r < 0)
                return refused(fs, r, type, NULL, err);
        r = sys_fsmount(fs, 0, attr);
        return r < 0 ? refused(fs, r, type, NULL, err) : r;
}

int mount_clone(int dirfd, const char *path, bool recursive, struct err *err)
{
        unsigned flags = OPEN_TREE_CLONE | (path[0] ? 0 : (unsigned)AT_EMPTY_PATH) |
                         (recursive ? (unsigned)AT_RECURSIVE : 0);
        int fd = sys_open_tree(dirfd, path, flags);

        return fd < 0 ? err_sys(err, code_of(fd), fd, "cannot clone a mount", "%s", path) : fd;
}

int mount_idmap(int mountfd, int userns_fd, struct err *err)
{
        struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)userns_fd};
        int r = sys_mount_setattr(mountfd, "", AT_EMPTY_PATH, &a, sizeof(a));

        if (r < 0)
                return err_sys(err, r == -EINVAL ? EX_KERNEL : code_of(r), r, "cannot map the ids of a mount", "%s",
                               "");
        return 0;
}

int mount_attach(int mountfd, int dirfd, const char *path, struct err *err)
{
        unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (path[0] ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
        int r = sys_move_mount(mountfd, "", dirfd, path, flags);

        return r < 0 ? err_sys(err, code_of(r), r, "cannot attach a mount", "%s", path) : 0;
}

int mount_propagation(const char *path, uint64_t propagation, bool recursive, struct err *err)
{
        struct mount_attr a = {.propagation = propagation};
        int r = sys_mount_setattr(AT_FDCWD, path, recursive ? (unsigned)AT_RECURSIVE : 0, &a, sizeof(a));

        return r < 0 ? err_sys(err, code_of(r), r, "cannot set the propagation of a mount", "%s", path) : 0;
}

int mount_own_namespace(struct err *err)
{
        int r = sys_unshare(CLONE_NEWNS);

        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot make a mount namespace", "%s", "");
        return mount_propagation("/", MS_PRIVATE, true, err);
}
