/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The small ground: what a restore of a tree that our engine did not start stands on. A stub as init of a new pid
 * namespace, in a v2 cgroup of its own; all other namespaces are the caller's. The engine's ground is engine/ground.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "checkpoint/session.h"
#include "checkpoint/tape/tracee.h"

#define STUB_SOCK 3

/* In the child: nothing but the socket stays open, then the stub. */
static void become_stub(int sock, int stub)
{
        char *const argv[] = { (char *)(uintptr_t)"gantry-stub", NULL };
        char *const envp[] = { NULL };
        int s = fcntl(sock, F_DUPFD, 64), x = fcntl(stub, F_DUPFD, 65);

        (void)setsid();
        /* Not the keys of whoever restores; a kernel without keys, or a filter around us, has none to give. */
        (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
        if (s < 0 || x < 0 || dup3(s, STUB_SOCK, 0) < 0 || dup3(x, STUB_SOCK + 1, O_CLOEXEC) < 0)
                _exit(126);
        (void)syscall(SYS_close_range, 0, STUB_SOCK - 1, 0);
        (void)syscall(SYS_close_range, STUB_SOCK + 2, ~0u, 0);
        (void)syscall(SYS_execveat, STUB_SOCK + 1, "", argv, envp, AT_EMPTY_PATH);
        _exit(127);
}

int ground_small(struct subject *s, const char *cgroup_path, struct err *err)
{
        struct cgroups *cg = NULL;
        int pair[2] = { -1, -1 };
        int r = cgroups_open(&cg, err);

        if (r < 0)
                return r;
        r = cgroup_create(cg, cgroup_path, err);
        int dir = r < 0 ? r : cgroup_open_v2(cg, cgroup_path, err);
        cgroups_free(cg);
        if (dir < 0)
                return dir;
        _cleanup_close_ int stub = stub_open(err);
        if (stub < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
                close(dir);
                return stub < 0 ? stub : err_sys(err, EX_FAIL, errno, "cannot make the delivery socket", "%s", "");
        }
        int pidfd = -1;
        struct clone_args a = { .flags = (uint64_t)CLONE_NEWPID | (uint64_t)CLONE_PIDFD | CLONE_INTO_CGROUP, .pidfd = (uint64_t)(uintptr_t)&pidfd,
                                .exit_signal = SIGCHLD, .cgroup = (uint64_t)(unsigned)dir };
        pid_t pid = sys_clone3(&a, sizeof(a));
        if (pid == 0)
                become_stub(pair[1], stub);
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                close(dir);
                return err_sys(err, EX_FAIL, (int)pid, "cannot start the stub", "%s", cgroup_path);
        }
        s->init_pidfd = pidfd;
        s->cgroup_fd = dir;
        s->sock = pair[0];
        s->sock_fd = STUB_SOCK;
        /* It must have become the stub before it is seized: the descriptor of the program closes itself on exec. */
        for (unsigned i = 0; i < 20000; i++) {
                int fd = sys_pidfd_getfd(pidfd, STUB_SOCK + 1);
                if (fd == -EBADF)
                        return 0;
                fd_close(fd);
                usleep(500);
        }
        pidfd_end(pidfd);
        return err_set(err, EX_FAIL, "cannot start the stub", "it did not come up", "%s", cgroup_path);
}
