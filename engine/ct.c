/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a container, and putting right what a killed command left of it.
 *
 * Nothing of a container is a process of ours that must live: so every command, when it opens one with the lock, first
 * looks whether the run directory tells of something that is no longer there (state or ground mark without a living
 * init) and removes it, or finds a running container whose monitor died and starts another. A command that only looks
 * does the same if it can have the lock at once; if not, whoever holds it is at work.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timer.h"
#include "engine/config.h"
#include "engine/ct-int.h"

#define LOCK_MS 1000
#define KILL_MS 5000
#define ENDING_MS 500

void ct_dirname(const char *name, bool incoming, char ret[CT_NAME_MAX + sizeof(INCOMING)])
{
        snprintf(ret, CT_NAME_MAX + sizeof(INCOMING), "%s%s", name, incoming ? INCOMING : "");
}

int ct_reload(struct ct *ct, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        char dir[CT_NAME_MAX + sizeof(INCOMING)], file[sizeof(dir) + 40];
        struct ct_config c;
        struct err inner = {};
        size_t len;

        ct_dirname(ct->name, ct->incoming, dir);
        snprintf(file, sizeof(file), LIB_DIR "/ct/%s/" CT_CONF, dir);
        if (path_read(ct->dir, CT_CONF, &text, &len, &inner) < 0) {
                err_set(err, EX_CONFIG, "cannot read the configuration", inner.why, "%s", file);
                return err_remedy(err, "put it back from a backup, or remove its directory if nobody needs this container");
        }
        int r = ct_config_parse(text, len, file, &c, err);
        if (r < 0)
                return r;
        if (!c.hostname[0])
                str_copy(c.hostname, sizeof(c.hostname), ct->name);
        if (!c.bridge[0])
                str_copy(c.bridge, sizeof(c.bridge), ct->node->conf.bridge);
        ct_config_done(&ct->conf);
        free(ct->text);
        ct->conf = c;
        ct->text = TAKE_PTR(text);
        snprintf(ct->port, sizeof(ct->port), "vz%.8s", ct->conf.uuid);
        return 0;
}

