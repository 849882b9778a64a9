/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a v2 cgroup directory holds (cgdir.h).
 *
 * Whether a value differs from that of a new directory is told by the payload's file of the same name: all controllers of a
 * directory are the payload's too, and the payload's files belong to the node's root but for the three of delegation. So a
 * controller that is not known here is not lost: a value of its that somebody has changed makes the directory odd, by name.
 * What can be written as it was read is in the table below, in the order of writing: a burst is at most the quota, the freezer
 * comes last. Values with numbers of the node's devices (io.max, rdma.max) are not in it.
 *
 * kernfs: user.* attributes since 5.7, on files too; trusted.* only by the node's root. Figures, pressure (its triggers live in
 * descriptors) and what only acts (cgroup.kill, memory.reclaim) hold no state; what was counted begins anew.
 */
#include "checkpoint/kind/cgdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"

static const char cannot[] = "cannot look into a cgroup";

static const char *const values[] = {
        "cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure",
        "cpu.weight", "cpu.idle", "cpu.max", "cpu.max.burst", "cpu.uclamp.min", "cpu.uclamp.max",
        "cpuset.cpus", "cpuset.cpus.exclusive", "cpuset.mems",
        "hugetlb.1GB.max", "hugetlb.1GB.rsvd.max", "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max",
        "io.bfq.weight", "io.prio.class", "io.weight",
        "memory.min", "memory.low", "memory.high", "memory.max", "memory.oom.group", "memory.swap.high", "memory.swap.max",
        "memory.zswap.max", "memory.zswap.writeback",
        "pids.max",
        "cgroup.freeze",
};

