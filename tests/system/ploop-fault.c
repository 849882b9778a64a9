/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ploop-fault DIR: attaches and mounts an image in DIR, tracks, freezes and thaws it, with every system call of that
 * failing once. Each failure must be told and leave no descriptor, no attached device and no frozen file system.
 *
 * Needs root and a mount namespace of its own. Ends with 0, or 1 after saying which step did what.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "ploop/ploop.h"
#include "tests/sys_fault.h"

static size_t open_fds(void)
{
        _cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        while (d && readdir(d))
                n++;
        return n;
}

static int track(int loop, uint64_t size, struct err *err)
{
        struct track *t = NULL;
        struct range *at = NULL;
        size_t n = 0;
        int r = track_new(loop, size, &t, err);

        if (r == 0)
                r = track_take(t, &at, &n, err);
        if (r == 0)
                r = track_drain(t, err);
        if (r == 0)
                r = track_check(t, err);
        free(at);
        track_free(t);
        return r;
}

static int frozen(int loop, int mount, uint64_t size, struct err *err)
{
        int r = image_freeze(mount, err);

        if (r < 0)
                return r;
        r = track(loop, size, err);
        /* As every caller must: thaw until it is thawed. */
        int q = image_thaw(mount, r ? NULL : err);
        if (q < 0)
                (void)image_thaw(mount, NULL);
        return r ? r : q;
}

static int sequence(int dir, struct err *err)
{
        struct image_attach_options o = {.minor = -1};
        static const struct idmap ids = {.base = 100000, .count = 65536};
        _cleanup_close_ int loop = -1, mount = -1;
        struct disk_info info;
        _cleanup_close_ int fd = path_open(dir, "fault.img", O_RDWR, 0, err);

        if (fd < 0)
                return fd;
        int r = image_attach(fd, &o, &loop, err);
        if (r == 0)
                r = disk_info(fd, &info, err);
        if (r == 0)
                r = image_mount(loop, false, &ids, &mount, err);
        if (r == 0)
                r = image_sync(mount, err);
        return r < 0 ? r : frozen(loop, mount, info.size, err);
}

/* The device lets go a moment after the last close. */
static bool is_attached(int dir)
{
        const struct timespec pause = {.tv_nsec = 10000000};
        struct disk_info info = {};
        _cleanup_close_ int fd = path_open(dir, "fault.img", O_RDONLY, 0, NULL);

        for (int i = 0; i < 200; i++) {
                if (disk_info(fd, &info, NULL) == 0 && !info.attached)
                        return false;
                nanosleep(&pause, NULL);
        }
        return true;
}

static int step(int dir, unsigned long k, bool *ret_fired)
{
        size_t fds = open_fds();
        struct err err = {};
        char line[640];

        sys_fault_arm(k, EIO);
        int r = sequence(dir, &err);
        sys_fault_disarm();
        *ret_fired = sys_fault_fired();
        const char *wrong = NULL;
        /* The helper that holds an id map ends by itself when it cannot be killed; nobody has waited for it then. */
        bool unkilled = *ret_fired && strcmp(sys_fault_name(), "pidfd_send_signal") == 0;
        if (unkilled && waitpid(-1, NULL, 0) < 0)
                wrong = "lost a child";
        else if (open_fds() != fds)
                wrong = "leaks a descriptor";
        else if (is_attached(dir))
                wrong = "leaves the image attached";
        else if (waitpid(-1, NULL, WNOHANG) >= 0)
                wrong = "leaves a child";
        else if (*ret_fired && !r && !unkilled)
                wrong = "went unnoticed";
        else if (r && !err_is_set(&err))
                wrong = "fails without a text";
        else if (!*ret_fired && r)
                wrong = err_format(&err, line, sizeof(line));
        if (!wrong)
                return 0;
        fprintf(stderr, "ploop-fault: step %lu (%s) %s\n", k, sys_fault_name(), wrong);
        return 1;
}

int main(int argc, char **argv)
{
        struct image_options o = {.size = UINT64_C(64) << 20};
        struct err err = {};
        char line[640];
        bool fired = true;
        int bad = 0;

        _cleanup_close_ int dir = argc == 2 ? path_open(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY, 0, &err) : -1;
        if (dir < 0 || image_create(dir, "fault.img", &o, &err) < 0) {
                fprintf(stderr, "usage: ploop-fault DIR (%s)\n", err_format(&err, line, sizeof(line)));
                return 2;
        }
        unsigned long k = 1;
        for (; fired && k < 500; k++)
                bad += step(dir, k, &fired);
        if (k < 20) {
                fprintf(stderr, "ploop-fault: only %lu calls were swept\n", k);
                bad++;
        }
        (void)unlinkat(dir, "fault.img", 0);
        return bad ? 1 : 0;
}
