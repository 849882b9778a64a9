/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount planner: the order in which the mounts of a namespace are made, attached and bound, both ways.
 *
 * At restore everything happens in init's stub by tape. Kinds make detached mounts; the planner attaches them parent
 * first: the new root over the old one, the current directory into it, every other mount by its path relative to
 * that directory, then pivot_root(".", "."), and propagation last of all, so that nothing propagates while it is built. A bind
 * needs its source in place (before 6.15 open_tree does not clone from a detached mount), so it ends the running tape.
 *
 * What cannot be ordered is refused: slaves, peers within one namespace, parts of an overmounted tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/restore-int.h"
#include "proto/mounts.pb-c.h"

/* ---- dump ---- */

#define ATTR_KNOWN                                                                                           \
        ((uint64_t)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME |       \
                    MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW))

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
        return 0;
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
        return TAKE_FD(fd);
}

/* ---- restore ---- */

static const Gantry__Mounts *message(const struct restore *rs)
{
        for (size_t i = 0; i < rs->n_rec; i++)
                if (rs->rec[i].kind == RECORD_MOUNTS)
                        return (const Gantry__Mounts *)(const void *)rs->rec[i].msg;
        return NULL;
}

static bool sane_path(const ProtobufCBinaryData *p)
{
        if (p->len == 0 || p->len >= PATH_MAX || p->data[0] != '/' || memchr(p->data, 0, p->len))
                return false;
        for (size_t i = 0; i + 2 < p->len; i++)
                if (p->data[i] == '/' && p->data[i + 1] == '.' && p->data[i + 2] == '.' && (i + 3 == p->len || p->data[i + 3] == '/'))
                        return false;
        return true;
}

static bool sane_node(struct restore *rs, const Gantry__Mounts *m, size_t i)
{
        const Gantry__Mounts__Node *n = m->mount[i];
        const struct kind *k = kind_find((uint16_t)n->kind);
        const struct record *rec = restore_record(rs, n->id);
        bool parent = n->parent == 0 && i == 0, source = n->source == 0;

        for (size_t j = 0; j < i; j++) {
                parent |= m->mount[j]->id == n->parent;
                source |= m->mount[j]->id == n->source;
        }
        return k && k->cls == CLS_MOUNT && k->plan[PH_MOUNTS] && rec && rec->kind == n->kind && parent && source &&
               n->propagation <= 2 && (n->attr & ~ATTR_KNOWN) == 0 && sane_path(&n->target) && sane_path(&n->root) && (i || n->target.len == 1);
}

int mounts_check(struct restore *rs, struct err *err)
{
        size_t n = 0;

        for (size_t i = 0; i < rs->n_rec; i++) {
                if (rs->rec[i].kind != RECORD_MOUNTS)
                        continue;
                const Gantry__Mounts *m = (const Gantry__Mounts *)(const void *)rs->rec[i].msg;
                for (size_t k = 0; k < m->n_mount; k++)
                        if (!sane_node(rs, m, k))
                                return err_set(err, EX_IMAGE, "cannot restore the image", "a mount is impossible", "mount %llu",
                                               (unsigned long long)m->mount[k]->id);
                const struct record *ns = restore_record(rs, m->ns);
                if (!ns || ns->kind != KIND_NS_MNT)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "its mounts are in no namespace of it", "%s", "");
                n++;
        }
        return n > 1 ? err_set(err, EX_IMAGE, "cannot restore the image", "it has more than one mount namespace", "%s", "") : 0;
}

static struct tape *init_tape(struct restore *rs)
{
        return restore_tape(rs, (struct actor){ ACTOR_TASK, rs->task[0].id });
}

/* Opens a path from the new root, where the stub stands. Before it is the root, a link on the container's disk would lead to the
 * node's: paths in mountinfo have none, so none is followed. */
static uint32_t open_place(struct tape *t, const char *path)
{
        struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };

        return TAPE(t, SYS_openat2, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_DATA(tape_data(t, &how, sizeof(how))), A_IMM(sizeof(how)));
}

static bool is_external(const struct record *rec)
{
        /* A bind that is not the engine's has the field, and no value. */
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(rec->msg->descriptor, "external");
        const char *name = NULL;

        if (f && f->type == PROTOBUF_C_TYPE_STRING)
                memcpy(&name, (const uint8_t *)rec->msg + f->offset, sizeof(name));
        return name && name[0];
}

/* A clone begins with what its source has. */
static void set_attr(struct tape *t, const Gantry__Mounts__Node *n)
{
        struct mount_attr a = { .attr_set = n->attr, .attr_clr = ATTR_KNOWN };
        uint32_t at = tape_data(t, &a, sizeof(a));

        TAPE(t, SYS_mount_setattr, A_FD(n->id), A_DATA(tape_str(t, "")), A_IMM(AT_EMPTY_PATH), A_DATA(at), A_IMM(sizeof(a)));
}

