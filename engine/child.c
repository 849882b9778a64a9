/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of the ground: what the clone runs before it is the container's init (or a restore's stub).
 *
 * It does what only a process of the new namespaces can do, when it is told over a socket, and ends when that socket does: so
 * a killed engine leaves no half-made container. For a start it builds the mount tree in the order of the reference
 * (root and /dev handed in, the rest made by its own right), then becomes a session leader on the console, drops
 * capabilities, loads the filter and executes init. For a restore it executes the stub with one socket.
 *
 * The image is hostile: every path in it is opened beneath its root without following links, and a mount goes on the
 * descriptor. Ids are set by raw calls: the C library's would signal threads that exist only in the process it was
 * cloned from. A time namespace is entered by setns after unshare (5.6; execve enters only since 6.3), its offsets being those of the node.
 * proc and sysfs can be mounted in a user namespace only while a fully visible one is there: so the hidden second
 * copies come before anything is mounted over parts of the first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/ground-int.h"

static int failed(struct err *err, int sysno, const char *what)
{
        return err_sys(err, EX_FAIL, sysno, what, "%s", "");
}

static int take_ids(struct err *err)
{
        int r = confine_keyring(err);

        if (r < 0)
                return r;
        if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
                return failed(err, errno, "cannot become the container's root");
        r = sys_unshare(CLONE_NEWCGROUP); /* now that we are in the payload: it is the root that is seen */
        return r < 0 ? failed(err, r, "cannot make a cgroup namespace") : mount_propagation("/", MS_PRIVATE, true, err);
}

/* ---- mounts of a start ---- */

static int place(int root, int mount, const char *path, int flags, struct err *err)
{
        if (mount < 0)
                return mount;
        _cleanup_close_ int at = path_open_beneath(root, path, O_PATH | O_NOFOLLOW | flags, 0, err);
        int r = at < 0 ? at : mount_attach(mount, at, "", err);
        return r < 0 ? err_wrap(err, "cannot mount", "/%s", path) : 0;
}

struct inner {
        const char *type, *path;
        struct mount_option opts[5];
        unsigned attr;
};

