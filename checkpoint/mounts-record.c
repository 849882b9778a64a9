/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mounts record of a dump: the order in which the mounts of a namespace can be made again, what each of them shows and where, and
 * of which other one it is a bind.
 *
 * Parents stand before their children, in the order of mountinfo otherwise. A bind needs its source in place (before 6.15 open_tree
 * does not clone from a detached mount), so its source stands before it too.
 *
 * What cannot be ordered is refused: slaves, peers within one namespace, parts of an overmounted tree. Not here: what a file system is
 * and holds (kind/mnt-*.c).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/mounts.h"
#include "proto/mounts.pb-c.h"

static const struct { const char *name; uint64_t attr; } attrs[] = {
        { "ro", MOUNT_ATTR_RDONLY },       { "nosuid", MOUNT_ATTR_NOSUID },         { "nodev", MOUNT_ATTR_NODEV },
        { "noexec", MOUNT_ATTR_NOEXEC },   { "noatime", MOUNT_ATTR_NOATIME },       { "nodiratime", MOUNT_ATTR_NODIRATIME },
        { "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
};

static uint64_t attr_of(const struct mountinfo *m)
{
        uint64_t a = 0;
        bool atime = false, relatime = false;

        for (const char *p = m->options; *p;) {
                size_t n = strcspn(p, ",");
                for (size_t i = 0; i < ELEMENTSOF(attrs); i++)
                        if (strlen(attrs[i].name) == n && strncmp(p, attrs[i].name, n) == 0)
                                a |= attrs[i].attr;
                relatime |= n == 8 && strncmp(p, "relatime", n) == 0;
                p += n + (p[n] == ',');
        }
        atime = !relatime && !(a & MOUNT_ATTR_NOATIME);
        return a | (atime ? MOUNT_ATTR_STRICTATIME : 0);
}

/* The options of a mount that this planner knows; the kernel may have more by now. */
static bool options_known(const struct mountinfo *m)
{
        static const char *const others[] = { "rw", "relatime", "idmapped" };

        for (const char *p = m->options; *p;) {
                size_t n = strcspn(p, ",");
                bool known = false;
                for (size_t i = 0; i < ELEMENTSOF(attrs); i++)
                        known |= strlen(attrs[i].name) == n && strncmp(p, attrs[i].name, n) == 0;
                for (size_t i = 0; i < ELEMENTSOF(others); i++)
                        known |= strlen(others[i]) == n && strncmp(p, others[i], n) == 0;
                if (!known)
                        return false;
                p += n + (p[n] == ',');
        }
        return true;
}

static bool idmapped(const struct mountinfo *m)
{
        const char *p = strstr(m->options, "idmapped");

        return p && (p == m->options || p[-1] == ',') && (p[8] == ',' || !p[8]);
}

static int refuse_mount(const struct mountinfo *m, struct err *err, const char *why)
{
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a mount", why, "%s (%s)", m->target, m->type);
        return err_remedy(err, "unmount it in the container and try again");
}

static int check_propagation(const struct dump_mntns *ns, size_t i, struct err *err)
{
        const struct mountinfo *m = &ns->m[i];

        if (m->master || m->propagate_from)
                return refuse_mount(m, err, "it is a slave of another mount");
        for (size_t k = 0; m->shared && k < i; k++)
                if (ns->m[k].shared == m->shared)
                        return refuse_mount(m, err, "it shares its mounts with a bind of itself (one peer group)");
        return 0;
}

static bool below(const char *root, const char *path)
{
        size_t n = strlen(root);

        return strcmp(root, "/") == 0 || (strncmp(root, path, n) == 0 && (path[n] == '/' || !path[n]));
}

/* An earlier mount of the same super block that shows what this one shows. */
static uint64_t source_of(const struct dump_mntns *ns, const size_t *order, size_t at)
{
        const struct mountinfo *m = &ns->m[order[at]];

        for (size_t k = 0; k < at; k++) {
                const struct mountinfo *s = &ns->m[order[k]];
                if (s->major == m->major && s->minor == m->minor && below(s->root, m->root))
                        return ns->id[order[k]];
        }
        return 0;
}

/* A bind has the map of what it binds, which nobody can change; any other was made by a program. */
static int check_options(const struct dump_mntns *ns, size_t i, uint64_t source, bool external, struct err *err)
{
        bool mapped = false;

        if (external)
                return 0;
        for (size_t k = 0; source && k < ns->n; k++)
                if (ns->id[k] == source)
                        mapped = idmapped(&ns->m[k]);
        if (idmapped(&ns->m[i]) != mapped)
                return refuse_mount(&ns->m[i], err, "it maps user and group ids");
        return options_known(&ns->m[i]) ? 0 : refuse_mount(&ns->m[i], err, "it has an option that is not known here");
}

static int node(struct dump *d, const struct dump_mntns *ns, const size_t *order, size_t at, Gantry__Mounts *msg,
                struct err *err)
{
        size_t i = order[at];
        const struct mountinfo *m = &ns->m[i];
        struct dump_obj *x = dump_find(d, ns->id[i]);
        int r = check_propagation(ns, i, err);

        if (r < 0)
                return r;
        Gantry__Mounts__Node *n = KIND_NEW(Gantry__Mounts__Node, gantry__mounts__node__init);
        if (!n)
                return kind_nomem(err);
        msg->mount[msg->n_mount++] = n;
        n->id = ns->id[i];
        for (size_t k = 0; k < ns->n; k++)
                if (ns->m[k].id == m->parent)
                        n->parent = ns->id[k];
        n->target.len = strlen(m->target);
        n->target.data = kind_memdup(m->target, n->target.len);
        n->root.len = strlen(m->root);
        n->root.data = kind_memdup(m->root, n->root.len);
        n->kind = x->kind->number;
        n->attr = attr_of(m);
        n->propagation = m->shared ? 1 : m->unbindable ? 2 : 0;
        n->source = x->o.facts.mnt.external[0] ? 0 : source_of(ns, order, at);
        if (!n->target.data || !n->root.data)
                return kind_nomem(err);
        if (n->parent == 0 && strcmp(m->target, "/") != 0)
                return refuse_mount(m, err, "what it is mounted on cannot be reached");
        if (!n->source && !x->o.facts.mnt.external[0] && strcmp(m->root, "/") != 0)
                return refuse_mount(m, err, "the file system that it is a part of is mounted nowhere else in the container");
        return check_options(ns, i, n->source, x->o.facts.mnt.external[0], err);
}

/* Parents before children; of several on one place the lower one first, which is the order of mountinfo. */
static int by_tree(const struct dump_mntns *ns, size_t *order, struct err *err)
{
        size_t n = 0;
        _cleanup_free_ bool *done = calloc(ns->n ? ns->n : 1, sizeof(*done));

        if (!done)
                return kind_nomem(err);
        for (bool more = true; more;) {
                more = false;
                for (size_t i = 0; i < ns->n; i++) {
                        bool ready = true;
                        for (size_t k = 0; k < ns->n; k++)
                                ready &= ns->m[k].id != ns->m[i].parent || done[k] || k == i;
                        if (done[i] || !ready)
                                continue;
                        done[i] = more = true;
                        order[n++] = i;
                }
        }
        return n == ns->n ? 0 : err_set(err, EX_FAIL, "cannot order the mounts", "they are mounted on each other", "%s", "");
}

int mounts_records(struct dump *d, const struct record_sink *rs, struct err *err)
{
        for (size_t i = 0; i < d->n_mntns; i++) {
                const struct dump_mntns *ns = &d->mntns[i];
                if (ns->external)
                        continue;
                Gantry__Mounts *msg = KIND_NEW(Gantry__Mounts, gantry__mounts__init);
                _cleanup_free_ size_t *order = calloc(ns->n ? ns->n : 1, sizeof(*order));
                struct record rec = { .kind = RECORD_MOUNTS, .id = ns->ns, .msg = msg ? &msg->base : NULL };
                if (!msg || !order || !(msg->mount = calloc(ns->n ? ns->n : 1, sizeof(*msg->mount)))) {
                        record_done(&rec);
                        return kind_nomem(err);
                }
                msg->ns = ns->ns;
                int r = by_tree(ns, order, err);
                for (size_t k = 0; r >= 0 && k < ns->n; k++)
                        r = node(d, ns, order, k, msg, err);
                if (r >= 0)
                        r = rs->put(rs->c, &rec, err);
                record_done(&rec);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Only a tmpfs has content to read, and devpts the console. The mount is found by its path and known by its id: one that another hides is refused. */
int mount_root_open(struct dump *d, const struct dump_obj *x, struct err *err)
{
        struct statx sx;

        if (!str_eq(x->mount->type, "tmpfs") && !str_eq(x->mount->type, "devpts"))
                return -1;
        _cleanup_close_ int fd = path_open_in_root(d->mntns[0].rootfd, x->mount->target, O_RDONLY | O_DIRECTORY, 0, NULL);
        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0 || (int)sx.stx_mnt_id != x->mount->id) {
                /* A single file bound from a tmpfs has no directory to open and nothing to store. */
                if (strcmp(x->mount->root, "/") != 0)
                        return -1;
                return refuse_mount(x->mount, err, "another mount hides it");
        }
        if (!str_eq(x->mount->type, "tmpfs") || d->mntns[0].external)
                return TAKE_FD(fd);
        int whole = -1, r = mount_beneath(d, fd, &whole, err);
        return r < 0 ? r : r == 0 ? whole : TAKE_FD(fd);
}
