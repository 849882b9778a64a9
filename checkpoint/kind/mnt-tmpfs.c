/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tmpfs that the container mounted, and all that is in it: directories, files, links, fifos, places of sockets, and
 * character devices 0:0, which is what a user namespace may make.
 *
 * Read from outside through the root directory of a copy of the mount: nothing is followed and no other mount is in the way, so that what
 * others hide is seen. Where no copy was to be had, a place under another mount is made anew, empty, owned by root
 * (statx(2) tells of it since 5.8). Written by tape in init's stub, with the container's own authority, before the mount is
 * attached; times last, directories after their content. Pages of zeroes are not written: holes stay holes.
 *
 * Refused by name: extended attributes, other devices, attributes (chattr) but d and A, and more than 256 MiB of content.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/mnt.h"
#include "proto/mnt-tmpfs.pb-c.h"

#define INLINE_MAX 65536u
#define CONTENT_MAX (UINT64_C(256) << 20)
#define PIECE (UINT64_C(256) << 10)
#define NODES_MAX 65536u
#define DEPTH_MAX 64u
#define BLOCK 4096u
#define ATTRS ((uint32_t)(FS_NODUMP_FL | FS_NOATIME_FL)) /* tmpfs has some since 6.6 */

static const struct mnt_option known[] = {
        { "size", MNT_NUMBER }, { "nr_inodes", MNT_NUMBER }, { "mode", MNT_NUMBER }, { "uid", MNT_UID }, { "gid", MNT_GID },
        { "huge", MNT_TEXT },   { "inode64", MNT_FLAG },     { "inode32", MNT_FLAG }, { "noswap", MNT_FLAG }, {},
};

typedef Gantry__MntTmpfs__Node Node;

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_MNT_TMPFS);
}

static int refuse(const struct facts *f, struct err *err)
{
        return mnt_options_refuse(&kind_mnt_tmpfs, f, known, err);
}

/* ---- dump ---- */

struct walk {
        struct dump *d;
        const struct obj *o;
        int root;
        Gantry__MntTmpfs *m;
        size_t cap;
        uint64_t *ino;             /* of each node, to find further names of one inode */
        uint64_t offset;           /* next free one beside the record */
        uint64_t content;
        struct err *err;
};

static int refuse_node(struct walk *w, const char *path, const char *why)
{
        char what[256];

        snprintf(what, sizeof(what), "%s: /%.100s in the tmpfs on %.40s", why, path, w->o->facts.mnt.m->target);
        return kind_refuse(&kind_mnt_tmpfs, &w->o->facts, w->err, what, "Remove it, or keep it on the disk");
}

static Node *add(struct walk *w, const char *path, const struct stat *st)
{
        if (w->m->n_node == w->cap) {
                size_t cap = w->cap ? w->cap * 2 : 64;
                Node **grown = realloc(w->m->node, cap * sizeof(*grown));
                if (grown)
                        w->m->node = grown;
                uint64_t *ino = realloc(w->ino, cap * sizeof(*ino));
                if (ino)
                        w->ino = ino;
                if (!grown || !ino)
                        return NULL;
                w->cap = cap;
        }
        Node *n = KIND_NEW(Node, gantry__mnt_tmpfs__node__init);
        if (!n)
                return NULL;
        w->ino[w->m->n_node] = S_ISDIR(st->st_mode) ? 0 : st->st_ino;
        w->m->node[w->m->n_node++] = n;
        n->mode = st->st_mode;
        n->uid = dump_uid(w->d, st->st_uid);
        n->gid = dump_gid(w->d, st->st_gid);
        n->mtime = st->st_mtim.tv_sec;
        n->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
        n->has_atime = n->has_atime_ns = true;
        n->atime = st->st_atim.tv_sec;
        n->atime_ns = (uint32_t)st->st_atim.tv_nsec;
        n->path.len = strlen(path);
        n->path.data = n->path.len ? kind_memdup(path, n->path.len) : NULL;
        return n->path.len && !n->path.data ? NULL : n;
}

