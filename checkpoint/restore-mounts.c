/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MOUNTS: everything happens in init's stub, by tape. Kinds make detached mounts; here they are attached, parent first: the new root over the
 * old one, the current directory into it, every other mount by its path relative to that directory, then pivot_root(".", "."), and
 * propagation last of all, so that nothing propagates while it is built. A bind needs its source in place (before 6.15 open_tree does
 * not clone from a detached mount), so it ends the running tape.
 *
 * Not here: the order, which is the record's (mounts-record.c); what a file system is and holds (kind/mnt-*.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "checkpoint/kind/kinds.h"
#include "checkpoint/mounts.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "proto/mounts.pb-c.h"

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
