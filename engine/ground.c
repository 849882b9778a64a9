/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ground of a container, seen from outside (ct.h): what start and restore have in common.
 *
 *      ct_ground          mark · monitor's lock · cgroup, limits · clone in seven namespaces, into the cgroup · id maps ·
 *                         cgroup namespace · link, port blocked
 *      ground_image       image attached and mounted, /dev and boot id made: detached mounts
 *      START              ground_mounts (handed in, the console's master comes back) · commit · port on · ground_go
 *      RESTORE            ground_subject (the stub is executed) · the session … · commit · session_go
 *      ground_monitor     exec of ctrmon
 *
 * Invariants: (1) before anything exists that would stay after a kill -9 (cgroup directories; a link whose inside end has
 * moved goes with its namespace), RUN_DIR/NAME/ground is there, and the next command removes both; (2) mounts are detached
 * descriptors of this process until the child has them: nothing else can hold the image, and autoclear frees the loop device
 * with the last of them; (3) the child ends when its socket does; (4) the run state is written before init executes its
 * first instruction.
 *
 * The payload's directory and its three delegation files belong to the container's root, which may divide there what it has;
 * limits are one level up, where it cannot write.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/tape/tracee.h"
#include "engine/command.h"
#include "engine/ground-int.h"

static const char cannot[] = "cannot make the ground of the container";

/* ---- talking to the child ---- */

/* 0: done, *ret_fd as it came (or -1). 1: the socket ended, which is what a successful execve does. */
static int hear(struct ground *g, int *ret_fd, struct err *err)
{
        struct answer a = {};
        size_t len = 0, n = 0;
        int fd = -1;
        int r = fd_recv(g->ctl, &a, sizeof(a), &len, &fd, 1, &n, err);

        if (r)
                return r;
        if (len != sizeof(a) || (a.ok && err_is_set(&a.err))) {
                fd_close(fd);
                return err_set(err, EX_FAIL, cannot, "its first process answers nonsense", "%s", g->ct->name);
        }
        if (!a.ok)
                return err_take(err, &a.err);
        if (ret_fd)
                *ret_fd = fd;
        else
                fd_close(fd);
        return 0;
}

static int tell(struct ground *g, enum tell what, const int fd[], size_t n, int *ret_fd, struct err *err)
{
        char c = (char)what;
        struct err sent = {};
        int r = fd_send(g->ctl, &c, 1, fd, n, &sent);

        if (r < 0 && (sent.sys == EPIPE || sent.sys == ECONNRESET))
                return err_set(err, EX_FAIL, cannot, "its first process died", "%s", g->ct->name);
        if (r < 0)
                return err_take(err, &sent);
        r = hear(g, ret_fd, err);
        if (r == 1 && what != TELL_GO && what != TELL_STUB)
                r = err_set(err, EX_FAIL, cannot, "its first process died", "%s", g->ct->name);
        if (r == 0 && (what == TELL_GO || what == TELL_STUB))
                r = err_set(err, EX_FAIL, cannot, "its first process did not execute", "%s", g->ct->name);
        return r < 0 ? r : 0;
}

/* ---- making it ---- */

static int delegate(int payload, const struct idmap *ids, struct err *err)
{
        static const char *const files[] = {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"};

        if (fchown(payload, ids->base, ids->base) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot give the container its cgroup", "%s", V2_LEAF);
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                if (fchownat(payload, files[i], ids->base, ids->base, 0) < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot give the container its cgroup", "%s", files[i]);
        return 0;
}

static int make_cgroup(struct ct *ct, int *ret_payload, struct err *err)
{
        struct cgroups *c = node_cgroups(ct->node, err);

        if (!c)
                return err_result(err);
        int r = cgroup_create(c, ct->cgroup, err);
        if (r == 0)
                r = cgroup_delegate(c, ct->cgroup, err);
        if (r == 0)
                r = cgroup_limits(c, ct->cgroup, &ct->conf.limits, err);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = ct_payload(ct, err);
        r = fd < 0 ? fd : delegate(fd, &ct->conf.idmap, err);
        if (r == 0)
                *ret_payload = TAKE_FD(fd);
        return r;
}

static int clone_child(struct ground *g, int payload, struct err *err)
{
        struct clone_args args = {
                .flags = (uint64_t)CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD |
                         (uint64_t)CLONE_INTO_CGROUP,
                .pidfd = (uint64_t)(uintptr_t)&g->pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = (unsigned)payload,
        };
        sigset_t all, old;
        int sv[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
                return err_sys(err, EX_FAIL, errno, cannot, "%s", g->ct->name);
        g->ctl = sv[0];
        sigfillset(&all);
        if (sigprocmask(SIG_BLOCK, &all, &old) < 0) {
                fd_close(sv[1]);
                return err_sys(err, EX_FAIL, errno, cannot, "%s", g->ct->name);
        }
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0)
                child_main(g, sv[1]);
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        fd_close(sv[1]);
        if (pid < 0)
                return err_sys(err, EX_FAIL, pid, "cannot make the container's namespaces", "%s", g->ct->name);
        g->pid = pid;
        return 0;
}

static int prepare(struct ground *g, struct err *err)
{
        struct ct *ct = g->ct;
        int r = path_replace(ct->run, "ground", "", 0, 0644, err);

        if (r < 0)
                return r;
        r = g->monitor = monitor_lock(ct, err);
        if (r >= 0)
                r = confine_filter(&g->filter, err);
        if (r == 0)
                r = filter_put(ct->run, "seccomp", &g->filter, err);
        if (r == 0 && g->purpose == GROUND_START)
                r = command_split(ct->conf.init, &g->argv, err);
        return r;
}

static int build(struct ground *g, struct err *err)
{
        struct ct *ct = g->ct;
        _cleanup_close_ int payload = -1;
        int r = prepare(g, err);

        if (r == 0)
                r = make_cgroup(ct, &payload, err);
        if (r == 0)
                r = clone_child(g, payload, err);
        if (r == 0)
                r = idmap_write(&ct->conf.idmap, g->pid, err);
        if (r == 0)
                r = cgroup_attach(ct->node->cg, ct->cgroup, V2_LEAF, g->pid, err);
        if (r == 0)
                r = tell(g, TELL_IDS, NULL, 0, NULL, err);
        return r == 0 ? ground_net(g, err) : r;
}

int ct_ground(struct ct *ct, enum ground_for purpose, struct ground **ret, struct err *err)
{
        int r = ct_need_lock(ct, cannot, err);

        if (r == 0)
                r = ct_tidy(ct, err);
        if (r == 0 && ct_has_traces(ct)) {
                err_set(err, EX_STATE, cannot, "it is running", "%s", ct->name);
                return err_remedy(err, "stop it first: ctrctl stop %s", ct->name);
        }
        if (r < 0)
                return r;
        struct ground *g = calloc(1, sizeof(*g));
        if (!g)
                return err_sys(err, EX_FAIL, ENOMEM, cannot, "%s", ct->name);
        *g = (struct ground){.ct = ct, .purpose = purpose, .pidfd = -1, .ctl = -1, .sock = -1, .console = -1, .monitor = -1,
                             .keeper = -1, .keeper_pipe = -1,
                             .tree = {-1, -1, -1}};
        r = build(g, err);
        if (r < 0) {
                ground_undo(g);
                return r;
        }
        log_debug(ct->node->log, LOG_ENGINE, "%s: ground made, first process %d", ct->name, g->pid);
        *ret = g;
        return 0;
}

int ground_image(struct ground *g, struct err *err)
{
        int r = tree_root(g->ct, &g->tree[TREE_ROOT], err);

        if (r == 0)
                r = tree_dev(&g->ct->conf.idmap, &g->tree[TREE_DEV], err);
        if (r == 0)
                r = tree_boot_id(g->ct, &g->tree[TREE_BOOT_ID], err);
        for (int i = 0; r == 0 && i < TREE_N; i++) {
                struct stat st;
                if (fstat(g->tree[i], &st) < 0)
                        r = err_sys(err, EX_FAIL, errno, cannot, "%s", tree_name((enum tree)i));
                else
                        g->dev[i] = st.st_dev;
        }
        return r;
}

int ground_mounts(struct ground *g, struct err *err)
{
        int r = tell(g, TELL_MOUNT, g->tree, TREE_N, &g->console, err);

        if (r < 0)
                return r;
        for (int i = 0; i < TREE_N; i++)
                g->tree[i] = fd_close(g->tree[i]);
        if (g->console < 0)
                return err_set(err, EX_FAIL, cannot, "no console came", "%s", g->ct->name);
        return 0;
}

int ground_go(struct ground *g, struct err *err)
{
        int r = tell(g, TELL_GO, NULL, 0, NULL, err);

        if (r == 0)
                g->ctl = fd_close(g->ctl);
        return r;
}

static int exec_stub(struct ground *g, struct err *err)
{
        _cleanup_close_ int stub = -1, theirs = -1;
        int sv[2];

        if (g->sock >= 0)
                return 0; /* done before */
        stub = stub_open(err);
        if (stub < 0)
                return stub;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
                return err_sys(err, EX_FAIL, errno, cannot, "%s", g->ct->name);
        g->sock = sv[0];
        theirs = sv[1];
        int r = tell(g, TELL_STUB, (int[]){stub, theirs}, 2, NULL, err);
        if (r == 0)
                g->ctl = fd_close(g->ctl);
        return r;
}

int ground_subject(struct ground *g, struct subject *ret, struct err *err)
{
        if (g->purpose != GROUND_RESTORE)
                return err_set(err, EX_FAIL, cannot, "a start has no subject", "%s", g->ct->name);
        int r = exec_stub(g, err);

        return r < 0 ? r : subject_fill(g->ct, g, g->pidfd, ret, err);
}

int ground_commit(struct ground *g, struct err *err)
{
        struct run_state s;
        int r = state_of_pid(g->pid, &s, err);

        if (r < 0)
                return r;
        s.root_dev = g->dev[TREE_ROOT];
        s.dev_dev = g->dev[TREE_DEV];
        s.boot_dev = g->dev[TREE_BOOT_ID];
        return state_put(g->ct, &s, err);
}

int ground_monitor(struct ground *g, struct err *err)
{
        keeper_end(g, true);
        return monitor_exec(g->ct, g->pidfd, g->console, g->monitor, err);
}

void ground_undo(struct ground *g)
{
        if (!g)
                return;
        keeper_end(g, false);
        fd_close(g->ctl);
        fd_close(g->sock);
        if (g->pidfd >= 0)
                pidfd_end(g->pidfd);
        fd_close(g->pidfd);
        fd_close(g->console);
        for (int i = 0; i < TREE_N; i++)
                fd_close(g->tree[i]);
        (void)ct_cleanup(g->ct, NULL); /* what is left is for the next command: the mark is still there */
        fd_close(g->monitor);
        free(g->filter.insns);
        free(g->argv);
        free(g);
}