static const struct inner inner_mounts[] = {
        {"devpts", "dev/pts", {{"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}, {"max", "1024"}},
         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
        {"tmpfs", "dev/shm", {{"mode", "1777"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
        {"mqueue", "dev/mqueue", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
        {"proc", "proc", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
        {"sysfs", "sys", {}, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
        {"tmpfs", "run", {{"mode", "755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
        {"cgroup2", "sys/fs/cgroup", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
        {"proc", "dev/.hid/proc", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
        {"sysfs", "dev/.hid/sys", {}, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
};

static int make_inner(int root, struct err *err)
{
        for (size_t i = 0; i < ELEMENTSOF(inner_mounts); i++) {
                const struct inner *m = &inner_mounts[i];
                _cleanup_close_ int fd = mount_new(m->type, m->type, m->opts, m->attr, err);
                int r = place(root, fd, m->path, O_DIRECTORY, err);
                if (r < 0)
                        return fd < 0 ? err_wrap(err, "cannot mount", "/%s", m->path) : r;
        }
        return 0;
}

/* What an image may lack. A link in the place of one of them fails in place(). */
static int need_dirs(int root, struct err *err)
{
        static const char *const dirs[] = {"dev", "proc", "sys", "run"};

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                int r = sys_mkdirat(root, dirs[i], 0755);
                if (r < 0 && r != -EEXIST)
                        return err_sys(err, EX_DISK, r, "cannot make a mount point in the image", "/%s", dirs[i]);
        }
        return 0;
}

/* The first pty of the container's own devpts; its master goes out to the monitor. */
static int make_console(int root, int *ret_master, struct err *err)
{
        _cleanup_close_ int master = path_open_beneath(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, 0, err);
        int unlock = 0;

        if (master < 0)
                return master;
        if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || fchmodat(root, "dev/pts/0", 0620, 0) < 0)
                return failed(err, errno, "cannot make the console");
        _cleanup_close_ int slave = mount_clone(root, "dev/pts/0", false, err);
        int r = place(root, slave, "dev/console", 0, err);
        if (r == 0)
                *ret_master = TAKE_FD(master);
        return r;
}

static int enter_root(struct err *err)
{
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return failed(err, errno, "cannot enter the container's root");
        int r = sys_umount2(".", MNT_DETACH);
        if (r < 0 || chdir("/") < 0)
                return failed(err, r < 0 ? r : errno, "cannot leave the node's mounts");
        return mount_propagation("/", MS_SHARED, true, err);
}

static int build_mounts(const struct ground *g, const int tree[TREE_N], int *ret_master, struct err *err)
{
        /* Any directory will do: the node's mounts are left behind in a moment. */
        int r = mount_attach(tree[TREE_ROOT], AT_FDCWD, RUN_DIR, err);

        if (r == 0 && chdir(RUN_DIR) < 0)
                r = failed(err, errno, "cannot enter the container's root");
        if (r < 0)
                return r;
        _cleanup_close_ int root = path_open(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0, err);
        r = root < 0 ? root : need_dirs(root, err);
        if (r == 0)
                r = place(root, tree[TREE_DEV], "dev", O_DIRECTORY, err);
        if (r == 0)
                r = make_inner(root, err);
        if (r == 0)
                r = place(root, tree[TREE_BOOT_ID], "proc/sys/kernel/random/boot_id", 0, err);
        if (r == 0)
                r = make_console(root, ret_master, err);
        if (r == 0)
                r = enter_root(err);
        if (r == 0 && sethostname(g->ct->conf.hostname, strlen(g->ct->conf.hostname)) < 0)
                r = failed(err, errno, "cannot set the host name");
        return r;
}

/* ---- the last steps ---- */

static void default_signals(void)
{
        struct sigaction dfl = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void)sigaction(i, &dfl, NULL); /* SIGKILL and SIGSTOP refuse */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int open_console(struct err *err)
{
        int fd = path_open(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY, 0, err);

        if (fd < 0)
                return fd;
        for (int i = 0; i < 3; i++)
                if (dup2(fd, i) < 0)
                        return failed(err, errno, "cannot open the console");
        if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return failed(err, errno, "cannot close descriptors");
        return 0;
}

static int enter_time(struct err *err)
{
        int r = sys_unshare(CLONE_NEWTIME);

        if (r < 0)
                return failed(err, r, "cannot make a time namespace");
        _cleanup_close_ int fd = path_open(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY, 0, err);
        r = fd < 0 ? fd : sys_setns(fd, CLONE_NEWTIME);
        return fd >= 0 && r < 0 ? failed(err, r, "cannot enter the time namespace") : r;
}

static int run_init(const struct ground *g, struct err *err)
{
        char uuid[64];
        char *const env[] = {(char[]){"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                             (char[]){"container=gantry"}, uuid, (char[]){"TERM=linux"}, NULL};

        snprintf(uuid, sizeof(uuid), "container_uuid=%s", g->ct->conf.uuid);
        int r = enter_time(err);
        if (r < 0)
                return r;
        if (setsid() < 0)
                return failed(err, errno, "cannot make a session");
        r = open_console(err);
        if (r < 0)
                return r;
        default_signals();
        umask(022);
        r = caps_limit(confine_caps(), err);
        if (r == 0)
                r = filter_load(&g->filter, err);
        if (r < 0)
                return r;
        execve(g->argv[0], g->argv, env);
        err_sys(err, EX_INNER, errno, "cannot execute the container's first program", "%s", g->argv[0]);
        return err_remedy(err, "see `init` in its ct.conf");
}

/* fd[0]: the stub, fd[1]: its socket. */
static int run_stub(const int fd[2], struct err *err)
{
        char *const argv[] = {(char[]){"stub"}, NULL};
        char *const env[] = {NULL};

        if (dup3(fd[1], STUB_SOCK, 0) < 0)
                return failed(err, errno, "cannot keep the stub's socket");
        if (syscall(SYS_close_range, 0, STUB_SOCK - 1, CLOSE_RANGE_CLOEXEC) < 0 ||
            syscall(SYS_close_range, STUB_SOCK + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return failed(err, errno, "cannot close descriptors");
        default_signals();
        umask(022);
        syscall(SYS_execveat, fd[0], "", argv, env, AT_EMPTY_PATH);
        return failed(err, errno, "cannot execute the stub");
}

static void answer(int ctl, const struct err *err, int fd)
{
        struct answer a = {.ok = !err_is_set(err), .err = *err};

        if (fd_send(ctl, &a, sizeof(a), &fd, fd >= 0 ? 1 : 0, NULL) < 0)
                _exit(1);
}

/* One message of the engine. 0: the next may come. */
static int obey(const struct ground *g, char tell, const int fd[], size_t n, int ctl, struct err *err)
{
        int master = -1, r = -EX_FAIL;

        if (tell == TELL_IDS)
                r = take_ids(err);
        else if (tell == TELL_MOUNT && n == TREE_N)
                r = build_mounts(g, fd, &master, err);
        else if (tell == TELL_GO)
                r = run_init(g, err);
        else if (tell == TELL_STUB && n == 2)
                r = run_stub(fd, err);
        else
                err_set(err, EX_FAIL, "the engine and its child do not understand each other", "unknown message", "%d", tell);
        answer(ctl, err, r == 0 ? master : -1);
        fd_close(master);
        return r;
}

/* Nothing of the engine's stays open here: neither its end of the socket, whose closing ends us, nor its locks. */
static int drop_descriptors(int ctl)
{
        int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

        for (int i = 0; i < 3; i++)
                if (null < 0 || dup2(null, i) < 0)
                        return -1;
        if (ctl < 3 || (ctl > 3 && syscall(SYS_close_range, 3, ctl - 1, 0) < 0))
                return -1;
        return syscall(SYS_close_range, ctl + 1, ~0U, 0) < 0 ? -1 : 0;
}

void child_main(const struct ground *g, int ctl)
{
        if (drop_descriptors(ctl) < 0)
                _exit(1);
        for (;;) {
                struct err err = {};
                int fd[TREE_N] = {-1, -1, -1};
                size_t len = 0, n = 0;
                char tell = 0;

                if (fd_recv(ctl, &tell, 1, &len, fd, TREE_N, &n, &err) != 0 || len != 1)
                        _exit(1); /* the engine is gone */
                if (obey(g, tell, fd, n, ctl, &err) < 0)
                        _exit(1);
                for (size_t i = 0; i < n; i++)
                        fd_close(fd[i]);
        }
}
