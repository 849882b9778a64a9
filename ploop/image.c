/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image's file system: mounting it, saying what is in it, holding it still.
 *
 * The mount is made by fsopen, so that nobody can reach it before the caller attaches it somewhere. An image is not
 * trusted: errors=remount-ro overrides a superblock that says panic, nodev keeps device nodes in it from opening, and
 * an image that carries mount options of its own is refused. noinit_itable keeps the kernel from writing the lazily
 * initialised tables (the file reads as zeroes there), discard makes a removed file a hole in the image.
 *
 * Freezing counts in no way that helps: FIFREEZE of a frozen file system is EBUSY, FITHAW of a thawed one EINVAL. A
 * descriptor of fsmount or open_tree is O_PATH and takes no ioctl; its root directory is opened then.
 */
#include "ploop/ploop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountapi.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "ploop/attach.h"
#include "ploop/ext4super.h"

static int read_super(int fd, struct ext4_super *ret, struct err *err)
{
        unsigned char buf[EXT4_SUPER_SIZE];
        size_t got = 0;
        int r = fd_pread_full(fd, buf, sizeof(buf), EXT4_SUPER_OFFSET, &got, err);

        return r < 0 ? r : ext4_super_parse(buf, got, ret, err);
}

static int set_idmap(int mountfd, const struct idmap *ids, struct err *err)
{
        _cleanup_close_ int ns = idmap_userns(ids, err);

        return ns < 0 ? ns : mount_idmap(mountfd, ns, err);
}

int image_mount(int loopfd, bool read_only, const struct idmap *ids, int *ret_mount, struct err *err)
{
        static const struct mount_option rw[] = {{"rw"}, {"discard"}, {"noinit_itable"}, {"errors", "remount-ro"}, {}};
        static const struct mount_option ro[] = {{"ro"}, {"noinit_itable"}, {"errors", "remount-ro"}, {}};
        unsigned attr = MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODEV | (read_only ? (unsigned)MOUNT_ATTR_RDONLY : 0);
        struct ext4_super s = {};
        char device[32];

        int r = loop_name(loopfd, device, sizeof(device), NULL, err);
        if (r < 0)
                return r;
        r = read_super(loopfd, &s, err);
        if (r == 0 && s.has_mount_opts)
                r = err_set(err, EX_DISK, "cannot mount the image", "it carries mount options of its own", "%s", device);
        if (r < 0)
                return err ? err_wrap(err, "cannot mount the image", "%s", device) : r;
        _cleanup_close_ int fd = mount_new("ext4", device, read_only ? ro : rw, attr, err);
        if (fd < 0) {
                if (err && err->code == EX_FAIL)
                        err->code = EX_DISK;
                return err ? err_wrap(err, "cannot mount the image", "%s", device) : fd;
        }
        if (ids) {
                r = set_idmap(fd, ids, err);
                if (r < 0)
                        return err ? err_wrap(err, "cannot mount the image", "%s", device) : r;
        }
        *ret_mount = TAKE_FD(fd);
        return 0;
}

int disk_info(int imagefd, struct disk_info *ret, struct err *err)
{
        struct disk_info i = {};
        struct ext4_super s = {};
        struct stat st;

        if (fstat(imagefd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at the image", "descriptor %d", imagefd);
        if (!S_ISREG(st.st_mode))
                return err_set(err, EX_DISK, "cannot look at the image", "this is no regular file", "descriptor %d",
                               imagefd);
        int r = read_super(imagefd, &s, err);
        if (r < 0)
                return r;
        i.size = (uint64_t)st.st_size;
        i.allocated = (uint64_t)st.st_blocks * 512;
        i.fs_size = s.blocks * s.block_size;
        i.fs_free = s.blocks_free * s.block_size;
        i.inodes = s.inodes;
        i.inodes_free = s.inodes_free;
        i.block_size = s.block_size;
        i.clean = s.clean;
        memcpy(i.uuid, s.uuid, sizeof(i.uuid));
        str_copy(i.label, sizeof(i.label), s.label);
        if (i.fs_size > i.size) {
                err_set(err, EX_DISK, "cannot use the image", "", "descriptor %d", imagefd);
                return err ? err_why(err, "it is cut short: %llu bytes of %llu", (unsigned long long)i.size,
                                     (unsigned long long)i.fs_size)
                           : -EX_DISK;
        }
        r = loop_find(imagefd, i.device, sizeof(i.device), err);
        if (r < 0)
                return r;
        i.attached = r > 0;
        *ret = i;
        return 0;
}

/* An O_PATH descriptor (a detached mount) answers EBADF to everything: *own is then its root, opened for real. */
static int real_fd(int fd, int *own, struct err *err)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return err_sys(err, EX_FAIL, errno, "cannot use a mounted image", "descriptor %d", fd);
        if (!(flags & O_PATH))
                return fd;
        *own = path_open(fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
        return *own;
}

int image_freeze(int fsfd, struct err *err)
{
        _cleanup_close_ int own = -1;
        int fd = real_fd(fsfd, &own, err);

        if (fd < 0)
                return fd;
        int r = sys_ioctl(fd, FIFREEZE, NULL);
        if (r == -EBUSY)
                return err_set(err, EX_STATE, "cannot freeze the file system", "it is frozen already", "descriptor %d", fsfd);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot freeze the file system", "descriptor %d", fsfd) : 0;
}

int image_thaw(int fsfd, struct err *err)
{
        _cleanup_close_ int own = -1;
        int fd = real_fd(fsfd, &own, err);

        if (fd < 0)
                return fd;
        int r = sys_ioctl(fd, FITHAW, NULL);
        return r < 0 && r != -EINVAL ? err_sys(err, EX_FAIL, r, "cannot thaw the file system", "descriptor %d", fsfd) : 0;
}

int image_sync(int fsfd, struct err *err)
{
        _cleanup_close_ int own = -1;
        int fd = real_fd(fsfd, &own, err);

        if (fd < 0)
                return fd;
        int r = sys_syncfs(fd);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot write back the file system", "descriptor %d", fsfd) : 0;
}
