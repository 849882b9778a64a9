/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open directories: by path, at their position (bypath.h).
 *
 * The position is the file system's own cookie: a number of ext4 means the same on the same disk. One of tmpfs counts what was ever made
 * in the directory, which nobody can repeat: a program that is reading one would miss names or see them twice, and is refused.
 * Directories as cwd or root are another kind's.
 */
#include <linux/magic.h>
#include <sys/stat.h>

#include "checkpoint/kind/bypath.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "proto/fd-dir.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_DIR);
}

static int refuse(const struct facts *f, struct err *err)
{
        if (f->file.fs_magic != TMPFS_MAGIC || f->file.pos == 0)
                return 0;
        return kind_refuse(&kind_fd_dir, f, err, "a directory of a tmpfs that it is reading, or has read", "Let the program close or rewind it");
}

static struct bypath from_record(const struct record *r)
{
        const Gantry__FdDir *m = (const void *)r->msg;

        return (struct bypath){
                .ofd = OFD_FROM_MESSAGE(m),
                .path = m->path,
                .mode = m->mode,
                .pos = m->pos,
                .has_ino = m->has_ino,
                .ino = m->has_ino ? m->ino : 0,
        };
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct bypath b;
        int r = bypath_take(&kind_fd_dir, d, o, fd, t, &b, err);

        if (r < 0)
                return r;
        Gantry__FdDir *m = KIND_NEW(Gantry__FdDir, gantry__fd_dir__init);
        if (!m) {
                free(b.path.data);
                return kind_nomem(err);
        }
        OFD_TO_MESSAGE(&b.ofd, m);
        m->path = b.path;
        m->mode = b.mode;
        m->pos = b.pos;
        m->has_ino = b.has_ino;
        m->ino = b.ino;
        ret->msg = &m->base;
        return 0;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        struct bypath b = from_record(r);

        if (!S_ISDIR(b.mode))
                return kind_bad(&kind_fd_dir, r, err, "its mode is not that of such a file");
        return bypath_check(&kind_fd_dir, r, &b, need, err);
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        (void)bypath_make(&kind_fd_dir, rs, r, &b);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        return bypath_verify(&kind_fd_dir, rs, r, &b, err);
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        ofd_plan(rs, r->id, &b.ofd);
        return 0;
}

const struct kind kind_fd_dir = {
        .stem = "fd-dir",
        .number = KIND_FD_DIR,
        .cls = CLS_FILE,
        .msg = &gantry__fd_dir__descriptor,
        .claim = claim,
        .refuse = refuse,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_ATTR] = plan_attr},
};
