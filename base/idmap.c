/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Id maps (base/idmap.h): arithmetic, writing a namespace's maps, and a namespace that is nothing but a map.
 *
 * An idmapped mount (5.12) takes its map from a user namespace. A namespace lives as long as a descriptor of it, so
 * a child enters a new one, its maps are written from outside, its nsfs file is opened, and the child ends.
 */
#include "base/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/sys.h"

bool idmap_inside(const struct idmap *m, uint32_t outside, uint32_t *ret)
{
        if (!m) {
                *ret = outside;
                return true;
        }
        if (outside < m->base || outside - m->base >= m->count)
                return false;
        *ret = outside - m->base;
        return true;
}

bool idmap_outside(const struct idmap *m, uint32_t inside, uint32_t *ret)
{
        uint32_t v;

        if (!m) {
                *ret = inside;
                return true;
        }
        if (inside >= m->count || __builtin_add_overflow(m->base, inside, &v))
                return false;
        *ret = v;
        return true;
}

int idmap_write(const struct idmap *m, pid_t pid, struct err *err)
{
        static const char *const files[] = {"uid_map", "gid_map"};
        char path[64], text[64];

        snprintf(text, sizeof(text), "0 %u %u\n", m->base, m->count);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
                int r = path_write(AT_FDCWD, path, text, err);
                if (r < 0)
                        return err_wrap(err, "cannot set an id map", "0 to %u, %u ids", m->base, m->count);
        }
        return 0;
}

/* Lives until the other end of the pipe is closed; only system calls, the process may have had threads. */
static void wait_for_end(const int pipefd[2]) __attribute__((noreturn));

static void wait_for_end(const int pipefd[2])
{
        char c;
        ssize_t r;

        close(pipefd[1]);
        do
                r = read(pipefd[0], &c, 1);
        while (r < 0 && errno == EINTR);
        _exit(0);
}

static int open_userns(const struct idmap *m, pid_t pid, struct err *err)
{
        char path[64];
        int r = idmap_write(m, pid, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        return path_open(AT_FDCWD, path, O_RDONLY, 0, err);
}

int idmap_userns(const struct idmap *m, struct err *err)
{
        _cleanup_close_ int rd = -1, wr = -1, pidfd = -1;
        struct clone_args args = {
                .flags = CLONE_NEWUSER | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)&pidfd,
                .exit_signal = SIGCHLD,
        };
        sigset_t all, old;
        int pipefd[2];

        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a pipe", "%s", "for an id map");
        rd = pipefd[0];
        wr = pipefd[1];
        sigfillset(&all);
        if (sigprocmask(SIG_BLOCK, &all, &old) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot block signals", "%s", "for an id map");
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                wait_for_end(pipefd);
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make a user namespace", "%u ids at %u", m->count, m->base);
        int fd = open_userns(m, pid, err);
        wr = fd_close(wr); /* it ends by this, unless another process that was forked meanwhile holds the pipe too */
        if (pidfd_wait(pidfd, 1000, NULL, NULL) != 0)
                pidfd_end(pidfd);
        return fd;
}
