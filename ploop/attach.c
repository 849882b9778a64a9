/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Image files and loop devices.
 *
 * LOOP_CONFIGURE (5.8) sets file, flags and block size in one step, so that no half-made device is ever seen. With
 * AUTOCLEAR the device lets go of the file at the last close of it, mounts counted: whatever kills us leaves nothing
 * attached. Direct I/O keeps the image's pages out of the host's cache; a host file system that cannot do it gets
 * buffered I/O from the kernel without a word, which is slower but not wrong.
 *
 * A file on two devices at once would be destroyed by two journals, and the kernel does not object. So all attached
 * devices are asked for (device, inode) first, under a lock on the file that every command of ours takes. A program
 * that attaches without asking (losetup) can still race with us; the kernel offers nothing against that.
 *
 * A free minor that another program takes between GET_FREE and CONFIGURE is EBUSY: the next one is asked for.
 */
#include "ploop/attach.h"
#include "ploop/ploop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/sys.h"

#define LOOP_MAJOR 7
#define MINOR_MAX 1048575
#define TRIES 64
#define LOCK_TRIES 500 /* of 10 ms */
#define BLOCK_SIZE_OURS 4096

static const char cannot[] = "cannot attach the image";

int loop_name(int loopfd, char *ret, size_t size, unsigned *ret_minor, struct err *err)
{
        struct stat st;

        if (fstat(loopfd, &st) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a loop device", "descriptor %d", loopfd);
        if (!S_ISBLK(st.st_mode) || major(st.st_rdev) != LOOP_MAJOR)
                return err_set(err, EX_DISK, "cannot use a loop device", "this is none", "descriptor %d", loopfd);
        snprintf(ret, size, "/dev/loop%u", minor(st.st_rdev));
        if (ret_minor)
                *ret_minor = minor(st.st_rdev);
        return 0;
}

/* Opens /dev/loopN and makes sure that it is loop device N: /dev may be anything. */
static int open_minor(unsigned number, int flags)
{
        char path[32];
        struct stat st;

        snprintf(path, sizeof(path), "/dev/loop%u", number);
        _cleanup_close_ int fd = sys_openat(AT_FDCWD, path, flags, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISBLK(st.st_mode) || st.st_rdev != makedev(LOOP_MAJOR, number))
                return -ENXIO;
        return TAKE_FD(fd);
}

/* Does device `number` hold this file? 1, 0, or -errno. */
static int holds(unsigned number, const struct stat *file)
{
        struct loop_info64 info = {};
        _cleanup_close_ int fd = open_minor(number, O_RDONLY);

        if (fd < 0)
                return fd == -ENOENT || fd == -ENXIO ? 0 : fd;
        int r = sys_ioctl(fd, LOOP_GET_STATUS64, &info);
        if (r < 0)
                return r == -ENXIO ? 0 : r;
        return info.lo_inode == file->st_ino && info.lo_device == file->st_dev;
}

int loop_find(int imagefd, char *ret, size_t size, struct err *err)
{
        static const char what[] = "cannot list the attached images";
        struct stat file;

        if (fstat(imagefd, &file) < 0)
                return err_sys(err, EX_FAIL, errno, what, "descriptor %d", imagefd);
        _cleanup_closedir_ DIR *d = opendir("/sys/block");
        if (!d)
                return err_sys(err, EX_FAIL, errno, what, "/sys/block");
        for (;;) {
                char bound[300];
                uint64_t number;

                errno = 0;
                const struct dirent *e = readdir(d);
                if (!e)
                        return errno ? err_sys(err, EX_FAIL, errno, what, "/sys/block") : 0;
                if (!str_starts(e->d_name, "loop") || parse_u64(e->d_name + 4, 0, MINOR_MAX, &number, NULL) < 0)
                        continue;
                /* Only an attached device has this file: the free ones need not be opened. */
                snprintf(bound, sizeof(bound), "%s/loop/backing_file", e->d_name);
                if (faccessat(dirfd(d), bound, F_OK, 0) < 0)
                        continue;
                int r = holds((unsigned)number, &file);
                if (r < 0)
                        return err_sys(err, EX_FAIL, r, what, "/dev/loop%u", (unsigned)number);
                if (r) {
                        snprintf(ret, size, "/dev/loop%u", (unsigned)number);
                        return 1;
                }
        }
}

static int get_free(int ctl, int wanted, unsigned *ret, struct err *err)
{
        if (wanted >= 0) {
                /* The number goes by value; an existing device is what we want. */
                int r = sys_ioctl(ctl, LOOP_CTL_ADD, (void *)(uintptr_t)(unsigned)wanted);
                if (r < 0 && r != -EEXIST)
                        return err_sys(err, EX_FAIL, r, cannot, "/dev/loop%d", wanted);
                *ret = (unsigned)wanted;
                return 0;
        }
        int r = sys_ioctl(ctl, LOOP_CTL_GET_FREE, NULL);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, cannot, "/dev/loop-control");
        *ret = (unsigned)r;
        return 0;
}

