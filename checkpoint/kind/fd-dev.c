/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory devices: null, zero, full, random, urandom, by path (bypath.h).
 *
 * They have no state. The node is looked for by its path in the container, and what is found there must be the same
 * device: a record cannot ask for another one than the container's root could open. /dev/tty is fd-pty's.
 */
#include <sys/stat.h>

#include "checkpoint/kind/bypath.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "proto/fd-dev.pb-c.h"

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_DEV);
}

static struct bypath from_record(const struct record *r)
{
        const Gantry__FdDev *m = (const void *)r->msg;

        return (struct bypath){
                .ofd = OFD_FROM_MESSAGE(m),
                .path = m->path,
                .mode = m->mode,
                .rdev = m->rdev,
        };
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct bypath b;
        int r = bypath_take(&kind_fd_dev, d, o, fd, t, &b, err);

        if (r < 0)
                return r;
        Gantry__FdDev *m = KIND_NEW(Gantry__FdDev, gantry__fd_dev__init);
        if (!m) {
                free(b.path.data);
                return kind_nomem(err);
        }
        OFD_TO_MESSAGE(&b.ofd, m);
        m->path = b.path;
        m->mode = b.mode;
        m->rdev = b.rdev;
        ret->msg = &m->base;
        return 0;
}

/* null zero full random urandom */
static bool plain(uint32_t rdev)
{
        uint32_t minor = rdev & 0xfffff;

        return rdev >> 20 == 1 && (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        struct bypath b = from_record(r);

        if (!S_ISCHR(b.mode) || !plain(b.rdev))
                return kind_bad(&kind_fd_dev, r, err, "it is none of the devices without state");
        return bypath_check(&kind_fd_dev, r, &b, need, err);
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        (void)bypath_make(&kind_fd_dev, rs, r, &b);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        return bypath_verify(&kind_fd_dev, rs, r, &b, err);
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct bypath b = from_record(r);

        (void)err;
        ofd_plan(rs, r->id, &b.ofd);
        return 0;
}

const struct kind kind_fd_dev = {
        .stem = "fd-dev",
        .number = KIND_FD_DEV,
        .cls = CLS_FILE,
        .msg = &gantry__fd_dev__descriptor,
        .claim = claim,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_ATTR] = plan_attr},
};