static void attach(struct restore *rs, const Gantry__Mounts__Node *n, bool root)
{
        struct tape *t = init_tape(rs);

        tape_label(t, "attach mount %.*s", (int)n->target.len, (const char *)n->target.data);
        if (!is_external(restore_record(rs, n->id)))
                set_attr(t, n);
        uint32_t empty = tape_str(t, "");
        if (root) {
                TAPE(t, SYS_move_mount, A_FD(n->id), A_DATA(empty), A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/")), A_IMM(MOVE_MOUNT_F_EMPTY_PATH));
                TAPE(t, SYS_fchdir, A_FD(n->id));
                return;
        }
        char path[PATH_MAX + 2];
        snprintf(path, sizeof(path), ".%.*s", (int)n->target.len, (const char *)n->target.data);
        uint32_t at = open_place(t, path);
        TAPE(t, SYS_move_mount, A_FD(n->id), A_DATA(empty), A_RET(at), A_DATA(empty), A_IMM(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
        TAPE(t, SYS_close, A_RET(at));
}

static void finish(struct restore *rs, const Gantry__Mounts *m)
{
        struct tape *t = init_tape(rs);
        uint32_t dot = tape_str(t, ".");

        tape_label(t, "enter the new root");
        TAPE(t, SYS_pivot_root, A_DATA(dot), A_DATA(dot));
        TAPE(t, SYS_umount2, A_DATA(dot), A_IMM(MNT_DETACH));
        TAPE(t, SYS_chdir, A_DATA(tape_str(t, "/")));
        for (size_t i = 0; i < m->n_mount; i++) {
                const Gantry__Mounts__Node *n = m->mount[i];
                struct mount_attr a = { .propagation = n->propagation == 1   ? MS_SHARED
                                                       : n->propagation == 2 ? MS_UNBINDABLE
                                                                             : MS_PRIVATE };
                tape_label(t, "propagation of %.*s", (int)n->target.len, (const char *)n->target.data);
                TAPE(t, SYS_mount_setattr, A_FD(n->id), A_DATA(tape_str(t, "")), A_IMM(AT_EMPTY_PATH), A_DATA(tape_data(t, &a, sizeof(a))),
                     A_IMM(sizeof(a)));
        }
}

/* A clone of the source's part, by its path from the new root. */
static int plan_clone(struct restore *rs, const Gantry__Mounts *m, const Gantry__Mounts__Node *n, struct err *err)
{
        struct tape *t = init_tape(rs);
        const Gantry__Mounts__Node *s = NULL;
        char path[2 * PATH_MAX];

        for (size_t i = 0; i < m->n_mount && !s; i++)
                if (m->mount[i]->id == n->source)
                        s = m->mount[i];
        size_t skip = s && s->root.len > 1 ? s->root.len : 0;
        if (!s || n->root.len < skip)
                return err_set(err, EX_IMAGE, "cannot restore a mount", "its source is no mount of the same file system", "mount %llu",
                               (unsigned long long)n->id);
        snprintf(path, sizeof(path), ".%.*s%.*s", s->target.len > 1 ? (int)s->target.len : 0, (const char *)s->target.data,
                 (int)(n->root.len - skip), (const char *)n->root.data + skip);
        tape_label(t, "clone %s", path);
        uint32_t at = open_place(t, path);
        uint32_t e = TAPE(t, SYS_open_tree, A_RET(at), A_DATA(tape_str(t, "")), A_IMM(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
        TAPE(t, SYS_close, A_RET(at));
        tape_keep_fd(t, e, n->id);
        return 0;
}

/* The monitor takes the master; nobody else may hold it. */
static int hand_console(struct restore *rs, struct err *err)
{
        int fd = object_fd(rs, OBJECT_CONSOLE);

        if (fd < 0)
                return 0;
        if (!rs->s.outside || !rs->s.outside->console)
                return err_set(err, EX_IMAGE, "cannot restore the console", "there is nobody to hold its master", "%s", "");
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? err_sys(err, EX_FAIL, errno, "cannot hand over the console", "%s", "")
                      : rs->s.outside->console(rs->s.ctx, fd, err);
}

static int plan_node(struct restore *rs, const Gantry__Mounts__Node *n, struct err *err)
{
        return kind_find((uint16_t)n->kind)->plan[PH_MOUNTS](rs, restore_record(rs, n->id), err);
}

/* All mounts from `at` on that are no clones: *ret_end is behind the last. */
static int plan_new(struct restore *rs, const Gantry__Mounts *m, size_t at, size_t *ret_end, struct err *err)
{
        int r = 0;

        for (; r >= 0 && at < m->n_mount && !m->mount[at]->source; at++)
                r = plan_node(rs, m->mount[at], err);
        *ret_end = at;
        return r;
}

/* In the order of the record, so that they are listed in the order in which they were. What was made is attached by the tape
 * that makes the next ones: an entry's descriptor is there after its tape has played. */
int mounts_restore(struct restore *rs, struct err *err)
{
        const Gantry__Mounts *m = message(rs);
        bool console = false;
        size_t end;
        int r = 0;

        if (!m || m->n_mount == 0)
                return 0;
        for (size_t i = 0; r >= 0 && i < m->n_mount; i = end) {
                end = i + 1;
                if (m->mount[i]->source)
                        r = plan_clone(rs, m, m->mount[i], err);
                else
                        r = plan_new(rs, m, i, &end, err);
                if (r >= 0)
                        r = phase_play(rs, err);
                if (r >= 0 && !console && object_fd(rs, OBJECT_CONSOLE) >= 0) {
                        console = true;
                        r = hand_console(rs, err);
                }
                for (size_t k = i; r >= 0 && k < end; k++)
                        attach(rs, m->mount[k], k == 0);
        }
        if (r >= 0)
                r = phase_play(rs, err);
        if (r < 0)
                return r;
        finish(rs, m);
        return phase_play(rs, err);
}
