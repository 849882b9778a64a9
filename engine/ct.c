/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open container: its two directories, its lock and its configuration.
 *
 * Nothing is looked at beyond these: what a killed command has left is tidy.c's, which opens containers for commands. Those who tidy
 * themselves, and the monitor, open one here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/ct-int.h"

#define LOCK_MS 3000

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

int ct_payload(struct ct *ct, struct err *err)
{
        char path[sizeof(ct->cgroup) + sizeof(V2_LEAF) + 1];
        struct cgroups *c = node_cgroups(ct->node, err);

        if (!c)
                return err_result(err);
        snprintf(path, sizeof(path), "%s/" V2_LEAF, ct->cgroup);
        return cgroup_open_v2(c, path, err);
}
