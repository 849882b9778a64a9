/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * eventfd: its counter and whether it is a semaphore.
 *
 * fdinfo shows the counter in hexadecimal (eventfd-count) and, from 6.5 on, the mode (eventfd-semaphore). An older
 * kernel is asked by a read on the duplicate, which takes 1 from a semaphore and everything from a counter; what was taken
 * is written back. Nobody sees that, because every task is stopped, but an edge-triggered epoll may wake once more.
 *
 * eventfd2() takes an int as its start: the counter is written. The kernel's own users can drive it to 2^64-1,
 * which no write can make: refused by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/ofd.h"
#include "proto/fd-eventfd.pb-c.h"

struct state { uint64_t count; uint64_t semaphore; bool has_count, has_mode; };

static int line(void *ctx, const char *key, const char *value)
{
        struct state *s = ctx;

        if (str_eq(key, "eventfd-count"))
                s->has_count = scan_hex64(&value, &s->count);
        else if (str_eq(key, "eventfd-semaphore"))
                s->has_mode = scan_u64(&value, &s->semaphore);
        return 0;
}

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_EVENTFD);
}

static int refuse(const struct facts *f, struct err *err)
{
        struct state s = {};
        int r = proc_fdinfo_parse(f->file.fdinfo, strlen(f->file.fdinfo), line, &s, err);

        if (r < 0)
                return r;
        if (s.has_count && s.count == UINT64_MAX)
                return kind_refuse(&kind_fd_eventfd, f, err, "an eventfd that the kernel drove to its limit",
                                   "Let the program read it");
        return 0;
}

/* 6.1: 2 is written into an empty counter; a semaphore gives back 1. */
static int probe_mode(int fd, struct state *s, struct err *err)
{
        uint64_t two = 2, got = 0;
        int flags = fcntl(fd, F_GETFL);

        if (s->count >= 2)
                two = 0;
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
            (two && write(fd, &two, sizeof(two)) != sizeof(two)) || read(fd, &got, sizeof(got)) != sizeof(got))
                return err_sys(err, EX_FAIL, errno, "cannot ask an eventfd for its mode", "count %" PRIu64, s->count);
        uint64_t before = s->count + two, left = before - got;
        s->semaphore = got == 1 && before > 1;
        /* Back to the old counter: take what was added, or add what was taken. */
        while (left > s->count && read(fd, &got, sizeof(got)) == sizeof(got))
                left -= got;
        got = s->count - left;
        if (left < s->count && write(fd, &got, sizeof(got)) != sizeof(got))
                return err_sys(err, EX_FAIL, errno, "cannot write back an eventfd", "count %" PRIu64, s->count);
        (void)fcntl(fd, F_SETFL, flags);
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const char *info = o->facts.file.fdinfo;
        struct state s = {};
        struct ofd ofd;
        int r = ofd_take(&kind_fd_eventfd, o, fd, t, &ofd, err);

        (void)d;
        if (r >= 0)
                r = proc_fdinfo_parse(info, strlen(info), line, &s, err);
        if (r >= 0 && !s.has_count)
                r = err_set(err, EX_KERNEL, "cannot read an eventfd", "fdinfo shows no eventfd-count", "%s", o->facts.file.link);
        if (r >= 0 && !s.has_mode)
                r = probe_mode(fd, &s, err);
        if (r < 0)
                return r;
        Gantry__FdEventfd *m = KIND_NEW(Gantry__FdEventfd, gantry__fd_eventfd__init);
        if (!m)
                return kind_nomem(err);
        OFD_TO_MESSAGE(&ofd, m);
        m->count = s.count;
        m->semaphore = s.semaphore != 0;
        ret->msg = &m->base;
        return 0;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__FdEventfd *m = (const void *)r->msg;
        struct ofd ofd = OFD_FROM_MESSAGE(m);

        if (!ofd_ok(&ofd))
                return kind_bad(&kind_fd_eventfd, r, err, "flags or owner are not those of an open file");
        if (m->count == UINT64_MAX)
                return kind_bad(&kind_fd_eventfd, r, err, "the counter is beyond what can be written");
        need->fds++;
        return 0;
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__FdEventfd *m = (const void *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        int flags = EFD_CLOEXEC | (m->semaphore ? EFD_SEMAPHORE : 0) | (m->flags & O_NONBLOCK ? EFD_NONBLOCK : 0);

        (void)err;
        tape_label(t, "make eventfd (fd-eventfd %" PRIu64 ")", r->id);
        uint32_t e = TAPE(t, SYS_eventfd2, A_IMM(0), A_IMM(flags));
        tape_keep_fd(t, e, r->id);
        if (m->count) {
                uint32_t w = TAPE(t, SYS_write, A_RET(e), A_DATA(tape_data(t, &m->count, sizeof(m->count))), A_IMM(8));
                tape_expect(t, w, 8);
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct ofd ofd = OFD_FROM_MESSAGE((const Gantry__FdEventfd *)(const void *)r->msg);

        (void)err;
        ofd_plan(rs, r->id, &ofd);
        return 0;
}

const struct kind kind_fd_eventfd = {
        .stem = "fd-eventfd",
        .number = KIND_FD_EVENTFD,
        .cls = CLS_FILE,
        .msg = &gantry__fd_eventfd__descriptor,
        .claim = claim,
        .refuse = refuse,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_ATTR] = plan_attr},
};
