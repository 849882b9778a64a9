/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mount of the container without those that are mounted on it, to look at what they hide: a detached copy (open_tree(2) without
 * AT_RECURSIVE) of the same file system, on which looking changes no access time.
 *
 * The kernel copies only mounts of the caller's own mount namespace, and a thread enters one only when it shares its root and working
 * directory with nobody. So a thread of its own does it and ends; descriptors are common to all threads. It opens nothing: what is
 * copied was found before.
 *
 * Not to be had where a mount on it was locked to its place by whoever made the namespace (EINVAL): only the engine does that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/mounts.h"

struct copy { int mntns, root, fd; };   /* fd: the copy, or <0 */

static void *copier(void *arg)
{
        struct copy *c = arg;
        struct mount_attr quiet = { .attr_set = MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME };

        c->fd = sys_unshare(CLONE_FS);
        if (c->fd >= 0)
                c->fd = sys_setns(c->mntns, CLONE_NEWNS);
        if (c->fd >= 0)
                c->fd = sys_open_tree(c->root, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        if (c->fd < 0)
                return NULL;
        int r = sys_mount_setattr(c->fd, "", AT_EMPTY_PATH, &quiet, sizeof(quiet));
        if (r < 0) {
                fd_close(c->fd);
                c->fd = r;
        }
        return NULL;
}

/* *ret: like `root`, but of a mount with nothing on it. 1: there is none to be had. */
int mount_beneath(const struct dump *d, int root, int *ret, struct err *err)
{
        _cleanup_close_ int mntns = sys_openat(d->task[0].procfd, "ns/mnt", O_RDONLY | O_CLOEXEC, 0);
        struct copy c = { .mntns = mntns, .root = root };
        pthread_t thread;

        if (mntns < 0)
                return err_sys(err, EX_FAIL, mntns, "cannot look beneath a mount", "%s", "ns/mnt");
        int r = pthread_create(&thread, NULL, copier, &c);
        if (r == 0)
                r = pthread_join(thread, NULL);
        if (r != 0)
                return err_sys(err, EX_FAIL, r, "cannot look beneath a mount", "%s", "thread");
        if (c.fd == -EINVAL)
                return 1;
        if (c.fd < 0)
                return err_sys(err, EX_FAIL, c.fd, "cannot look beneath a mount", "%s", "open_tree");
        /* What was copied is a path, as the tree's descriptor is: only a directory of it can be read. */
        _cleanup_close_ int tree = c.fd;
        int fd = sys_openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if (fd < 0)
                return err_sys(err, EX_FAIL, fd, "cannot look beneath a mount", "%s", "its root");
        *ret = fd;
        return 0;
}
