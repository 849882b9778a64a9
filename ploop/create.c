/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making an image: a sparse file, and mke2fs in it.
 *
 * The features are given one by one after "none", so that an image does not depend on the /etc/mke2fs.conf of the node
 * that made it and mounts on Debian 12's kernel. Inode tables and journal are left unwritten (lazy_*_init): the file
 * is new, so they read as zeroes, and the size makes no difference. metadata_csum_seed lets a clone change its UUID
 * while it is mounted. No blocks are reserved for root: nobody inside an idmapped container is that root.
 *
 * mke2fs reopens our own descriptor, its standard input, through /proc, never a path, so that nothing can be put in the file's place.
 * PATH.tmp is locked while it is made: what a killed command left behind is unlocked and gets overwritten. mke2fs outlives a
 * killed command, and so does the lock that came with the descriptor: two of them never write to one file.
 */
#include "ploop/ploop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/sys.h"

#define SIZE_MIN (UINT64_C(16) << 20)
#define SIZE_MAX_FS (UINT64_C(1) << 60) /* ext4's own limit at 4 KiB blocks */
#define FEATURES                                                                                             \
        "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"       \
        "large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed"

static const char cannot[] = "cannot create the image";

static int check_options(const char *path, const struct image_options *o, struct err *err)
{
        if (o->size < SIZE_MIN || o->size > SIZE_MAX_FS || o->size % 4096) {
                err_set(err, EX_USAGE, cannot, "the size is out of range or no multiple of 4096", "%s", path);
                return err ? err_remedy(err, "give a size of 16M or more, in multiples of 4K") : -EX_USAGE;
        }
        if (o->label && strlen(o->label) > 16) {
                err_set(err, EX_USAGE, cannot, "the label is longer than 16 bytes", "%s", path);
                return err ? err_remedy(err, "give a shorter label") : -EX_USAGE;
        }
        return 0;
}

static int exists(const char *path, struct err *err)
{
        err_set(err, EX_EXISTS, cannot, "the file exists", "%s", path);
        return err ? err_remedy(err, "choose another name or remove it") : -EX_EXISTS;
}

static int format_uuid(const unsigned char uuid[16], char ret[37], struct err *err)
{
        static const unsigned char zero[16];
        unsigned char u[16];
        char *p = ret;

        memcpy(u, uuid, sizeof(u));
        if (memcmp(u, zero, sizeof(u)) == 0) {
                if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
                        return err_sys(err, EX_FAIL, errno, cannot, "random UUID");
                u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
                u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
        }
        for (int i = 0; i < 16; i++)
                p += snprintf(p, 4, "%02x%s", u[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
        return 0;
}

static int run_mke2fs(int fd, const char *path, const struct image_options *o, struct err *err)
{
        char uuid[37];
        int r = format_uuid(o->uuid, uuid, err);

        if (r < 0)
                return r;
        const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0",
                              "-O", FEATURES, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
                              "-e", "remount-ro", "-U", uuid, "-L", o->label ? o->label : "", "/proc/self/fd/0", NULL};
        r = spawn_check_in(EX_DISK, argv, fd, err);
        if (r == 0)
                return 0;
        if (err && (strstr(err->why, "No space left") || strstr(err->why, "quota"))) {
                err->code = EX_NOSPC;
                err_remedy(err, "free some space on the host's file system");
        }
        return err ? err_wrap(err, cannot, "%s", path) : r;
}

/* Opens and locks PATH.tmp. The lock tells a file in the making from one that a killed command left. */
static int open_tmp(int dirfd, const char *tmp, int *ret, struct err *err)
{
        struct stat ours, there;
        _cleanup_close_ int fd = path_open(dirfd, tmp, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);

        if (fd < 0)
                return err ? err_wrap(err, cannot, "%s", tmp) : fd;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return err_set(err, EX_LOCKED, cannot, "another command is making it", "%s", tmp);
        /* That command may have finished between our open and our lock, and the name moved on. */
        if (fstat(fd, &ours) < 0 || fstatat(dirfd, tmp, &there, AT_SYMLINK_NOFOLLOW) < 0 || ours.st_ino != there.st_ino ||
            ours.st_dev != there.st_dev)
                return err_set(err, EX_LOCKED, cannot, "another command has just made it", "%s", tmp);
        if (!S_ISREG(ours.st_mode))
                return err_set(err, EX_EXISTS, cannot, "this is no regular file", "%s", tmp);
        *ret = TAKE_FD(fd);
        return 0;
}

static int fill_tmp(int fd, const char *path, const struct image_options *o, struct err *err)
{
        int r = sys_ftruncate(fd, 0);

        if (r == 0)
                r = sys_ftruncate(fd, (off_t)o->size);
        if (r < 0) {
                int ret = err_sys(err, r == -EFBIG ? EX_NOSPC : EX_FAIL, r, cannot, "%s", path);
                if (err)
                        err_remedy(err, r == -EFBIG ? "the host's file system cannot hold a file of that size"
                                                    : "free some space on the host's file system");
                return ret;
        }
        r = run_mke2fs(fd, path, o, err);
        if (r < 0)
                return r;
        r = sys_fsync(fd);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot make the image durable", "%s", path);
        return 0;
}

static int sync_parent(int dirfd, const char *path, struct err *err)
{
        char parent[PATH_MAX];

        str_copy(parent, sizeof(parent), path);
        char *slash = strrchr(parent, '/');
        if (!slash)
                str_copy(parent, sizeof(parent), ".");
        else
                slash[slash == parent] = '\0';
        _cleanup_close_ int fd = path_open(dirfd, parent, O_RDONLY | O_DIRECTORY, 0, err);
        if (fd < 0)
                return fd;
        int r = sys_fsync(fd);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot make the image's name durable", "%s", parent) : 0;
}

int image_create(int dirfd, const char *path, const struct image_options *o, struct err *err)
{
        _cleanup_close_ int fd = -1;
        char tmp[PATH_MAX];
        struct stat st;

        int r = check_options(path, o, err);
        if (r < 0)
                return r;
        if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return exists(path, err);
        if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
                return err_sys(err, EX_USAGE, ENAMETOOLONG, cannot, "%s", path);
        r = open_tmp(dirfd, tmp, &fd, err);
        if (r < 0)
                return r;
        r = fill_tmp(fd, path, o, err);
        if (r == 0) {
                int q = sys_renameat2(dirfd, tmp, dirfd, path, RENAME_NOREPLACE);
                if (q == 0)
                        r = sync_parent(dirfd, path, err);
                if (q == 0 && r == 0)
                        return 0;
                if (q == 0)
                        (void)sys_unlinkat(dirfd, path, 0); /* an image that may be gone after a crash is none */
                else
                        r = q == -EEXIST ? exists(path, err) : err_sys(err, EX_FAIL, q, cannot, "%s", path);
        }
        (void)sys_unlinkat(dirfd, tmp, 0); /* the failure above is what counts */
        return r;
}
