/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every call of base/sys.h that the privileged pieces of base/ make is failed once, one after the other (dep_fault):
 * cgroups, id maps, mounts, netlink in another namespace. After each failure the error is told and nothing is left: no
 * descriptor, child, mount or cgroup, and the thread is in its own network namespace.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/idmap.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/procfs.h"
#include "tests/sys_fault.h"
#include "tests/system/own.h"

struct census {
        size_t fds, mounts;
        ino_t netns;
        bool cgroup;
};

static char top[64], path[96], dir[] = "/tmp/base-fault-XXXXXX";

static struct census census(struct cgroups *c)
{
        struct census x = {};
        struct mountinfo *m = NULL;
        unsigned *v = NULL;
        struct stat st;
        int self = -1, cg = cgroup_open_v2(c, path, NULL);

        x.cgroup = cg >= 0;
        fd_close(cg);
        OK(proc_numbers(AT_FDCWD, "/proc/self/fd", &v, &x.fds, err));
        free(v);
        OK(self = proc_open(getpid(), err));
        OK(mountinfo_read(self, &m, &x.mounts, err));
        mountinfo_free(m, x.mounts);
        close(self);
        CHECK(stat("/proc/thread-self/ns/net", &st) == 0);
        x.netns = st.st_ino;
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        return x;
}

static void sweep(const char *name, int (*fn)(struct err *err))
{
        struct cgroups *c = NULL;
        unsigned long k = 1;

        OK(cgroups_open(&c, err));
        for (;; k++) {
                struct err e = {};
                struct census before = census(c);
                sys_fault_arm(k, EIO);
                int r = fn(&e);
                sys_fault_disarm();
                struct census after = census(c);
                if (after.fds != before.fds || after.mounts != before.mounts || after.netns != before.netns ||
                    after.cgroup || (r < 0) != err_is_set(&e)) {
                        fprintf(stderr, "%s, step %lu (%s): fds %zu to %zu, mounts %zu to %zu, cgroup %d, returned %d, error %d\n",
                                name, k, sys_fault_name(), before.fds, after.fds, before.mounts, after.mounts, after.cgroup,
                                r, e.code);
                        exit(1);
                }
                CHECK_ERR(sys_fault_fired() || r == 0, &e);
                if (!sys_fault_fired())
                        break;
        }
        CHECK(k > 1);
        printf("# %s: %lu calls\n", name, k - 1);
        cgroups_free(c);
}

static int cgroups(struct err *err)
{
        struct cgroups *c = NULL;
        int r = cgroups_open(&c, err);

        if (r < 0)
                return r;
        r = cgroup_create(c, path, err);
        if (r == 0) {
                struct cg_limits l = {.memory = 64 << 20, .cpu_milli = 500, .pids = 9};
                r = cgroup_limits(c, path, &l, err);
                int q = cgroup_remove(c, path, r < 0 ? NULL : err);
                if (q < 0) /* the fault struck here: once more cleans up */
                        CHECK(cgroup_remove(c, path, NULL) == 0);
                r = r < 0 ? r : q;
        }
        cgroups_free(c);
        return r;
}

static int mounts(struct err *err)
{
        static const struct mount_option opts[] = {{"size", "1m"}, {"mode", "0700"}, {NULL, NULL}};
        struct idmap m = {.base = 100000, .count = 65536};
        _cleanup_close_ int user = idmap_userns(&m, err), fd = -1, clone = -1;

        if (user < 0)
                return user;
        fd = mount_new("tmpfs", "gantry", opts, 0, err);
        if (fd < 0)
                return fd;
        int r = mount_attach(fd, AT_FDCWD, dir, err);
        if (r < 0)
                return r;
        clone = mount_clone(fd, "", true, err);
        r = clone < 0 ? clone : mount_idmap(clone, user, err);
        CHECK(umount2(dir, MNT_DETACH) == 0);
        return r;
}

static int netlink(struct err *err)
{
        static const unsigned char mac[6] = {2, 0, 0, 0, 0, 1};
        struct ip_prefix ip;
        struct nl *n = NULL;
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

        CHECK(unshare(CLONE_NEWNET) == 0);
        _cleanup_close_ int other = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        CHECK(setns(own, CLONE_NEWNET) == 0);
        int r = nl_open_in(other, &n, err);
        if (r == 0)
                r = nl_link_up(n, "lo", true, err);
        nl_free(n);
        CHECK(parse_prefix("10.0.0.1/8", &ip, NULL) == 0);
        return r < 0 ? r : nl_announce("lo", mac, &ip, err);
}

static void test(void)
{
        struct nl *n = NULL;

        OK(nl_open(&n, err));
        OK(nl_link_up(n, "lo", true, err)); /* an announcement wants a device that is up */
        nl_free(n);
        CHECK(mkdtemp(dir));
        sweep("cgroups", cgroups);
        sweep("mounts", mounts);
        sweep("netlink", netlink);
        CHECK(rmdir(dir) == 0);
        printf("ok\n");
}

static void after(void)
{
        struct cgroups *c = NULL;

        OK(cgroups_open(&c, err));
        OK(cgroup_remove(c, top, err));
        cgroups_free(c);
}

int main(void)
{
        snprintf(top, sizeof(top), "gantry-test-base-fault-%d", (int)getpid());
        snprintf(path, sizeof(path), "%s/ct", top);
        return run_in_own_namespaces(test, after);
}
