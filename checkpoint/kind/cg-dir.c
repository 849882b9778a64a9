/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cgroup directory of the container: the payload, which is the root that it sees, or one that a program of it has made
 * below. What it is like is read by the collector (cgdir.h); who is in it stands in the tree's record.
 *
 * Made again by init's stub, with the container's own authority: through a cgroup2 mount that the session had it make, in which the
 * payload is the root, and by openat2 beneath that. Whatever belongs to the node there, the kernel refuses to the stub, as it
 * did to the program. Names are checked all the same.
 *
 *      GROUND    the directories, each after the one that it is in; "threaded", which only an empty one can become
 *      MOUNTS    controllers for children, from the payload down: init has left it (no process may be where one is enabled)
 *      THREADS   values, attributes, owners: nothing is limited while the tree is built, and all of it may be a stub's still
 *      PARK      (session) what the container had frozen, when the last tape has run
 *
 * Refused by name: values with numbers of the node's devices, attributes that only the node can have set.
 * Not kept: times, inode numbers, and what was counted (events, figures, pressure).
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/cgdir.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/cg-dir.pb-c.h"

#define CONTROLLERS_MAX 64u
#define FILES_MAX 1024u
#define NEW_MODE 0755u   /* of a directory, as the ground makes the payload and we make the others */

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_CG_DIR);
}

static int refuse(const struct facts *f, struct err *err)
{
        char what[160];

        if (!f->cgroup.odd)
                return 0;
        snprintf(what, sizeof(what), "%.90s: cgroup /%.50s", f->cgroup.odd, f->cgroup.path);
        return kind_refuse(&kind_cg_dir, f, err, what, "Put it back as it was, or remove the cgroup");
}

/* ---- dump ---- */

static int take_controllers(Gantry__CgDir *m, const char *words, struct err *err)
{
        m->controller = kind_calloc(strlen(words) / 2 + 1, sizeof(*m->controller));
        if (!m->controller)
                return kind_nomem(err);
        for (const char *p = words; *p;) {
                size_t n = strcspn(p, " ");
                int r = n ? field_set(&m->controller[m->n_controller], p, n, err) : 0;
                if (r < 0)
                        return r;
                m->n_controller += n > 0;
                p += n + (p[n] == ' ');
        }
        return 0;
}

