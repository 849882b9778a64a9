/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container as the subject of a session: what only the engine can say or provide (outside_ops).
 *
 * Claimed mounts are the three trees handed in at start (trees.c), told by the device numbers that the run state keeps:
 * a tmpfs that the container itself puts on /dev is its own. Only the mount at its place with the whole tree is the
 * external; a bind of a part of it elsewhere is an ordinary record. Everything else inside is a record.
 *
 * The seccomp filter of a dump is the one that its start has loaded (kept in the run directory), that of a restore is
 * made anew: limits and confinement come from this node, never from an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "engine/ground-int.h"

struct outside {
        struct ct *ct;
        struct ground *g;           /* NULL: a dump */
        struct nl *nl;
        struct filter filter;
        dev_t dev[TREE_N];
};

static int claim_mount(void *ctx, const struct mountinfo *m, char ret_name[64])
{
        static const struct { const char *target, *root; } at[TREE_N] = {
                [TREE_ROOT] = {"/", "/"},
                [TREE_DEV] = {"/dev", "/"},
                [TREE_BOOT_ID] = {"/proc/sys/kernel/random/boot_id", "/boot_id"},
        };
        const struct outside *o = ctx;

        for (int i = 0; i < TREE_N; i++) {
                if (makedev(m->major, m->minor) != o->dev[i] || !str_eq(m->target, at[i].target) || !str_eq(m->root, at[i].root))
                        continue;
                str_copy(ret_name, 64, tree_name((enum tree)i));
                return 1;
        }
        return 0;
}

static int open_external(void *ctx, const char *name, int *ret_fd, struct err *err)
{
        struct outside *o = ctx;

        for (int i = 0; o->g && i < TREE_N; i++) {
                if (!str_eq(name, tree_name((enum tree)i)))
                        continue;
                if (o->g->tree[i] < 0)
                        return err_set(err, EX_IMAGE, "cannot provide a mount", "it is asked for twice, or before it was made", "%s", name);
                *ret_fd = TAKE_FD(o->g->tree[i]);
                return 0;
        }
        return err_set(err, EX_IMAGE, "cannot provide what the image names", "the engine has nothing of that name", "%s", name);
}

static int console(void *ctx, int master_fd, struct err *err)
{
        struct outside *o = ctx;

        if (!o->g || o->g->console >= 0) {
                fd_close(master_fd);
                return err_set(err, EX_IMAGE, "cannot take the console", "it came twice", "%s", o->ct->name);
        }
        o->g->console = master_fd;
        return 0;
}

static int network(void *ctx, bool blocked, struct err *err)
{
        struct outside *o = ctx;

        if (!ground_has_link(o->ct))
                return 0;
        if (!o->nl) {
                int r = nl_open(&o->nl, err);
                if (r < 0)
                        return r;
        }
        return nl_port_block(o->nl, o->ct->port, blocked, err);
}

static int seccomp_filter(void *ctx, const void **ret_insns, size_t *ret_n, struct err *err)
{
        struct outside *o = ctx;

        if (!o->filter.insns) {
                int r = filter_get(o->ct->run, "seccomp", &o->filter, err);
                if (r < 0)
                        return r;
        }
        *ret_insns = o->filter.insns;
        *ret_n = o->filter.n;
        return 0;
}

/* Asked by a dump's guard after we have died: only the file knows. */
static int offered(void *ctx)
{
        struct outside *o = ctx;
        struct journal j;

        return ct_journal_get(o->ct, &j, NULL) == 0 && j.owner == OWNER_OFFERED;
}

static const struct outside_ops ops = {
        .claim_mount = claim_mount,
        .open_external = open_external,
        .console = console,
        .network = network,
        .seccomp = seccomp_filter,
        .offered = offered,
};

/* Its root directory, for sync and freeze of the file system. */
static int open_root(int pidfd, struct err *err)
{
        char path[64];
        pid_t pid;
        int r = pidfd_pid(pidfd, &pid, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/root", pid);
        return path_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
}

static int fill(struct ct *ct, struct ground *g, int pidfd, struct subject *s, struct err *err)
{
        s->init_pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (s->init_pidfd < 0)
                return err_sys(err, EX_FAIL, errno, "cannot keep a pidfd", "%s", ct->name);
        s->cgroup_fd = ct_payload(ct, err);
        if (s->cgroup_fd < 0)
                return s->cgroup_fd;
        if (g) {
                s->sock = g->sock;
                s->sock_fd = STUB_SOCK;
                return 0;
        }
        s->root_fd = open_root(pidfd, err);
        if (s->root_fd < 0)
                return s->root_fd;
        s->fssync_fd = fcntl(s->root_fd, F_DUPFD_CLOEXEC, 3);
        return s->fssync_fd < 0 ? err_sys(err, EX_FAIL, errno, "cannot keep a descriptor", "%s", ct->name) : 0;
}

int subject_fill(struct ct *ct, struct ground *g, int pidfd, struct subject *ret, struct err *err)
{
        struct run_state st = {};
        struct subject s = {.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .sock = -1, .sock_fd = -1, .fssync_fd = -1,
                            .ids = &ct->conf.idmap, .console_index = 0, .caps = confine_caps(),
                            .memory_limit = ct->conf.limits.memory, .uuid = ct->conf.uuid, .outside = &ops, .log = ct->node->log};
        struct outside *o = calloc(1, sizeof(*o));

        if (!o)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot look at the container", "%s", ct->name);
        *o = (struct outside){.ct = ct, .g = g};
        s.ctx = o;
        int r = g ? 0 : state_get(ct, &st, err);
        if (r == 1)
                r = err_set(err, EX_STATE, "cannot look at the container", "it is not running", "%s", ct->name);
        o->dev[TREE_ROOT] = g ? g->dev[TREE_ROOT] : st.root_dev;
        o->dev[TREE_DEV] = g ? g->dev[TREE_DEV] : st.dev_dev;
        o->dev[TREE_BOOT_ID] = g ? g->dev[TREE_BOOT_ID] : st.boot_dev;
        if (r == 0)
                r = fill(ct, g, pidfd, &s, err);
        if (r == 0 && !g)
                r = sleepers_open(&s.sleepers, err);
        if (r < 0) { /* 1: the ends of sleeps cannot be told here */
                subject_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}

int ct_subject(struct ct *ct, struct subject *ret, struct err *err)
{
        _cleanup_close_ int pidfd = ct_init_pidfd(ct, err);

        return pidfd < 0 ? pidfd : subject_fill(ct, NULL, pidfd, ret, err);
}

void subject_done(struct subject *s)
{
        struct outside *o = s->ctx;

        fd_close(s->init_pidfd);
        fd_close(s->cgroup_fd);
        fd_close(s->root_fd);
        fd_close(s->fssync_fd);
        sleepers_close(s->sleepers);
        if (o) {
                nl_free(o->nl);
                free(o->filter.insns);
                free(o);
        }
        *s = (struct subject){.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .sock = -1, .sock_fd = -1, .fssync_fd = -1};
}