/* Files that can be written and hold no value, or one that is kept elsewhere (the type, what is enabled, weight.nice by weight). */
static bool stateless(const char *name)
{
        static const char *const names[] = {"cgroup.procs", "cgroup.threads", "cgroup.type", "cgroup.subtree_control", "cgroup.kill",
                                            "memory.reclaim", "cpu.weight.nice"};
        static const char *const ends[] = {".pressure", ".peak"};
        size_t n = strlen(name);

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (str_eq(name, names[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                if (n > strlen(ends[i]) && str_eq(name + n - strlen(ends[i]), ends[i]) && !str_eq(name, "cgroup.pressure"))
                        return true;
        return false;
}

bool cg_delegated(const char *name)
{
        return str_eq(name, "cgroup.procs") || str_eq(name, "cgroup.threads") || str_eq(name, "cgroup.subtree_control");
}

int cg_value_rank(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                if (str_eq(name, values[i]))
                        return (int)i;
        return -1;
}

bool cg_value_ok(const char *text)
{
        size_t n = strlen(text);

        return n >= 1 && n <= CG_VALUE_MAX &&
               strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,._-") == n;
}

bool cg_name_ok(const void *name, size_t len)
{
        const char *s = name;

        if (len < 1 || len > NAME_MAX || memchr(s, '/', len) || memchr(s, '\n', len) || memchr(s, '\0', len))
                return false;
        if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
                return false;
        return len < 7 || memcmp(s, "cgroup.", 7) != 0;
}

bool cg_listed(const char *line, const void *word, size_t len)
{
        for (const char *p = line; *p;) {
                size_t n = strcspn(p, " \n");
                if (n == len && len && memcmp(p, word, n) == 0)
                        return true;
                p += n + (p[n] != '\0');
        }
        return false;
}

void cg_seen_free(struct cg_seen *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n_value; i++) {
                free(s->value[i].name);
                free(s->value[i].text);
        }
        for (size_t i = 0; i < s->n_file; i++)
                free(s->file[i].name);
        for (size_t i = 0; i < s->n_xattr; i++) {
                free(s->xattr[i].name);
                free(s->xattr[i].value);
        }
        free(s->controllers);
        free(s->value);
        free(s->file);
        free(s->xattr);
        free(s);
}

/* ---- reading ---- */

static int failed(struct err *err, int sysno, const char *on)
{
        return err_sys(err, EX_FAIL, sysno, cannot, "%s", on);
}

static int nomem(struct err *err)
{
        return failed(err, ENOMEM, "");
}

#define GROW(array, n)                                                                                       \
        ({                                                                                                   \
                void *_p = reallocarray((array), (n) + 1, sizeof(*(array)));                                 \
                if (_p)                                                                                      \
                        (array) = _p;                                                                        \
                _p != NULL;                                                                                  \
        })

/* Without its last newline. 1: it cannot be read (a controller that is switched off, a file without a reader). */
static int value_read(int dir, const char *name, char **ret, struct err *err)
{
        struct err e = {};
        size_t n = 0;
        int r = path_read(dir, name, ret, &n, &e);

        if (r < 0 && (e.sys == EOPNOTSUPP || e.sys == EINVAL || e.sys == EIO || e.sys == ENODEV || e.sys == ENOENT))
                return 1;
        if (r < 0)
                return failed(err, e.sys, name);
        if (n && (*ret)[n - 1] == '\n')
                (*ret)[n - 1] = '\0';
        return 0;
}

#define LABEL "security.selinux"
#define LABEL_MAX 4096   /* the kernel writes no longer one into /proc */
struct base_file { char name[NAME_MAX + 1]; mode_t mode; char *text; char label[LABEL_MAX]; };   /* text: NULL where it holds no value */
struct cg_base { struct base_file *file; size_t n; char label[LABEL_MAX]; };

void cg_base_free(struct cg_base *b)
{
        if (!b)
                return;
        for (size_t i = 0; i < b->n; i++)
                free(b->file[i].text);
        free(b->file);
        free(b);
}

static const struct base_file *base_find(const struct cg_base *b, const char *name)
{
        for (size_t i = 0; i < b->n; i++)
                if (str_eq(b->file[i].name, name))
                        return &b->file[i];
        return NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls `each` for every file in it, in the order of names. */
static int each_file(int dir, int (*each)(void *ctx, const char *name, const struct stat *st, struct err *err), void *ctx,
                     struct err *err)
{
        struct dirent **list = NULL;
        int n = scandirat(dir, ".", &list, NULL, by_name), r = 0;

        if (n < 0)
                return failed(err, errno, "");
        for (int i = 0; i < n; i++) {
                struct stat st;
                const char *name = list[i]->d_name;
                if (r >= 0 && list[i]->d_type == DT_REG) {
                        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                                r = each(ctx, name, &st, err);
                        else if (errno != ENOENT)
                                r = failed(err, errno, name);
                }
                free(list[i]);
        }
        free(list);
        return r < 0 ? r : 0;
}

/* What a policy gives to what is made in the payload is what the payload has. "" where there is none. */
static void label_of(int dir, const char *name, char ret[LABEL_MAX])
{
        char path[64 + NAME_MAX];

        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
        ssize_t n = lgetxattr(path, LABEL, ret, LABEL_MAX - 1);
        ret[n < 0 ? 0 : n] = '\0';
}

struct base_ctx { int dir; struct cg_base *b; };

static int base_add(void *ctx, const char *name, const struct stat *st, struct err *err)
{
        struct base_ctx *c = ctx;

        if (!GROW(c->b->file, c->b->n))
                return nomem(err);
        struct base_file *f = &c->b->file[c->b->n++];
        *f = (struct base_file){.mode = st->st_mode & 07777};
        str_copy(f->name, sizeof(f->name), name);
        label_of(c->dir, name, f->label);
        if (cg_delegated(name))
                f->mode = 0644; /* the container may have changed it */
        if (!(f->mode & 0222) || !(f->mode & 0444) || stateless(name))
                return 0;
        int r = value_read(c->dir, name, &f->text, err);
        return r < 0 ? r : 0;
}

int cg_base_read(int payload, struct cg_base **ret, struct err *err)
{
        struct base_ctx c = {.dir = payload, .b = calloc(1, sizeof(*c.b))};

        if (!c.b)
                return nomem(err);
        label_of(payload, ".", c.b->label);
        int r = each_file(payload, base_add, &c, err);
        if (r < 0) {
                cg_base_free(c.b);
                return r;
        }
        *ret = c.b;
        return 0;
}

/* ---- one directory ---- */

struct look { int dir; bool payload; const struct cg_base *base; const struct idmap *ids; struct cg_seen *s; };

static void odd(struct look *l, const char *fmt, ...) PRINTF(2, 3);
static void odd(struct look *l, const char *fmt, ...)
{
        va_list ap;

        if (l->s->odd[0])
                return;
        va_start(ap, fmt);
        vsnprintf(l->s->odd, sizeof(l->s->odd), fmt, ap);
        va_end(ap);
}

static int add_value(struct look *l, const char *name, const char *text, struct err *err)
{
        size_t at = l->s->n_value;

        if (!GROW(l->s->value, l->s->n_value))
                return nomem(err);
        while (at > 0 && cg_value_rank(l->s->value[at - 1].name) > cg_value_rank(name)) {
                l->s->value[at] = l->s->value[at - 1];
                at--;
        }
        l->s->value[at] = (struct cg_value){strdup(name), strdup(text)};
        l->s->n_value++;
        return l->s->value[at].name && l->s->value[at].text ? 0 : nomem(err);
}

static int look_value(struct look *l, const char *name, mode_t mode, struct err *err)
{
        const struct base_file *b = base_find(l->base, name);
        _cleanup_free_ char *text = NULL;

        if (stateless(name) || !((b ? b->mode : mode) & 0222) || !((b ? b->mode : mode) & 0444))
                return 0;
        int r = value_read(l->dir, name, &text, err);
        if (r)
                return r < 0 ? r : 0;
        /* Not compared: the freezer of the payload is the engine's own. The stop has thawed what it has marked. */
        if (str_eq(name, "cgroup.freeze")) {
                l->s->frozen = str_eq(text, "1") || fgetxattr(l->dir, CGROUP_FROZEN_MARK, NULL, 0) >= 0;
                return l->s->frozen ? add_value(l, name, "1", err) : 0;
        }
        if (b && str_eq(b->text, text))
                return 0;
        /* An idle group shows a weight that cannot be written. */
        if (str_eq(name, "cpu.weight") && str_eq(text, "0"))
                return 0;
        if (cg_value_rank(name) < 0 || !cg_value_ok(text)) {
                text[strcspn(text, "\n")] = '\0';
                odd(l, "%.60s that was set to '%.40s'", name, text);
                return 0;
        }
        return add_value(l, name, text, err);
}

/* Attributes of files are seldom, and not kept; SELinux shows its label on every file. */
static void look_file_xattr(struct look *l, const char *name)
{
        const struct base_file *b = base_find(l->base, name);
        char path[64 + NAME_MAX], list[1024], label[LABEL_MAX];

        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", l->dir, name);
        ssize_t n = listxattr(path, list, sizeof(list));
        if (n < 0 && errno != ERANGE)
                return;
        if (n < 0 || (n > 0 && (!str_eq(list, LABEL) || (size_t)n != strlen(list) + 1))) {
                odd(l, "an extended attribute of %.60s", name);
                return;
        }
        /* A file that the payload does not have has nothing to be compared with. */
        label_of(l->dir, name, label);
        if (b && n > 0 && !str_eq(label, b->label))
                odd(l, "a security label of its own on %.60s", name);
}

static int look_file(void *ctx, const char *name, const struct stat *st, struct err *err)
{
        struct look *l = ctx;
        const struct base_file *b = base_find(l->base, name);
        struct cg_file f = {.mode = st->st_mode & 07777};

        if (l->payload && !cg_delegated(name))
                return 0;
        look_file_xattr(l, name);
        if (!idmap_inside(l->ids, st->st_uid, &f.uid) || !idmap_inside(l->ids, st->st_gid, &f.gid))
                odd(l, "%.60s of an owner that the container does not have", name);
        if (f.uid || f.gid || !b || f.mode != b->mode) {
                if (!GROW(l->s->file, l->s->n_file))
                        return nomem(err);
                f.name = strdup(name);
                l->s->file[l->s->n_file++] = f;
                if (!f.name)
                        return nomem(err);
        }
        return l->payload ? 0 : look_value(l, name, st->st_mode, err);
}

static int add_xattr(struct look *l, const char *name, struct err *err)
{
        char value[65536];

        if (str_eq(name, LABEL) || str_eq(name, CGROUP_FROZEN_MARK))
                return 0;
        if (!str_starts(name, "user.")) {
                odd(l, "the attribute %.60s", name);
                return 0;
        }
        ssize_t n = fgetxattr(l->dir, name, value, sizeof(value));
        if (n < 0)
                return failed(err, errno, name);
        if (!GROW(l->s->xattr, l->s->n_xattr))
                return nomem(err);
        struct cg_xattr *x = &l->s->xattr[l->s->n_xattr++];
        *x = (struct cg_xattr){strdup(name), malloc((size_t)n + 1), (size_t)n};
        if (!x->name || !x->value)
                return nomem(err);
        memcpy(x->value, value, (size_t)n);
        return 0;
}

static int by_xattr(const void *a, const void *b)
{
        const struct cg_xattr *x = a, *y = b;

        return strcmp(x->name, y->name);
}

static int look_xattrs(struct look *l, struct err *err)
{
        char list[65536];
        ssize_t n = flistxattr(l->dir, list, sizeof(list));
        int r = 0;

        if (n < 0)
                return errno == EOPNOTSUPP ? 0 : failed(err, errno, "its attributes");
        for (const char *p = list; r >= 0 && p < list + n; p += strlen(p) + 1)
                r = add_xattr(l, p, err);
        if (l->s->n_xattr)
                qsort(l->s->xattr, l->s->n_xattr, sizeof(*l->s->xattr), by_xattr);
        return r;
}

static int look_all(struct look *l, struct err *err)
{
        _cleanup_free_ char *type = NULL;
        struct cg_seen *s = l->s;
        char label[LABEL_MAX];
        struct stat st;

        if (fstat(l->dir, &st) < 0)
                return failed(err, errno, "");
        label_of(l->dir, ".", label);
        if (!str_eq(label, l->base->label))
                odd(l, "a security label of its own");
        s->mode = st.st_mode & 07777;
        if (!idmap_inside(l->ids, st.st_uid, &s->uid) || !idmap_inside(l->ids, st.st_gid, &s->gid))
                odd(l, "an owner that the container does not have");
        int r = value_read(l->dir, "cgroup.type", &type, err);
        if (r >= 0)
                r = value_read(l->dir, "cgroup.subtree_control", &s->controllers, err);
        if (r >= 0)
                r = look_xattrs(l, err);
        if (r >= 0)
                r = each_file(l->dir, look_file, l, err);
        if (r < 0)
                return r;
        s->threaded = type && str_eq(type, "threaded");
        return 0;
}

int cg_look(int dir, bool payload, const struct cg_base *base, const struct idmap *ids, struct cg_seen **ret, struct err *err)
{
        struct look l = {.dir = dir, .payload = payload, .base = base, .ids = ids, .s = calloc(1, sizeof(*l.s))};

        if (!l.s)
                return nomem(err);
        int r = look_all(&l, err);
        if (r < 0) {
                cg_seen_free(l.s);
                return r;
        }
        *ret = l.s;
        return 0;
}
