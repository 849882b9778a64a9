/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, POSIX message queues of the container's ipc namespace. They are files of one file system, which each namespace has whether it
 * is mounted or not: a queue that nobody has open and no mount shows is still there. It is mounted for a moment by a thread
 * that is in the namespace and comes back; nobody else can reach that mount.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/collect.h"

/* A mount of the queues of the namespace that we are in, -1: this kernel has none. */
static int mount_queues(void *ctx, struct err *err)
{
        struct err e = {};
        int *ret = ctx, fd = mount_new("mqueue", "mqueue", NULL, 0, &e);

        if (fd < 0 && e.sys != ENODEV)
                return err_take(err, &e);
        *ret = fd < 0 ? -1 : fd;
        return 0;
}

static int any_file(int mount, bool *ret, struct err *err)
{
        _cleanup_close_ int fd = sys_openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return err_sys(err, EX_FAIL, fd < 0 ? fd : errno, "cannot look for message queues", "%s", "mqueue");
        fd = -1;
        for (const struct dirent *e; (e = readdir(dir));)
                *ret |= e->d_name[0] != '.' || (e->d_name[1] && (e->d_name[1] != '.' || e->d_name[2]));
        return 0;
}

int dump_queues(int procfd, bool *ret, struct err *err)
{
        _cleanup_close_ int theirs = path_open(procfd, "ns/ipc", O_RDONLY, 0, err);
        _cleanup_close_ int mount = -1;

        if (theirs < 0)
                return theirs;
        int r = dump_within(theirs, CLONE_NEWIPC, mount_queues, &mount, err);
        *ret = false;
        return r < 0 || mount < 0 ? r : any_file(mount, ret, err);
}
