/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mounts that a container gets from outside, detached and ready to be handed in.
 *
 * root: the image, idmapped. dev: a tmpfs whose superblock belongs to the initial user namespace, because device nodes of
 * one made inside cannot be opened (SB_I_NODEV); its inodes are chowned to the container's root, which needs no idmapped
 * tmpfs (6.3). It carries everything that START needs in /dev: nodes, links, mount points. boot_id: one file with an
 * id of this container's own, over /proc/sys/kernel/random/boot_id; it stays the same over a move, as the container's
 * "boot" does. A file below a detached mount can be cloned since 6.15 only, so a helper process with a mount namespace of
 * its own attaches the tmpfs there first; nothing of that namespace outlives it.
 *
 * These are the externals of a checkpoint: dumped as a name, made again by the engine. All other mounts (devpts, /dev/shm,
 * mqueue, proc, sysfs, /run, cgroup2, the hidden proc and sysfs below /dev/.hid, the bind of pts/0 over /dev/console) are made
 * inside by the container's own right and are ordinary records.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "base/sys.h"
#include "engine/config.h"
#include "engine/ground-int.h"
#include "ploop/ploop.h"

const char *tree_name(enum tree t)
{
        static const char *const names[TREE_N] = {[TREE_ROOT] = "root", [TREE_DEV] = "dev", [TREE_BOOT_ID] = "bind:boot_id"};

        return names[t];
}

int tree_root(struct ct *ct, int *ret, struct err *err)
{
        struct image_attach_options o = {.minor = -1};
        _cleanup_close_ int loop = -1;
        struct disk_info info;

        _cleanup_close_ int fd = path_open(ct->dir, ct->conf.image, O_RDWR, 0, err);
        if (fd < 0) {
                if (err && (err->sys == ENOENT || err->sys == EISDIR || err->sys == ENXIO))
                        err->code = EX_DISK; /* not there, or nothing that can be one */
                err_remedy(err, "see `image` in its ct.conf");
                return err_wrap(err, "cannot open the image", "%s", ct->name);
        }
        int r = disk_info(fd, &info, err);
        if (r == 0) {
                o.block_size = info.block_size < 4096 ? 512 : 0;
                r = image_attach(fd, &o, &loop, err);
        }
        if (r == 0)
                r = image_mount(loop, false, &ct->conf.idmap, ret, err);
        return r < 0 ? err_wrap(err, "cannot mount the image", "%s of %s", ct->conf.image, ct->name) : 0;
}