/* One try at one device: 1 when somebody else was faster. */
static int try_minor(unsigned number, const struct loop_config *conf, bool read_only, int *ret, struct err *err)
{
        struct loop_config c = *conf;
        _cleanup_close_ int fd = open_minor(number, read_only ? O_RDONLY : O_RDWR);

        if (fd < 0) {
                err_sys(err, EX_FAIL, fd, cannot, "/dev/loop%u", number);
                return err ? err_remedy(err, "give this mount namespace a devtmpfs on /dev") : -EX_FAIL;
        }
        int r = sys_ioctl(fd, LOOP_CONFIGURE, &c);
        if (r == -EBUSY)
                return 1;
        if (r == -ENOTTY)
                return err_set(err, EX_KERNEL, cannot, "the kernel lacks LOOP_CONFIGURE (5.8)", "/dev/loop%u", number);
        if (r < 0)
                return err_sys(err, EX_DISK, r, cannot, "/dev/loop%u", number);
        *ret = TAKE_FD(fd);
        return 0;
}

static int configure(const struct loop_config *conf, const struct image_attach_options *o, int *ret, struct err *err)
{
        _cleanup_close_ int ctl = sys_openat(AT_FDCWD, "/dev/loop-control", O_RDWR, 0);

        if (ctl < 0)
                return err_sys(err, ctl == -ENOENT || ctl == -ENXIO ? EX_KERNEL : EX_FAIL, ctl, cannot,
                               "/dev/loop-control");
        for (int i = 0; i < TRIES; i++) {
                unsigned number = 0;
                int r = get_free(ctl, o->minor, &number, err);
                if (r < 0)
                        return r;
                r = try_minor(number, conf, o->read_only, ret, err);
                if (r != 1)
                        return r;
                if (o->minor >= 0)
                        return err_set(err, EX_EXISTS, cannot, "the wanted device is in use", "/dev/loop%u", number);
        }
        return err_set(err, EX_FAIL, cannot, "other programs took every free device", "/dev/loop-control");
}

/* Held only while we look and attach, never while we wait for anything else. */
static int lock(int imagefd, struct err *err)
{
        const struct timespec pause = {.tv_nsec = 10000000};

        for (int i = 0; i < LOCK_TRIES; i++) {
                if (flock(imagefd, LOCK_EX | LOCK_NB) == 0)
                        return 0;
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, cannot, "lock of the image file");
                (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
        }
        return err_set(err, EX_LOCKED, cannot, "another program has locked the file", "descriptor %d", imagefd);
}

static int attach_locked(int imagefd, const struct image_attach_options *o, int *ret, struct err *err)
{
        char device[32];
        int r = loop_find(imagefd, device, sizeof(device), err);

        if (r < 0)
                return r;
        if (r) {
                err_set(err, EX_EXISTS, cannot, "it is attached already", "%s", device);
                return err ? err_remedy(err, "unmount it, or see losetup %s", device) : -EX_EXISTS;
        }
        struct loop_config c = {
                .fd = (uint32_t)imagefd,
                .block_size = o->block_size ? o->block_size : BLOCK_SIZE_OURS,
                .info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR | (o->read_only ? LO_FLAGS_READ_ONLY : 0U),
        };
        return configure(&c, o, ret, err);
}

int image_attach(int imagefd, const struct image_attach_options *o, int *ret_loop, struct err *err)
{
        int r = lock(imagefd, err);

        if (r < 0)
                return r;
        r = attach_locked(imagefd, o, ret_loop, err);
        /* The device holds our open file, so the lock would live as long as it. */
        if (flock(imagefd, LOCK_UN) < 0 && r == 0) {
                *ret_loop = fd_close(*ret_loop);
                return err_sys(err, EX_FAIL, errno, cannot, "lock of the image file");
        }
        return r;
}
