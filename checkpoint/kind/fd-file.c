/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Regular files: opened again by path, at their position, with their flags (bypath.h).
 *
 * Their content is the disk's or, on tmpfs, the mount's. A deleted or replaced file is refused; so is one with a signal
 * owner, which the kernel allows and no program uses. Locks are another kind's. How long its bytes are expected to live (F_SET_RW_HINT)
 * is in the kernel's inode alone, and told again. Advice about reading (posix_fadvise) shows nowhere.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "checkpoint/kind/bypath.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "proto/fd-file.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_FILE);
}

static struct bypath from_record(const struct record *r)
{
        const Gantry__FdFile *m = (const void *)r->msg;

        return (struct bypath){
                .ofd = OFD_FROM_MESSAGE(m),
                .path = m->path,
                .mode = m->mode,
                .pos = m->pos,
                .size = m->size,
                .has_ino = m->has_ino,
                .ino = m->has_ino ? m->ino : 0,
                .hint = m->hint,
        };
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct bypath b;
        int r = bypath_take(&kind_fd_file, d, o, fd, t, &b, err);

        if (r < 0)
                return r;
        Gantry__FdFile *m = KIND_NEW(Gantry__FdFile, gantry__fd_file__init);
        if (!m) {
                free(b.path.data);
                return kind_nomem(err);
        }
        OFD_TO_MESSAGE(&b.ofd, m);
        m->path = b.path;
        m->mode = b.mode;
        m->pos = b.pos;
        m->size = b.size;
        m->has_ino = b.has_ino;
        m->ino = b.ino;
        m->has_hint = (m->hint = b.hint) != 0;
        ret->msg = &m->base;
        return 0;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        struct bypath b = from_record(r);

        if (!S_ISREG(b.mode))
                return kind_bad(&kind_fd_file, r, err, "its mode is not that of such a file");
        if (b.hint > RWH_WRITE_LIFE_EXTREME)
                return kind_bad(&kind_fd_file, r, err, "an unknown lifetime of its bytes");
        return bypath_check(&kind_fd_file, r, &b, need, err);
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        (void)bypath_make(&kind_fd_file, rs, r, &b);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        return bypath_verify(&kind_fd_file, rs, r, &b, err);
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        ofd_plan(rs, r->id, &b.ofd);
        if (b.hint) {
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                tape_label(t, "lifetime of what is written (fd-file %llu)", (unsigned long long)r->id);
                TAPE(t, SYS_fcntl, A_FD(r->id), A_IMM(F_SET_RW_HINT), A_DATA(tape_data(t, &b.hint, sizeof(b.hint))));
        }
        return 0;
}

const struct kind kind_fd_file = {
        .stem = "fd-file",
        .number = KIND_FD_FILE,
        .cls = CLS_FILE,
        .msg = &gantry__fd_file__descriptor,
        .claim = claim,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_ATTR] = plan_attr},
};
