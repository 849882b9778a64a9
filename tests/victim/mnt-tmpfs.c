/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tmpfs with everything that one can hold, one with another mount on a directory and on a file of it, which hide something, and one
 * that is read-only. Runs in a container (tests/victim/mount-table.h).
 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "tests/victim/mount-table.h"

#define BIG ((size_t)700000)
#define SPARSE ((off_t)900000)

static void fill(uint8_t *big)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/t/sub/socket"};
        struct timespec old[2] = {{.tv_sec = 999999999, .tv_nsec = 5}, {.tv_sec = 1000000000, .tv_nsec = 123456789}};
        int s = socket(AF_UNIX, SOCK_STREAM, 0);

        VICTIM_MUST(mkdir("/t/sub", 02750) == 0 && mkdir("/t/sub/deep", 0555) == 0 && mkdir("/t/empty", 01777) == 0);
        VICTIM_MUST(chmod("/t/sub", 02750) == 0 && chmod("/t/empty", 01777) == 0);
        must_write("/t/small", "small", 5);
        must_write("/t/nothing", "", 0);
        must_write("/t/big", big, BIG);
        VICTIM_MUST(chmod("/t/small", 04711) == 0 && chown("/t/nothing", 12, 34) == 0 && link("/t/small", "/t/sub/second") == 0);
        VICTIM_MUST(symlink("/nowhere/at/all", "/t/link") == 0 && mkfifo("/t/fifo", 0620) == 0);
        VICTIM_MUST(s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && close(s) == 0);
        VICTIM_MUST(mknod("/t/white", S_IFCHR | 0600, makedev(0, 0)) == 0);
        int sparse = open("/t/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600), flags = FS_NODUMP_FL;
        VICTIM_MUST(sparse >= 0 && ftruncate(sparse, SPARSE) == 0 && pwrite(sparse, "x", 1, SPARSE / 2) == 1);
        VICTIM_MUST(ioctl(sparse, FS_IOC_SETFLAGS, &flags) == 0 || errno == ENOTTY);   /* tmpfs: 6.6 */
        VICTIM_MUST(close(sparse) == 0);
        VICTIM_MUST(utimensat(AT_FDCWD, "/t/small", old, 0) == 0 && utimensat(AT_FDCWD, "/t/sub", old, 0) == 0);
        VICTIM_MUST(utimensat(AT_FDCWD, "/t/link", old, AT_SYMLINK_NOFOLLOW) == 0);
}

static void check_fill(struct victim *v, const uint8_t *big)
{
        struct stat a, b;

        VICTIM_CHECK(v, stat("/t/small", &a) == 0 && stat("/t/sub/second", &b) == 0 && a.st_ino == b.st_ino && a.st_nlink == 2,
                     "two names of one file are two files");
        VICTIM_CHECK(v, a.st_mtim.tv_sec == 1000000000 && a.st_mtim.tv_nsec == 123456789, "a file's time is lost");
        VICTIM_CHECK(v, a.st_atim.tv_sec == 999999999 && a.st_atim.tv_nsec == 5, "when a file was read is lost: %lld", (long long)a.st_atim.tv_sec);
        int sparse = open("/t/sparse", O_RDONLY | O_CLOEXEC), flags = 0;
        VICTIM_CHECK(v, sparse >= 0 && fstat(sparse, &a) == 0 && a.st_size == SPARSE && a.st_blocks <= 16, "a hole is full: %lld blocks", (long long)a.st_blocks);
        VICTIM_CHECK(v, ioctl(sparse, FS_IOC_GETFLAGS, &flags) < 0 ? errno == ENOTTY : flags == FS_NODUMP_FL, "an attribute is lost: %x", (unsigned)flags);
        close(sparse);
        VICTIM_CHECK(v, stat("/t/sub", &a) == 0 && a.st_mtim.tv_sec == 1000000000, "a directory's time is lost");
        VICTIM_CHECK(v, lstat("/t/link", &a) == 0 && a.st_mtim.tv_sec == 1000000000, "a link's time is lost");
        char target[32] = "";
        VICTIM_CHECK(v, readlink("/t/link", target, sizeof(target) - 1) == 15 && strcmp(target, "/nowhere/at/all") == 0, "a link leads to '%s'", target);
        VICTIM_CHECK(v, holds("/t/small", "small", 5) && holds("/t/nothing", "", 0), "small files are not what they were");
        VICTIM_CHECK(v, holds("/t/big", big, BIG), "the large file is not what it was");
}

int main(int argc, char **argv)
{
        static struct table t;
        static struct listing top, sub, run;
        static uint8_t big[BIG];
        struct stat place;
        struct victim v;

        victim_begin(&v, argc, argv);
        for (size_t i = 0; i < BIG; i++)
                big[i] = (uint8_t)(i * 7 + i / 4099);
        VICTIM_MUST(mkdir("/t", 0755) == 0 && mkdir("/c", 0755) == 0 && mkdir("/r", 0755) == 0);
        VICTIM_MUST(mount("mine", "/t", "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=1710,uid=3,gid=4,nr_inodes=100") == 0);
        VICTIM_MUST(mount("cover", "/c", "tmpfs", MS_NOEXEC, "") == 0);
        VICTIM_MUST(mkdir("/c/over", 0700) == 0);
        must_write("/on-disk", "on the disk", 11);
        must_write("/c/over/hidden", "hidden", 6);
        must_write("/c/file", "hidden", 6);
        VICTIM_MUST(mount("on", "/c/over", "tmpfs", 0, "") == 0 && mount("/on-disk", "/c/file", NULL, MS_BIND, NULL) == 0);
        VICTIM_MUST(mount(NULL, "/c/file", NULL, MS_PRIVATE, NULL) == 0);
        must_write("/c/over/seen", "seen", 4);
        VICTIM_MUST(mount("sealed", "/r", "tmpfs", 0, "") == 0);
        must_write("/r/in", "sealed", 6);
        VICTIM_MUST(mount("sealed", "/r", NULL, MS_REMOUNT | MS_RDONLY, "") == 0);
        must_write("/run/of-the-engine", "run", 3);
        fill(big);
        listing_read(&top, "/t");
        listing_read(&sub, "/t/sub");
        listing_read(&run, "/run");
        table_read(&t);

        victim_wait(&v);

        table_check(&v, &t);
        listing_check(&v, &top, "/t");
        listing_check(&v, &sub, "/t/sub");
        listing_check(&v, &run, "/run");
        check_fill(&v, big);
        VICTIM_CHECK(&v, holds("/c/over/seen", "seen", 4) && access("/c/over/hidden", F_OK) < 0, "what covers a directory is lost");
        VICTIM_CHECK(&v, holds("/c/file", "on the disk", 11), "what covers a file is lost");
        VICTIM_CHECK(&v, holds("/r/in", "sealed", 6), "a read-only tmpfs is empty");
        VICTIM_CHECK(&v, mkdir("/r/dir", 0700) < 0 && errno == EROFS, "a read-only tmpfs is not");
        VICTIM_CHECK(&v, holds("/run/of-the-engine", "run", 3), "/run is empty");
        VICTIM_CHECK(&v, umount("/c/file") == 0 && umount("/c/over") == 0, "what covers cannot be taken away: %s", strerror(errno));
        VICTIM_CHECK(&v, holds("/c/file", "hidden", 6) && holds("/c/over/hidden", "hidden", 6), "what was hidden is lost");
        VICTIM_CHECK(&v, stat("/c/over", &place) == 0 && place.st_mode == (S_IFDIR | 0700), "a hidden directory has mode %o", place.st_mode);
        return victim_end(&v);
}