static int take_values(Gantry__CgDir *m, const struct cg_seen *s, struct err *err)
{
        m->value = kind_calloc(s->n_value, sizeof(*m->value));
        if (!m->value)
                return kind_nomem(err);
        for (size_t i = 0; i < s->n_value; i++) {
                Gantry__CgDir__Value *v = KIND_NEW(Gantry__CgDir__Value, gantry__cg_dir__value__init);
                if (!v)
                        return kind_nomem(err);
                m->value[m->n_value++] = v;
                int r = field_set_text(&v->name, s->value[i].name, err);
                if (r >= 0)
                        r = field_set_text(&v->text, s->value[i].text, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_files(Gantry__CgDir *m, const struct cg_seen *s, struct err *err)
{
        m->file = kind_calloc(s->n_file, sizeof(*m->file));
        if (!m->file)
                return kind_nomem(err);
        for (size_t i = 0; i < s->n_file; i++) {
                Gantry__CgDir__File *f = KIND_NEW(Gantry__CgDir__File, gantry__cg_dir__file__init);
                if (!f)
                        return kind_nomem(err);
                m->file[m->n_file++] = f;
                f->uid = s->file[i].uid;
                f->gid = s->file[i].gid;
                f->mode = s->file[i].mode;
                int r = field_set_text(&f->name, s->file[i].name, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_attributes(Gantry__CgDir *m, const struct cg_seen *s, struct err *err)
{
        m->attribute = kind_calloc(s->n_xattr, sizeof(*m->attribute));
        if (!m->attribute)
                return kind_nomem(err);
        for (size_t i = 0; i < s->n_xattr; i++) {
                Gantry__CgDir__Attribute *a = KIND_NEW(Gantry__CgDir__Attribute, gantry__cg_dir__attribute__init);
                if (!a)
                        return kind_nomem(err);
                m->attribute[m->n_attribute++] = a;
                int r = field_set_text(&a->name, s->xattr[i].name, err);
                if (r >= 0)
                        r = field_set(&a->value, s->xattr[i].value, s->xattr[i].len, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct cg_seen *s = o->facts.cgroup.seen;

        (void)d;
        (void)fd;
        (void)t;
        Gantry__CgDir *m = KIND_NEW(Gantry__CgDir, gantry__cg_dir__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = 0;
        m->has_parent = m->has_name = o->facts.cgroup.parent != 0;
        m->parent = o->facts.cgroup.parent;
        if (m->has_name)
                r = field_set_text(&m->name, o->facts.cgroup.name, err);
        m->uid = s->uid;
        m->gid = s->gid;
        m->mode = s->mode;
        m->threaded = s->threaded;
        if (r >= 0)
                r = take_controllers(m, s->controllers ? s->controllers : "", err);
        if (r >= 0)
                r = take_values(m, s, err);
        if (r >= 0)
                r = take_files(m, s, err);
        if (r >= 0)
                r = take_attributes(m, s, err);
        return r < 0 ? r : field_record(&kind_cg_dir, o, &guard, ret);
}

/* ---- restore ---- */

static bool owner_ok(uint32_t uid, uint32_t gid, uint32_t mode)
{
        return uid != UINT32_MAX && gid != UINT32_MAX && mode <= 07777;
}

static bool controller_ok(const ProtobufCBinaryData *b)
{
        for (size_t i = 0; i < b->len; i++)
                if (!(b->data[i] >= 'a' && b->data[i] <= 'z') && b->data[i] != '_')
                        return false;
        return b->len >= 1 && b->len <= 32;
}

static bool values_ok(const Gantry__CgDir *m)
{
        char name[NAME_MAX + 1], text[CG_VALUE_MAX + 1];
        int last = -1;

        for (size_t i = 0; i < m->n_value; i++) {
                if (!field_is_text(&m->value[i]->name, NAME_MAX) || !field_copy(&m->value[i]->name, name, sizeof(name)) ||
                    !field_is_text(&m->value[i]->text, CG_VALUE_MAX) || !field_copy(&m->value[i]->text, text, sizeof(text)))
                        return false;
                int rank = cg_value_rank(name);
                if (rank <= last || !cg_value_ok(text))
                        return false;
                last = rank;
        }
        return true;
}

/* An interface file: "memory.max", or one that a later kernel has. */
static bool file_ok(const Gantry__CgDir__File *f, bool payload)
{
        char name[NAME_MAX + 1];

        if (!field_is_text(&f->name, NAME_MAX) || !field_copy(&f->name, name, sizeof(name)) || !owner_ok(f->uid, f->gid, f->mode))
                return false;
        return payload ? cg_delegated(name) : name[0] != '.' && strchr(name, '.') && !strchr(name, '/');
}

static bool attribute_ok(const Gantry__CgDir__Attribute *a)
{
        return field_is_text(&a->name, NAME_MAX) && a->name.len > 5 && memcmp(a->name.data, "user.", 5) == 0 && a->value.len <= 65536;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__CgDir *m = (const void *)r->msg;
        bool payload = !m->has_name;

        (void)need;
        if (m->has_parent != m->has_name || (m->has_parent && m->parent == 0))
                return kind_bad(&kind_cg_dir, r, err, "it is in no directory and yet not the payload");
        if (m->has_name && !cg_name_ok(m->name.data, m->name.len))
                return kind_bad(&kind_cg_dir, r, err, "its name is impossible");
        if (!owner_ok(m->uid, m->gid, m->mode))
                return kind_bad(&kind_cg_dir, r, err, "its owner or its mode is impossible");
        if (payload && (m->threaded || m->n_value))
                return kind_bad(&kind_cg_dir, r, err, "it changes what only the node may set");
        if (m->n_controller > CONTROLLERS_MAX || m->n_file > FILES_MAX || m->n_attribute > CG_XATTRS_MAX)
                return kind_bad(&kind_cg_dir, r, err, "too much of it");
        for (size_t i = 0; i < m->n_controller; i++)
                if (!controller_ok(&m->controller[i]))
                        return kind_bad(&kind_cg_dir, r, err, "a controller has an impossible name");
        if (!values_ok(m))
                return kind_bad(&kind_cg_dir, r, err, "a value is unknown, impossible or not in its place");
        for (size_t i = 0; i < m->n_file; i++)
                if (!file_ok(m->file[i], payload))
                        return kind_bad(&kind_cg_dir, r, err, "a file in it is impossible");
        for (size_t i = 0; i < m->n_attribute; i++)
                if (!attribute_ok(m->attribute[i]))
                        return kind_bad(&kind_cg_dir, r, err, "an extended attribute is not the container's to set");
        return 0;
}

int cg_path(struct restore *rs, const struct record *r, char ret[CG_PATH_MAX], uint64_t *ret_payload)
{
        size_t at = CG_PATH_MAX - 1;

        ret[at] = '\0';
        for (unsigned depth = 0; r && r->kind == KIND_CG_DIR && depth <= CG_DEPTH_MAX; depth++) {
                const Gantry__CgDir *m = (const void *)r->msg;
                if (!m->has_name) {
                        if (ret_payload)
                                *ret_payload = r->id;
                        memmove(ret, ret + at, CG_PATH_MAX - at);
                        return (int)depth;
                }
                size_t n = m->name.len, slash = ret[at] != '\0';
                if (n + slash > at)
                        return -1;
                if (slash)
                        ret[--at] = '/';
                at -= n;
                memcpy(ret + at, m->name.data, n);
                r = restore_record(rs, m->parent);
        }
        return -1;
}

uint32_t cg_open(struct tape *t, uint64_t payload, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};

        return TAPE(t, SYS_openat2, A_FD(payload), A_DATA(tape_str(t, *path ? path : ".")), A_DATA(tape_data(t, &how, sizeof(how))),
                    A_IMM(sizeof(how)));
}

struct build { struct tape *t; const Gantry__CgDir *m; uint64_t payload; char path[CG_PATH_MAX]; };

static int begin(struct build *b, struct restore *rs, const struct record *r, const char *what, struct err *err)
{
        b->m = (const void *)r->msg;
        if (cg_path(rs, r, b->path, &b->payload) < 0)
                return kind_bad(&kind_cg_dir, r, err, "it is in no directory of the payload, or too deep");
        b->t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(b->t, "%s /%.80s (cg-dir %llu)", what, b->path, (unsigned long long)r->id);
        return 0;
}

/* text into a file of the directory that an earlier entry has opened. */
static void write_to(struct tape *t, uint32_t dir, const char *file, const char *text)
{
        uint32_t fd = TAPE(t, SYS_openat, A_RET(dir), A_DATA(tape_str(t, file)), A_IMM(O_WRONLY | O_NOFOLLOW | O_CLOEXEC), A_IMM(0));
        uint32_t w = TAPE(t, SYS_write, A_RET(fd), A_DATA(tape_str(t, text)), A_IMM(strlen(text)));

        tape_expect(t, w, (int64_t)strlen(text));
        TAPE(t, SYS_close, A_RET(fd));
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        struct build b;
        int q = begin(&b, rs, r, "make the cgroup", err);

        if (q < 0 || !b.m->has_name)
                return q;
        char *name = strrchr(b.path, '/');
        const char *parent = name ? b.path : "";
        if (name)
                *name = '\0';
        uint32_t up = cg_open(b.t, b.payload, parent, O_PATH | O_DIRECTORY);
        TAPE(b.t, SYS_mkdirat, A_RET(up), A_DATA(field_tape(b.t, &b.m->name)), A_IMM(NEW_MODE));
        TAPE(b.t, SYS_close, A_RET(up));
        if (!b.m->threaded)
                return 0;
        if (name)
                *name = '/';
        uint32_t dir = cg_open(b.t, b.payload, b.path, O_PATH | O_DIRECTORY);
        write_to(b.t, dir, "cgroup.type", "threaded");
        TAPE(b.t, SYS_close, A_RET(dir));
        return 0;
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        _cleanup_strbuf_ struct strbuf words = {};
        struct build b;

        if (((const Gantry__CgDir *)(const void *)r->msg)->n_controller == 0)
                return 0;
        int q = begin(&b, rs, r, "enable the controllers of the cgroup", err);
        if (q < 0)
                return q;
        for (size_t i = 0; i < b.m->n_controller; i++)
                strbuf_addf(&words, "%s+%.*s", i ? " " : "", (int)b.m->controller[i].len, (const char *)b.m->controller[i].data);
        if (words.bad)
                return kind_nomem(err);
        uint32_t dir = cg_open(b.t, b.payload, b.path, O_PATH | O_DIRECTORY);
        write_to(b.t, dir, "cgroup.subtree_control", words.s);
        TAPE(b.t, SYS_close, A_RET(dir));
        return 0;
}

/* The owner first: a change of it takes set-id bits away. */
static int plan_threads(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__CgDir *m = (const void *)r->msg;
        char name[NAME_MAX + 1], text[CG_VALUE_MAX + 1];
        struct build b;

        if (m->n_value + m->n_attribute + m->n_file == 0 && m->uid == 0 && m->gid == 0 && m->mode == NEW_MODE)
                return 0;
        int q = begin(&b, rs, r, "set up the cgroup", err);
        if (q < 0)
                return q;
        uint32_t dir = cg_open(b.t, b.payload, b.path, O_RDONLY | O_DIRECTORY);
        for (size_t i = 0; i < m->n_value; i++)
                if (field_copy(&m->value[i]->name, name, sizeof(name)) && field_copy(&m->value[i]->text, text, sizeof(text)) &&
                    !str_eq(name, "cgroup.freeze"))
                        write_to(b.t, dir, name, text);
        for (size_t i = 0; i < m->n_attribute; i++) {
                const Gantry__CgDir__Attribute *a = m->attribute[i];
                TAPE(b.t, SYS_fsetxattr, A_RET(dir), A_DATA(field_tape(b.t, &a->name)),
                     A_DATA(tape_data(b.t, a->value.len ? (const void *)a->value.data : "", a->value.len ? a->value.len : 1)), A_IMM(a->value.len),
                     A_IMM(0));
        }
        for (size_t i = 0; i < m->n_file; i++) {
                const Gantry__CgDir__File *f = m->file[i];
                uint32_t at = field_tape(b.t, &f->name);
                if (f->uid || f->gid)
                        TAPE(b.t, SYS_fchownat, A_RET(dir), A_DATA(at), A_IMM(f->uid), A_IMM(f->gid), A_IMM(AT_SYMLINK_NOFOLLOW));
                TAPE(b.t, SYS_fchmodat, A_RET(dir), A_DATA(at), A_IMM(f->mode));
        }
        if (m->uid || m->gid)
                TAPE(b.t, SYS_fchown, A_RET(dir), A_IMM(m->uid), A_IMM(m->gid));
        if (m->mode != NEW_MODE || m->uid || m->gid)
                TAPE(b.t, SYS_fchmod, A_RET(dir), A_IMM(m->mode));
        TAPE(b.t, SYS_close, A_RET(dir));
        return 0;
}

const struct kind kind_cg_dir = {
        .stem = "cg-dir",
        .number = KIND_CG_DIR,
        .cls = CLS_CGROUP,
        .msg = &gantry__cg_dir__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground, [PH_MOUNTS] = plan_mounts, [PH_THREADS] = plan_threads},
};