static int open_dirs(struct ct *ct, struct err *err)
{
        char dir[CT_NAME_MAX + sizeof(INCOMING)];

        ct_dirname(ct->name, ct->incoming, dir);
        struct err e = {};
        ct->dir = path_open(ct->node->cts, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &e);
        if (ct->dir < 0 && e.sys == ENOENT) {
                err_set(&e, EX_UNKNOWN, "no such container", "this node has none of that name", "%s", ct->name);
                err_remedy(&e, "see ctrctl list");
        }
        if (ct->dir < 0)
                return err_take(err, &e);
        int r = path_mkdir_p(ct->node->run, ct->name, 0755, err);
        if (r == 0)
                r = ct->run = path_open(ct->node->run, ct->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
        return r < 0 ? r : 0;
}

static int take_lock(struct ct *ct, enum ct_lock lock, unsigned ms, struct err *err)
{
        ct->lock = lock_file(ct->run, "lock", lock, ms, ct->name, err);
        if (ct->lock < 0)
                return ct->lock;
        ct->mode = lock;
        return 0;
}

/* Something is there to be tidied, and nobody is at work on it. */
static void tidy_if_free(struct ct *ct)
{
        int fd = -1;
        enum ct_lock mode = ct->mode;

        if (!ct_has_traces(ct) || mode != CT_LOCK_NONE)
                return;
        fd = lock_file(ct->run, "lock", CT_LOCK_EXCLUSIVE, 0, ct->name, NULL);
        if (fd < 0)
                return;
        ct->mode = CT_LOCK_EXCLUSIVE;
        (void)ct_tidy(ct, NULL); /* a command that only looks has no use for the reason */
        ct->mode = mode;
        fd_close(fd);
}

int ct_open_as(struct node *n, const char *name, bool incoming, enum ct_lock lock, struct ct **ret, struct err *err)
{
        int r = parse_label(name, err);

        if (r < 0)
                return err_wrap(err, "wrong name of a container", "%s", name);
        struct ct *ct = calloc(1, sizeof(*ct));
        if (!ct)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot open the container", "%s", name);
        *ct = (struct ct){.node = n, .incoming = incoming, .dir = -1, .run = -1, .lock = -1, .mode = CT_LOCK_NONE};
        str_copy(ct->name, sizeof(ct->name), name);
        snprintf(ct->cgroup, sizeof(ct->cgroup), "%s/%s", n->conf.cgroup, name);
        r = open_dirs(ct, err);
        if (r == 0 && lock != CT_LOCK_NONE)
                r = take_lock(ct, lock, LOCK_MS, err);
        if (r == 0)
                r = ct_reload(ct, err);
        if (r < 0) {
                ct_close(ct);
                return r;
        }
        *ret = ct;
        return 0;
}

int ct_open(struct node *n, const char *name, enum ct_lock lock, struct ct **ret, struct err *err)
{
        struct ct *ct;
        int r = ct_open_as(n, name, false, lock, &ct, err);

        if (r < 0)
                return r;
        if (lock == CT_LOCK_EXCLUSIVE)
                r = ct_tidy(ct, err);
        else
                tidy_if_free(ct);
        if (r < 0) {
                ct_close(ct);
                return r;
        }
        *ret = ct;
        return 0;
}

void ct_close(struct ct *ct)
{
        if (!ct)
                return;
        fd_close(ct->dir);
        fd_close(ct->run);
        fd_close(ct->lock);
        ct_config_done(&ct->conf);
        free(ct->text);
        free(ct);
}

const struct ct_config *ct_config(const struct ct *ct)
{
        return &ct->conf;
}

const char *ct_name(const struct ct *ct)
{
        return ct->name;
}

int ct_dirfd(const struct ct *ct)
{
        return ct->dir;
}

struct node *ct_node(const struct ct *ct)
{
        return ct->node;
}

const char *ct_port(const struct ct *ct)
{
        return ct->port;
}

int ct_need_lock(const struct ct *ct, const char *what, struct err *err)
{
        if (ct->mode == CT_LOCK_EXCLUSIVE)
                return 0;
        return err_set(err, EX_FAIL, what, "the caller does not hold the container's lock", "%s", ct->name);
}

/* ---- leftovers ---- */

bool ct_has_traces(struct ct *ct)
{
        return path_exists(ct->run, "ground") || path_exists(ct->run, "state");
}

/* Kills whatever is in the container's cgroup and waits until it is empty. */
static int empty_cgroup(struct cgroups *c, const char *path, struct err *err)
{
        struct timespec nap = {.tv_nsec = 5000000};
        uint64_t until = now_ns() + (uint64_t)KILL_MS * 1000000;
        _cleanup_close_ int fd = cgroup_open_v2(c, path, err);

        if (fd < 0)
                return err && err->code == EX_UNKNOWN ? 0 : fd;
        int r = cgroup_kill(fd, err);
        if (r == 0)
                r = cgroup_thaw(fd, err);
        while (r == 0) {
                _cleanup_free_ pid_t *pids = NULL;
                size_t n = 0;
                r = cgroup_procs(fd, &pids, &n, err);
                if (r < 0 || n == 0)
                        break;
                if (now_ns() > until)
                        return err_set(err, EX_BUSY, "cannot end the container's processes", "one is left after SIGKILL", "pid %d", pids[0]);
                (void)nanosleep(&nap, NULL);
        }
        return r;
}

static int remove_link(const char *port, struct err *err)
{
        struct nl *nl = NULL;
        int r = nl_open(&nl, err);

        if (r == 0)
                r = nl_link_delete(nl, port, err);
        nl_free(nl);
        return r;
}

int ct_cleanup(struct ct *ct, struct err *err)
{
        struct err scratch;
        struct err *e = err ? err : &scratch;
        int r = ct_need_lock(ct, "cannot clean up", e);

        if (r < 0)
                return r;
        struct cgroups *c = node_cgroups(ct->node, e);
        if (!c)
                return -e->code;
        r = empty_cgroup(c, ct->cgroup, e);
        if (r == 0)
                r = remove_link(ct->port, e);
        if (r == 0)
                r = cgroup_remove(c, ct->cgroup, e);
        if (r < 0)
                return err_wrap(e, "cannot clean up", "%s", ct->name);
        static const char *const files[] = {"state", "boot_id", "seccomp", "ground"};
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                r = sys_unlinkat(ct->run, files[i], 0);
                if (r < 0 && r != -ENOENT)
                        return err_sys(e, EX_FAIL, r, "cannot clean up", "%s", ct->name);
        }
        return 0;
}

int ct_tidy(struct ct *ct, struct err *err)
{
        struct err scratch;
        struct err *e = err ? err : &scratch;
        _cleanup_close_ int pidfd = -1;

        if (!ct_has_traces(ct))
                return 0;
        int r = state_pidfd(ct, &pidfd, e);
        if (r == 1)
                return ct_cleanup(ct, e);
        if (r == 0)
                r = ct_cure(ct, e);
        /* It may be ending under our eyes: its /proc files go a moment before the pidfd tells. */
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        if (r < 0 && pidfd >= 0 && poll(&p, 1, ENDING_MS) > 0)
                return ct_cleanup(ct, e);
        return r < 0 ? r : monitor_spawn(ct, e);
}