static int read_attr(struct walk *w, const char *path, int fd, Node *n)
{
        unsigned flags = 0;

        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 && errno != ENOTTY && errno != EOPNOTSUPP)
                return err_sys(w->err, EX_FAIL, errno, "cannot ask for the attributes of a file", "%s", path);
        if (flags & ~ATTRS)
                return refuse_node(w, path, "an attribute (lsattr)");
        n->has_attr = (n->attr = flags) != 0;
        return 0;
}

static int read_file(struct walk *w, const char *path, int fd, Node *n)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_sys(w->err, EX_FAIL, errno, "cannot read a file of a tmpfs", "%s", path);
        if (flistxattr(fd, NULL, 0) > 0)
                return refuse_node(w, path, "extended attributes");
        int a = read_attr(w, path, fd, n);
        if (a < 0)
                return a;
        w->content += (uint64_t)st.st_size;
        if (w->content > CONTENT_MAX)
                return refuse_node(w, path, "more than 256 MiB of content");
        n->has_size = true;
        n->size = (uint64_t)st.st_size;
        _cleanup_free_ uint8_t *buf = malloc(PIECE);
        if (!buf)
                return kind_nomem(w->err);
        if (n->size > INLINE_MAX) {
                n->has_offset = true;
                n->offset = w->offset;
                w->offset += (n->size + 4095) & ~UINT64_C(4095);
        }
        for (uint64_t at = 0; at < n->size; at += PIECE) {
                size_t want = (size_t)(n->size - at < PIECE ? n->size - at : PIECE), got = 0;
                int r = fd_pread_full(fd, buf, want, (off_t)at, &got, w->err);
                if (r == 0 && n->has_offset)
                        r = dump_bytes(w->d, w->o->id, n->offset + at, buf, want, w->err);
                else if (r == 0)
                        r = field_set(&n->data, buf, want, w->err);
                if (r)
                        return r < 0 ? r : err_set(w->err, EX_FAIL, "cannot read a file of a tmpfs", "it became shorter", "%s", path);
        }
        n->has_data = !n->has_offset && n->size;
        return 0;
}

static int read_node(struct walk *w, int dir, const char *name, const char *path, const struct stat *st)
{
        for (size_t i = 0; !S_ISDIR(st->st_mode) && st->st_nlink > 1 && i < w->m->n_node; i++)
                if (w->ino[i] == st->st_ino) {
                        Node *l = add(w, path, st);
                        if (!l)
                                return kind_nomem(w->err);
                        l->has_link = true;
                        l->link = (uint32_t)i + 1;
                        return 0;
                }
        Node *n = add(w, path, st);
        if (!n)
                return kind_nomem(w->err);
        if (S_ISLNK(st->st_mode)) {
                char target[PATH_MAX];
                ssize_t len = readlinkat(dir, name, target, sizeof(target));
                if (len <= 0)
                        return err_sys(w->err, EX_FAIL, errno, "cannot read a link of a tmpfs", "%s", path);
                n->has_target = true;
                return field_set(&n->target, target, (size_t)len, w->err);
        }
        if ((S_ISCHR(st->st_mode) && st->st_rdev) || S_ISBLK(st->st_mode))
                return refuse_node(w, path, "a device");
        if (!S_ISREG(st->st_mode))
                return 0;
        _cleanup_close_ int fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd < 0)
                return err_sys(w->err, EX_FAIL, fd, "cannot open a file of a tmpfs", "%s", path);
        return read_file(w, path, fd, n);
}

/* Another mount hides what is here: only the place matters, a directory or a file. */
static int add_place(struct walk *w, const char *path, bool dir)
{
        struct stat st = { .st_mode = dir ? S_IFDIR | 0755 : S_IFREG | 0644 };
        Node *n = add(w, path, &st);

        if (!n)
                return kind_nomem(w->err);
        n->uid = n->gid = 0;
        n->has_size = !dir;
        return 0;
}

static int read_dir(struct walk *w, int fd, const char *path, unsigned depth);

