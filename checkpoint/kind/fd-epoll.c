/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * epoll: an instance and the entries it watches, with their events, flags and data.
 *
 * fdinfo names an entry by the number under which it was added, which says nothing once that number was closed or given to
 * another file: kcmp(KCMP_EPOLL_TFD) (4.13+) says which file it is. An entry's key is (file, number), and later EPOLL_CTL_MOD
 * and DEL find it by that, so it is added again under the same number, by the same task, when its table is complete.
 *
 * The kernel lists entries in the order of addresses of files, so a record has them in the order of their numbers.
 *
 * What is ready is reported once more after a restore, also to an edge-triggered entry: a program must bear that anyway.
 * Refused by name: an entry whose file is no longer under its number in the holder's table, a disarmed EPOLLONESHOT,
 * which no call can make again, and an instance that polls network devices by itself (EPIOCSPARAMS, 6.9+).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/uapi.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/ofd.h"
#include "proto/fd-epoll.pb-c.h"

#define TARGETS_MAX 16384u
#define EVENTS_KNOWN                                                                                         \
        (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | EPOLLWRBAND |         \
         EPOLLMSG | EPOLLRDHUP | EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | (uint32_t)EPOLLET)

typedef Gantry__FdEpoll__Target Target;

struct walk { struct dump *d; const struct obj *o; Gantry__FdEpoll *m; size_t cap; struct err *err; };

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_EPOLL);
}

static int refuse_entry(const struct walk *w, uint64_t tfd, const char *why)
{
        char what[120];

        snprintf(what, sizeof(what), "an epoll entry under number %" PRIu64 " %s", tfd, why);
        return kind_refuse(&kind_fd_epoll, &w->o->facts, w->err, what, "End the program that holds it");
}

/* " 8 events: 19 data: 7f…  pos:0 ino:2 sdev:9" */
static bool parse_line(const char *p, uint64_t *tfd, uint64_t *events, uint64_t *data)
{
        while (*p == ' ')
                p++;
        if (!scan_u64(&p, tfd) || !scan_skip(&p, " events:"))
                return false;
        while (*p == ' ')
                p++;
        if (!scan_hex64(&p, events))
                return false;
        while (*p == ' ')
                p++;
        if (!scan_skip(&p, "data:"))
                return false;
        while (*p == ' ')
                p++;
        return scan_hex64(&p, data);
}

static Target *add(struct walk *w)
{
        if (w->m->n_target == w->cap) {
                size_t cap = w->cap ? w->cap * 2 : 16;
                Target **grown = realloc(w->m->target, cap * sizeof(Target *));
                if (!grown)
                        return NULL;
                w->m->target = grown;
                w->cap = cap;
        }
        Target *t = KIND_NEW(Target, gantry__fd_epoll__target__init);
        if (t)
                w->m->target[w->m->n_target++] = t;
        return t;
}

static int line(void *ctx, const char *key, const char *value)
{
        struct walk *w = ctx;
        uint64_t tfd, events, data, file = 0;
        uint32_t index = 0;

        if (!str_eq(key, "tfd"))
                return 0;
        if (!parse_line(value, &tfd, &events, &data) || tfd > INT32_MAX || events > UINT32_MAX)
                return err_set(w->err, EX_KERNEL, "cannot read an epoll instance", "fdinfo has an unknown form", "%s", value);
        if (w->m->n_target >= TARGETS_MAX)
                return refuse_entry(w, tfd, "beyond the 16,384th");
        if (!(events & EPOLLERR))
                return refuse_entry(w, tfd, "that EPOLLONESHOT has disarmed");
        for (size_t i = 0; i < w->m->n_target; i++)
                index += w->m->target[i]->fd == tfd;
        int r = dump_epoll_target(w->d, w->o, (uint32_t)tfd, index, &file, w->err);
        if (r < 0)
                return r;
        if (r == 1)
                return refuse_entry(w, tfd, "whose file is in no table of the container");
        Target *t = add(w);
        if (!t)
                return kind_nomem(w->err);
        t->fd = (uint32_t)tfd;
        t->events = (uint32_t)events;
        t->data = data;
        t->file = file;
        return 0;
}

