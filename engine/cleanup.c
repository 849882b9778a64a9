/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container has on its node while it runs, and its end: processes, link, cgroup, marks in the run directory.
 *
 * Nothing here asks whether the container should end: ct_cleanup() is for one that is to be stopped, or that has ended, or
 * was only begun; it is idempotent, and may be interrupted anywhere: the mark `ground` goes last, so that the next command
 * does the rest. The loop device is no part of it, it frees itself with its last user; who promises a free image waits for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/timer.h"
#include "engine/ct-int.h"
#include "ploop/ploop.h"

#define KILL_MS 20000
#define DETACH_MS 20000

/* Kills whatever is in the container's cgroup and waits until it is empty. */
static int empty_cgroup(struct cgroups *c, const char *path, struct err *err)
{
        struct timespec nap = {.tv_nsec = 5000000};
        uint64_t until = now_ns() + (uint64_t)KILL_MS * 1000000;
        _cleanup_close_ int fd = cgroup_open_v2(c, path, err);

        if (fd < 0)
                return err && err->code == EX_UNKNOWN ? 0 : fd;
        int r = cgroup_kill(fd, err);
        if (r == 0)
                r = cgroup_thaw(fd, err);
        while (r == 0) {
                _cleanup_free_ pid_t *pids = NULL;
                size_t n = 0;
                r = cgroup_procs(fd, &pids, &n, err);
                if (r < 0 || n == 0)
                        break;
                if (now_ns() > until)
                        return err_set(err, EX_BUSY, "cannot end the container's processes", "one is left after SIGKILL", "pid %d", pids[0]);
                (void)nanosleep(&nap, NULL);
        }
        return r;
}

static int remove_link(const char *port, struct err *err)
{
        struct nl *nl = NULL;
        int r = nl_open(&nl, err);

        if (r == 0)
                r = nl_link_delete(nl, port, err);
        nl_free(nl);
        return r;
}

int ct_cleanup(struct ct *ct, struct err *err)
{
        struct err scratch;
        struct err *e = err ? err : &scratch;
        int r = ct_need_lock(ct, "cannot clean up", e);

        if (r < 0)
                return r;
        struct cgroups *c = node_cgroups(ct->node, e);
        if (!c)
                return -e->code;
        r = empty_cgroup(c, ct->cgroup, e);
        if (r == 0)
                r = remove_link(ct->port, e);
        if (r == 0)
                r = cgroup_remove(c, ct->cgroup, e);
        if (r < 0)
                return err_wrap(e, "cannot clean up", "%s", ct->name);
        static const char *const files[] = {"state", "boot_id", "seccomp", "ground"};
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                r = sys_unlinkat(ct->run, files[i], 0);
                if (r < 0 && r != -ENOENT)
                        return err_sys(e, EX_FAIL, r, "cannot clean up", "%s", ct->name);
        }
        return 0;
}

int ct_wait_detached(struct ct *ct, struct err *err)
{
        uint64_t until = now_ns() + (uint64_t)DETACH_MS * 1000000;
        struct timespec nap = {.tv_nsec = 5000000};
        struct disk_info info;
        _cleanup_close_ int fd = path_open(ct->dir, ct->conf.image, O_RDONLY, 0, err);

        if (fd < 0)
                return fd;
        for (;;) {
                int r = disk_info(fd, &info, err);
                if (r < 0 || !info.attached)
                        return r;
                if (now_ns() > until) {
                        err_set(err, EX_BUSY, "the container has stopped, but its image is still attached", "something else holds it",
                                "%s", info.device);
                        return err_remedy(err, "look for a process with a mount of %s", info.device);
                }
                (void)nanosleep(&nap, NULL);
        }
}