static int read_entry(struct walk *w, int dir, const char *name, const char *path, unsigned depth)
{
        struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };
        struct statx sx = {};
        struct stat st;

        if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &sx) < 0)
                return err_sys(w->err, EX_FAIL, errno, "cannot look into a tmpfs", "%s", path);
        if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return add_place(w, path, S_ISDIR(sx.stx_mode));
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                return err_sys(w->err, EX_FAIL, errno, "cannot look into a tmpfs", "%s", path);
        if (!S_ISDIR(st.st_mode))
                return read_node(w, dir, name, path, &st);
        int fd = sys_openat2(dir, name, &how);
        if (fd < 0)
                return err_sys(w->err, EX_FAIL, fd, "cannot look into a tmpfs", "%s", path);
        Node *n = add(w, path, &st);
        int r = n ? read_attr(w, path, fd, n) : kind_nomem(w->err);
        if (r >= 0)
                r = read_dir(w, fd, path, depth + 1);
        fd_close(fd);
        return r;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(struct walk *w, int fd, const char *path, unsigned depth)
{
        struct dirent **list = NULL;
        int n = depth > DEPTH_MAX ? -1 : scandirat(fd, ".", &list, NULL, by_name), r = 0;

        if (n < 0)
                return depth > DEPTH_MAX ? refuse_node(w, path, "directories more than 64 deep")
                                  : err_sys(w->err, EX_FAIL, errno, "cannot look into a tmpfs", "%s", path);
        if (flistxattr(fd, NULL, 0) > 0)
                r = refuse_node(w, path, "extended attributes");
        for (int i = 0; i < n; i++) {
                char child[PATH_MAX];
                const char *name = list[i]->d_name;
                if (r >= 0 && !str_eq(name, ".") && !str_eq(name, "..")) {
                        if (snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name) >= (int)sizeof(child) ||
                            w->m->n_node >= NODES_MAX)
                                r = refuse_node(w, path, "more names, or longer ones, than a record holds");
                        else
                                r = read_entry(w, fd, name, child, depth);
                }
                free(list[i]);
        }
        free(list);
        return r;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__MntTmpfs *m = KIND_NEW(Gantry__MntTmpfs, gantry__mnt_tmpfs__init);
        struct walk w = { .d = d, .o = o, .root = fd, .m = m, .err = err };
        struct stat st;

        (void)t;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = mnt_options_take(&kind_mnt_tmpfs, o, d, known, &m->option, &m->n_option, err);
        if (r >= 0 && fd >= 0) {
                if (fstat(fd, &st) < 0)
                        r = err_sys(err, EX_FAIL, errno, "cannot look into a tmpfs", "%s", o->facts.mnt.m->target);
                else
                        r = add(&w, "", &st) ? read_attr(&w, "", fd, m->node[0]) : kind_nomem(err);
                if (r >= 0)
                        r = read_dir(&w, fd, "", 0);
        }
        free(w.ino);
        return r < 0 ? r : field_record(&kind_mnt_tmpfs, o, &guard, ret);
}

/* ---- restore ---- */