/* Each entry must be found in the holder's own table, under its number. */
static int in_table(struct walk *w)
{
        uint64_t files = dump_files_of(w->d, w->o);
        const struct obj *table = dump_obj(w->d, files);
        _cleanup_free_ struct fd_entry *e = NULL;
        size_t n = 0;
        int r = table ? dump_fd_table(w->d, table, &e, &n, w->err) : kind_nomem(w->err);

        for (size_t i = 0; r >= 0 && i < w->m->n_target; i++) {
                const Target *t = w->m->target[i];
                bool found = false;
                for (size_t k = 0; k < n && !found; k++)
                        found = e[k].fd == t->fd && e[k].file == t->file;
                if (!found)
                        r = refuse_entry(w, t->fd, "whose file is not there any more in the holder's table");
        }
        return r;
}

static int by_number(const void *a, const void *b)
{
        const Target *x = *(Target *const *)a, *y = *(Target *const *)b;

        if (x->fd != y->fd)
                return x->fd < y->fd ? -1 : 1;
        return x->file < y->file ? -1 : x->file > y->file;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct epoll_params busy = {};
        struct ofd ofd;
        int r = ofd_take(&kind_fd_epoll, o, fd, t, &ofd, err);

        if (r < 0)
                return r;
        if (ioctl(fd, EPIOCGPARAMS, &busy) == 0 && (busy.busy_poll_usecs || busy.busy_poll_budget || busy.prefer_busy_poll))
                return kind_refuse(&kind_fd_epoll, &o->facts, err, "an epoll instance that polls network devices by itself",
                                   "Turn busy polling off in the program");
        Gantry__FdEpoll *m = KIND_NEW(Gantry__FdEpoll, gantry__fd_epoll__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        struct walk w = { .d = d, .o = o, .m = m, .err = err };
        OFD_TO_MESSAGE(&ofd, m);
        m->fd = (uint32_t)o->facts.file.fd;
        r = proc_fdinfo_parse(o->facts.file.fdinfo, strlen(o->facts.file.fdinfo), line, &w, err);
        if (r >= 0)
                r = in_table(&w);
        if (r < 0)
                return r;
        if (m->n_target)
                qsort(m->target, m->n_target, sizeof(Target *), by_number);
        return field_record(&kind_fd_epoll, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__FdEpoll *m = (const void *)r->msg;
        struct ofd ofd = OFD_FROM_MESSAGE(m);

        if (!ofd_ok(&ofd))
                return kind_bad(&kind_fd_epoll, r, err, "flags or owner are not those of an open file");
        if (m->fd > INT32_MAX || m->n_target > TARGETS_MAX)
                return kind_bad(&kind_fd_epoll, r, err, "its number, or how much it watches, is impossible");
        for (size_t i = 0; i < m->n_target; i++)
                if (m->target[i]->fd > INT32_MAX || m->target[i]->events & ~(uint32_t)EVENTS_KNOWN || !(m->target[i]->events & EPOLLERR))
                        return kind_bad(&kind_fd_epoll, r, err, "an entry is impossible");
        need->fds++;
        return 0;
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "make epoll (fd-epoll %" PRIu64 ")", r->id);
        tape_keep_fd(t, TAPE(t, SYS_epoll_create1, A_IMM(EPOLL_CLOEXEC)), r->id);
        return 0;
}

/* The tables are complete: numbers are the program's own. */
static int plan_space(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__FdEpoll *m = (const void *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        for (size_t i = 0; i < m->n_target; i++) {
                struct epoll_event e = { .events = m->target[i]->events, .data.u64 = m->target[i]->data };
                tape_label(t, "watch number %" PRIu32 " (fd-epoll %" PRIu64 ")", m->target[i]->fd, r->id);
                TAPE(t, SYS_epoll_ctl, A_IMM(m->fd), A_IMM(EPOLL_CTL_ADD), A_IMM(m->target[i]->fd), A_DATA(tape_data(t, &e, sizeof(e))));
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct ofd ofd = OFD_FROM_MESSAGE((const Gantry__FdEpoll *)(const void *)r->msg);

        (void)err;
        ofd_plan(rs, r->id, &ofd);
        return 0;
}

const struct kind kind_fd_epoll = {
        .stem = "fd-epoll",
        .number = KIND_FD_EPOLL,
        .cls = CLS_FILE,
        .msg = &gantry__fd_epoll__descriptor,
        .claim = claim,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = { [PH_MAKE] = plan_make, [PH_SPACE] = plan_space, [PH_ATTR] = plan_attr },
};
