/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks between commands: flock on files below /run/gantry.
 *
 * The lock belongs to the open file description: it is inherited over fork, so that a command and the worker that
 * it started hold it together, and the kernel lets go when the last of them is gone, kill -9 included. Who holds it
 * EXCLUSIVE writes its pid into the file, for messages only. A monitor that cleans up holds it for milliseconds; so a
 * taken lock is tried again for a moment before it is reported.
 *
 * A lock file is removed with its container: after the lock is taken, the file must still be the one at that path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/timer.h"
#include "engine/ct-int.h"

static int taken(int fd, const char *what, struct err *err)
{
        char text[24] = "";
        int64_t n = sys_pread(fd, text, sizeof(text) - 1, 0);
        const char *p = text;
        uint64_t pid;

        err_set(err, EX_LOCKED, "another command holds it", "", "%s", what);
        if (n > 0 && scan_u64(&p, &pid))
                err_why(err, "process %llu is at work on it", (unsigned long long)pid);
        else
                err_why(err, "another process is reading it");
        return err_remedy(err, "wait until that command has ended");
}

static bool same_file(int fd, int dirfd, const char *path)
{
        struct stat ours, there;

        return fstat(fd, &ours) == 0 && fstatat(dirfd, path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
               ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int take(int fd, enum ct_lock mode, unsigned ms, const char *what, struct err *err)
{
        struct timespec nap = {.tv_nsec = 5000000};
        uint64_t until = now_ns() + (uint64_t)ms * 1000000;

        while (flock(fd, (mode == CT_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return err_sys(err, EX_FAIL, errno, "cannot lock", "%s", what);
                if (now_ns() >= until)
                        return taken(fd, what, err);
                (void)nanosleep(&nap, NULL);
        }
        return 0;
}

int lock_file(int dirfd, const char *path, enum ct_lock mode, unsigned ms, const char *what, struct err *err)
{
        char text[24];

        for (;;) {
                _cleanup_close_ int fd = path_open(dirfd, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
                if (fd < 0)
                        return fd;
                int r = take(fd, mode, ms, what, err);
                if (r < 0)
                        return r;
                if (!same_file(fd, dirfd, path))
                        continue;
                if (mode == CT_LOCK_EXCLUSIVE) {
                        int n = snprintf(text, sizeof(text), "%d\n", getpid());
                        if (sys_ftruncate(fd, 0) < 0 || sys_pwrite(fd, text, (size_t)n, 0) != n)
                                return err_set(err, EX_NOSPC, "cannot lock", "its file cannot be written", "%s", what);
                }
                return TAKE_FD(fd);
        }
}