static int own(int dir, const char *name, mode_t mode, const struct idmap *ids)
{
        if (fchownat(dir, name, ids->base, ids->base, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return mode && fchmodat(dir, name, mode, 0) < 0 ? -errno : 0; /* whatever our umask was */
}

static int dev_nodes(int fd, const struct idmap *ids)
{
        static const struct { const char *name; unsigned major, minor; } nodes[] = {
                {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(nodes); i++) {
                r = sys_mknodat(fd, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor));
                if (r == 0)
                        r = own(fd, nodes[i].name, 0666, ids);
        }
        return r;
}

static int dev_rest(int fd, const struct idmap *ids)
{
        static const struct { const char *name, *target; } links[] = {
                {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
                {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}, {"core", "/proc/kcore"},
        };
        static const struct { const char *name; mode_t mode; } dirs[] = {
                {"pts", 0755}, {"shm", 0755}, {"mqueue", 0755}, {".hid", 0700}, {".hid/proc", 0755}, {".hid/sys", 0755},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(links); i++) {
                r = sys_symlinkat(links[i].target, fd, links[i].name);
                if (r == 0)
                        r = own(fd, links[i].name, 0, ids);
        }
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(dirs); i++) {
                r = sys_mkdirat(fd, dirs[i].name, dirs[i].mode);
                if (r == 0)
                        r = own(fd, dirs[i].name, dirs[i].mode, ids);
        }
        if (r == 0)
                r = own(fd, ".hid", 0, ids);
        if (r == 0 && fchmodat(fd, ".hid", 0, 0) < 0)
                r = -errno;
        if (r == 0)
                r = sys_mknodat(fd, "console", S_IFREG | 0600, 0);
        return r == 0 ? own(fd, "console", 0600, ids) : r;
}

int tree_dev(const struct idmap *ids, int *ret, struct err *err)
{
        static const struct mount_option opts[] = {{"mode", "755"}, {"size", "4m"}, {"nr_inodes", "4096"}, {}};
        _cleanup_close_ int fd = mount_new("tmpfs", "dev", opts, MOUNT_ATTR_NOSUID, err);

        if (fd < 0)
                return err_wrap(err, "cannot make the devices", "%s", "/dev");
        int r = fchownat(fd, "", ids->base, ids->base, AT_EMPTY_PATH) < 0 ? -errno : 0;
        if (r == 0)
                r = dev_nodes(fd, ids);
        if (r == 0)
                r = dev_rest(fd, ids);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot make the devices", "%s", "/dev");
        *ret = TAKE_FD(fd);
        return 0;
}

/* ---- boot_id ---- */

/* The id is the run directory's: given once per start and kept by a restore of the same boot. */
static int boot_id_text(struct ct *ct, char ret[38], struct err *err)
{
        _cleanup_free_ char *text = NULL;
        char id[37];

        if (path_exists(ct->run, "boot_id") && path_read(ct->run, "boot_id", &text, NULL, err) == 0 && strlen(text) == 37) {
                str_copy(ret, 38, text);
                return 0;
        }
        int r = uuid_new(id, err);
        if (r < 0)
                return r;
        snprintf(ret, 38, "%s\n", id);
        return path_replace(ct->run, "boot_id", ret, 37, 0644, err);
}

static int boot_id_mount(const char *text, const struct idmap *ids, struct err *err)
{
        static const struct mount_option opts[] = {{"mode", "755"}, {"size", "4k"}, {}};
        struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
        int r = mount_own_namespace(err);

        if (r < 0)
                return r;
        _cleanup_close_ int fs = mount_new("tmpfs", "boot_id", opts, 0, err);
        if (fs < 0)
                return fs;
        r = mount_attach(fs, AT_FDCWD, RUN_DIR, err);
        if (r < 0)
                return r;
        _cleanup_close_ int f = path_open(AT_FDCWD, RUN_DIR "/boot_id", O_WRONLY | O_CREAT | O_EXCL, 0444, err);
        if (f < 0)
                return f;
        r = fd_write_full(f, text, strlen(text), err);
        if (r == 0 && (fchown(f, ids->base, ids->base) < 0 || fchmod(f, 0444) < 0))
                r = err_sys(err, EX_FAIL, errno, "cannot make the boot id", "%s", "");
        if (r < 0)
                return r;
        _cleanup_close_ int tree = mount_clone(AT_FDCWD, RUN_DIR "/boot_id", false, err);
        if (tree < 0)
                return tree;
        r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, &ro, sizeof(ro));
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot make the boot id", "%s", "") : TAKE_FD(tree);
}

static void boot_id_helper(int sock, const char *text, const struct idmap *ids) __attribute__((noreturn));

static void boot_id_helper(int sock, const char *text, const struct idmap *ids)
{
        struct err e = {};
        int fd = boot_id_mount(text, ids, &e);

        if (fd >= 0)
                _exit(fd_send(sock, &e, sizeof(e), &fd, 1, NULL) < 0);
        (void)fd_send(sock, &e, sizeof(e), NULL, 0, NULL); /* the other end sees the end of file otherwise */
        _exit(1);
}

int tree_boot_id(struct ct *ct, int *ret, struct err *err)
{
        char text[38];
        _cleanup_close_ int pidfd = -1, ours = -1, theirs = -1;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        struct err inner = {};
        int sv[2], fd = -1, r = boot_id_text(ct, text, err);
        size_t len = 0, n = 0;

        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make the boot id", "%s", ct->name);
        ours = sv[0];
        theirs = sv[1];
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                boot_id_helper(theirs, text, &ct->conf.idmap);
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make the boot id", "%s", ct->name);
        theirs = fd_close(theirs);
        r = fd_recv(ours, &inner, sizeof(inner), &len, &fd, 1, &n, err);
        pidfd_end(pidfd);
        if (r == 0 && n == 1) {
                *ret = fd;
                return 0;
        }
        if (r < 0)
                return r;
        if (r == 0 && len == sizeof(inner) && inner.code)
                return err_take(err, &inner);
        return err_set(err, EX_FAIL, "cannot make the boot id", "the helper process died", "%s", ct->name);
}