static bool safe_path(const ProtobufCBinaryData *p)
{
        const uint8_t *at = p->data, *end = p->data + p->len;

        if (p->len >= PATH_MAX || memchr(p->data ? p->data : (const uint8_t *)"", 0, p->len))
                return false;
        while (at < end) {
                const uint8_t *slash = memchr(at, '/', (size_t)(end - at));
                size_t n = (size_t)((slash ? slash : end) - at);
                if (n == 0 || n > 255 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
                        return false;
                if (slash && slash + 1 == end)
                        return false;
                at += n + (slash ? 1 : 0);
        }
        return true;
}

static bool safe_node(const Gantry__MntTmpfs *m, size_t i)
{
        const Node *n = m->node[i];
        mode_t type = n->mode & S_IFMT;

        if (!safe_path(&n->path) || (i == 0) != (n->path.len == 0) || n->mode > 0177777 || n->mtime_ns > 999999999 || n->atime_ns > 999999999 ||
            n->uid == UINT32_MAX || n->gid == UINT32_MAX || n->size > CONTENT_MAX)   /* of whatever: sizes are summed up */
                return false;
        if (i == 0 && type != S_IFDIR)
                return false;
        if (n->attr & ~ATTRS || (n->attr && type != S_IFREG && type != S_IFDIR))
                return false;
        if (n->has_link)
                return n->link >= 1 && n->link <= i && !m->node[n->link - 1]->has_link && (m->node[n->link - 1]->mode & S_IFMT) == type &&
                       type != S_IFDIR;
        if (type == S_IFLNK)
                return n->has_target && n->target.len >= 1 && n->target.len < PATH_MAX && !memchr(n->target.data, 0, n->target.len);
        if (type == S_IFREG)
                return n->has_size && n->size <= CONTENT_MAX &&
                       (n->has_offset ? n->offset % 4096 == 0 && n->offset <= CONTENT_MAX * 2 && n->size > INLINE_MAX && !n->data.len
                                      : n->data.len == n->size && n->size <= INLINE_MAX);
        return type == S_IFDIR || type == S_IFIFO || type == S_IFSOCK || type == S_IFCHR;
}

/* Every name is made in a directory of this record: a link there would lead the stub out of the tmpfs. The names of a directory
 * follow it at once, which is the order of the walk. */
static bool in_directories(const Gantry__MntTmpfs *m)
{
        const Node *stack[DEPTH_MAX + 2];
        size_t depth = 0;

        for (size_t i = 0; i < m->n_node; i++) {
                const Node *n = m->node[i];
                size_t parent = n->path.len;
                while (parent > 0 && n->path.data[parent - 1] != '/')
                        parent--;
                parent -= parent > 0;
                while (i > 0 && depth > 0 && (stack[depth - 1]->path.len != parent ||
                                              (parent && memcmp(stack[depth - 1]->path.data, n->path.data, parent) != 0)))
                        depth--;
                if ((i > 0 && depth == 0) || depth == ELEMENTSOF(stack))
                        return false;
                if (S_ISDIR(n->mode))
                        stack[depth++] = n;
        }
        return true;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__MntTmpfs *m = (const void *)r->msg;
        uint64_t sum = 0;

        if (m->n_node > NODES_MAX)
                return kind_bad(&kind_mnt_tmpfs, r, err, "too many files");
        for (size_t i = 0; i < m->n_node; i++) {
                if (!safe_node(m, i))
                        return kind_bad(&kind_mnt_tmpfs, r, err, "a file in it is impossible");
                sum += m->node[i]->size;
        }
        if (sum > CONTENT_MAX)
                return kind_bad(&kind_mnt_tmpfs, r, err, "it holds more than 256 MiB");
        if (!in_directories(m))
                return kind_bad(&kind_mnt_tmpfs, r, err, "a file in it is in no directory of it");
        need->bytes += sum;
        return mnt_options_check(&kind_mnt_tmpfs, r, known, m->option, m->n_option, err);
}

struct build { struct restore *rs; const struct record *r; const Gantry__MntTmpfs *m; struct tape *t; uint32_t mount; struct err *err; };

static bool zeroes(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

/* Runs of blocks that hold something. */
static void write_bytes(struct build *b, uint32_t fd, const uint8_t *p, size_t n, uint64_t at)
{
        for (size_t from = 0, end; from < n; from = end) {
                bool none = zeroes(p + from, n - from < BLOCK ? n - from : BLOCK);
                for (end = from; end < n && zeroes(p + end, n - end < BLOCK ? n - end : BLOCK) == none;)
                        end += n - end < BLOCK ? n - end : BLOCK;
                if (none)
                        continue;
                uint32_t w = TAPE(b->t, SYS_pwrite64, A_RET(fd), A_DATA(tape_data(b->t, p + from, end - from)), A_IMM(end - from), A_IMM(at + from));
                tape_expect(b->t, w, (int64_t)(end - from));
        }
}

static int write_file(struct build *b, const Node *n, uint32_t path)
{
        _cleanup_free_ uint8_t *buf = n->has_offset ? malloc(PIECE) : NULL;
        uint32_t fd = TAPE(b->t, SYS_openat, A_RET(b->mount), A_DATA(path), A_IMM(O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC), A_IMM(0600));

        TAPE(b->t, SYS_ftruncate, A_RET(fd), A_IMM(n->size));
        if (n->has_offset && !buf)
                return kind_nomem(b->err);
        write_bytes(b, fd, n->data.data, n->data.len, 0);
        for (uint64_t at = 0; n->has_offset && at < n->size; at += PIECE) {
                size_t len = (size_t)(n->size - at < PIECE ? n->size - at : PIECE);
                int r = restore_bytes(b->rs, b->r->id, n->offset + at, buf, len, b->err);
                if (r < 0)
                        return r;
                write_bytes(b, fd, buf, len, at);
        }
        TAPE(b->t, SYS_close, A_RET(fd));
        return 0;
}

static void write_attr(struct build *b, const Node *n, uint32_t path)
{
        uint32_t fd = TAPE(b->t, SYS_openat, A_RET(b->mount), A_DATA(path), A_IMM(O_RDONLY | O_NOFOLLOW | O_CLOEXEC), A_IMM(0));

        TAPE(b->t, SYS_ioctl, A_RET(fd), A_IMM(FS_IOC_SETFLAGS), A_DATA(tape_data(b->t, &n->attr, sizeof(n->attr))));
        TAPE(b->t, SYS_close, A_RET(fd));
}

static int build_node(struct build *b, const Node *n, uint32_t path)
{
        mode_t type = n->mode & S_IFMT;
        int r = 0;

        if (n->has_link) {
                TAPE(b->t, SYS_linkat, A_RET(b->mount), A_DATA(field_tape(b->t, &b->m->node[n->link - 1]->path)), A_RET(b->mount), A_DATA(path),
                     A_IMM(0));
                return 0;
        }
        if (n->path.len == 0)
                ;
        else if (type == S_IFDIR)
                TAPE(b->t, SYS_mkdirat, A_RET(b->mount), A_DATA(path), A_IMM(0700));
        else if (type == S_IFLNK)
                TAPE(b->t, SYS_symlinkat, A_DATA(field_tape(b->t, &n->target)), A_RET(b->mount), A_DATA(path));
        else if (type == S_IFREG)
                r = write_file(b, n, path);
        else
                TAPE(b->t, SYS_mknodat, A_RET(b->mount), A_DATA(path), A_IMM(type | 0600), A_IMM(0));
        TAPE(b->t, SYS_fchownat, A_RET(b->mount), A_DATA(path), A_IMM(n->uid), A_IMM(n->gid), A_IMM(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
        if (type != S_IFLNK)
                TAPE(b->t, SYS_fchmodat, A_RET(b->mount), A_DATA(n->path.len ? path : tape_str(b->t, ".")), A_IMM(n->mode & 07777));
        if (n->attr && r >= 0)
                write_attr(b, n, n->path.len ? path : tape_str(b->t, "."));
        return r;
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__MntTmpfs *m = (const void *)r->msg;
        struct build b = { rs, r, m, restore_tape(rs, restore_owner(rs, r->id)), mnt_make(rs, r, "tmpfs", m->option, m->n_option), err };

        for (size_t i = 0; i < m->n_node; i++) {
                const Node *n = m->node[i];
                tape_label(b.t, "make /%.*s in a tmpfs (mnt-tmpfs %" PRIu64 ")", (int)(n->path.len < 60 ? n->path.len : 60),
                           n->path.len ? (const char *)n->path.data : "", r->id);
                int q = build_node(&b, n, n->path.len ? field_tape(b.t, &n->path) : tape_str(b.t, ""));
                if (q < 0)
                        return q;
        }
        for (size_t i = m->n_node; i-- > 0;) {
                const Node *n = m->node[i];
                struct timespec ts[2] = { n->has_atime ? (struct timespec){ n->atime, n->atime_ns } : (struct timespec){ n->mtime, n->mtime_ns },
                                          { n->mtime, n->mtime_ns } };
                TAPE(b.t, SYS_utimensat, A_RET(b.mount), A_DATA(n->path.len ? field_tape(b.t, &n->path) : tape_str(b.t, ".")),
                     A_DATA(tape_data(b.t, ts, sizeof(ts))), A_IMM(AT_SYMLINK_NOFOLLOW));
        }
        mnt_seal(rs, r, b.mount, m->option, m->n_option);
        return 0;
}

const struct kind kind_mnt_tmpfs = {
        .stem = "mnt-tmpfs",
        .number = KIND_MNT_TMPFS,
        .cls = CLS_MOUNT,
        .msg = &gantry__mnt_tmpfs__descriptor,
        .claim = claim,
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = { [PH_MOUNTS] = plan_mounts },
};
