/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * epoll: entries come back under their numbers with events and data, also two numbers of one file and a nested instance;
 * what no call can make again is refused by name; hostile records are refused.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/uapi.h"
#include "proto/fd-epoll.pb-c.h"
#include "tests/unit/harness-int.h"

/* The holder's table is what the test has told of (harness-rest.c has none). */
uint64_t dump_files_of(struct dump *d, const struct obj *task)
{
        (void)d;
        return task->id;
}

int dump_fd_table(struct dump *d, const struct obj *files, struct fd_entry **ret, size_t *ret_n, struct err *err)
{
        (void)files;
        struct fd_entry *e = calloc(KT_OBJECTS * KT_FDS, sizeof(*e));
        size_t n = 0;

        if (!e)
                return kind_nomem(err);
        for (size_t i = 0; i < d->t->n; i++)
                for (size_t k = 0; k < d->t->at[i].n_fds; k++)
                        e[n++] = (struct fd_entry){(uint32_t)d->t->at[i].fds[k], false, d->t->at[i].o.id};
        *ret = e;
        *ret_n = n;
        return 0;
}

static void watch(int ep, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event e = {.events = events, .data.u64 = data};

        cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
}

/* The events that are ready for `data`; 0: none. */
static uint32_t ready(int ep, uint64_t data)
{
        struct epoll_event e[8];
        int n = epoll_wait(ep, e, 8, 0);

        cr_assert_geq(n, 0);
        for (int i = 0; i < n; i++)
                if (e[i].data.u64 == data)
                        return e[i].events;
        return 0;
}

static void arm(int ep, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event e = {.events = events, .data.u64 = data};

        cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), 0, "number %d is not watched", fd);
}

Test(fd_epoll, entries)
{
        struct kt *t = kt_new();
        uint64_t wide = UINT64_C(0xfedcba9876543210), id;
        int ep = epoll_create1(EPOLL_CLOEXEC), full = eventfd(3, EFD_NONBLOCK), empty = eventfd(0, EFD_NONBLOCK), twin;

        cr_assert_eq(twin = dup2(full, 90), 90);
        watch(ep, full, EPOLLIN | EPOLLET, wide);
        watch(ep, twin, EPOLLIN | EPOLLOUT, 2);
        watch(ep, empty, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 3);
        id = kt_add_fd(t, full);
        kt_alias(t, id, twin);
        kt_add_fd(t, empty);
        uint64_t self = kt_add_fd(t, ep);
        kt_dump(t);
        const Gantry__FdEpoll *m = (const void *)kt_record(t, self)->msg;
        cr_assert_eq(m->n_target, 3);
        cr_assert_eq(m->fd, (uint32_t)ep);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(ready(ep, wide), EPOLLIN, "an edge that was there is told once more");
        cr_assert_eq(ready(ep, wide), 0, "EPOLLET is lost");
        cr_assert_eq(ready(ep, 2), EPOLLIN | EPOLLOUT);
        cr_assert_eq(ready(ep, 3), 0);
        uint64_t one = 1;
        cr_assert_eq(write(empty, &one, sizeof(one)), 8);
        cr_assert_eq(ready(ep, 3), EPOLLIN);
        cr_assert_eq(ready(ep, 3), 0, "EPOLLONESHOT is lost");
        arm(ep, twin, EPOLLIN, 9);
        cr_assert_eq(ready(ep, 9), EPOLLIN);
        cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_DEL, full, NULL), 0);
        kt_free(t);
}

Test(fd_epoll, one_instance_watches_another)
{
        struct kt *t = kt_new();
        int outer = epoll_create1(0), inner = epoll_create1(0), e = eventfd(0, EFD_NONBLOCK);
        uint64_t one = 1;

        watch(outer, inner, EPOLLIN, 11);
        watch(inner, e, EPOLLIN, 12);
        kt_add_fd(t, outer);
        kt_add_fd(t, inner);
        kt_add_fd(t, e);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(ready(outer, 11), 0);
        cr_assert_eq(write(e, &one, sizeof(one)), 8);
        cr_assert_eq(ready(outer, 11), EPOLLIN);
        cr_assert_eq(ready(inner, 12), EPOLLIN);
        kt_free(t);
}

Test(fd_epoll, what_it_watches_is_dumped_as_it_was)
{
        struct kt *t = kt_new();
        int ep = epoll_create1(0), e = eventfd(1, 0);

        watch(ep, e, EPOLLIN | EPOLLEXCLUSIVE, UINT64_MAX);
        kt_add_fd(t, e);
        uint64_t id = kt_add_fd(t, ep);
        kt_dump(t);
        const Gantry__FdEpoll *m = (const void *)kt_record(t, id)->msg;
        cr_assert_eq(m->n_target, 1);
        cr_assert_eq(m->target[0]->fd, (uint32_t)e);
        cr_assert_eq(m->target[0]->events, EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLEXCLUSIVE);
        cr_assert_eq(m->target[0]->data, UINT64_MAX);
        cr_assert_eq(m->target[0]->file, 1);
        cr_assert_eq(ready(ep, UINT64_MAX), EPOLLIN, "the dump has taken an event");
        kt_free(t);
}

/* Its number was given to another file: the entry is still there, and no call names it any more. */
Test(fd_epoll, a_number_that_is_another_file_now)
{
        struct kt *t = kt_new();
        int ep = epoll_create1(0), e = eventfd(0, 0), kept = dup(e), other = eventfd(0, 0);
        struct err err = {};

        watch(ep, e, EPOLLIN, 1);
        cr_assert_eq(dup2(other, e), e);
        kt_add_fd(t, kept);
        kt_add_fd(t, e);
        kt_add_fd(t, other);
        kt_add_fd(t, ep);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "not there any more"), "%s", err.why);
        kt_free(t);
}

Test(fd_epoll, a_file_that_nobody_holds)
{
        struct kt *t = kt_new();
        int ep = epoll_create1(0), e = eventfd(0, 0);
        struct err err = {};

        watch(ep, e, EPOLLIN, 1);
        kt_add_fd(t, ep);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "no table"), "%s", err.why);
        kt_free(t);
}

Test(fd_epoll, a_disarmed_oneshot)
{
        struct kt *t = kt_new();
        int ep = epoll_create1(0), e = eventfd(1, 0);
        struct err err = {};

        watch(ep, e, EPOLLIN | EPOLLONESHOT, 1);
        cr_assert_eq(ready(ep, 1), EPOLLIN);
        kt_add_fd(t, e);
        kt_add_fd(t, ep);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "EPOLLONESHOT"), "%s", err.why);
        kt_free(t);
}

Test(fd_epoll, busy_polling)
{
        struct kt *t = kt_new();
        int ep = epoll_create1(0);
        struct epoll_params busy = {.busy_poll_usecs = 50};
        struct err err = {};

        if (ioctl(ep, EPIOCSPARAMS, &busy) < 0)
                cr_skip_test("this kernel's epoll has no parameters (6.9+)");
        kt_add_fd(t, ep);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "polls network devices"), "%s", err.why);
        kt_free(t);
}

Test(fd_epoll, an_fdinfo_of_another_form)
{
        static const char *const lines[] = {"tfd:  x", "tfd: 1 event: 19", "tfd: 1 events: z", "tfd: 1 events: 19 date: 1",
                                            "tfd: 1 events: 19 data: -", "tfd: 4294967296 events: 19 data: 1"};

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                struct kt *t = kt_new();
                int ep = epoll_create1(0);
                char text[96];
                uint64_t id = kt_add_fd(t, ep);
                snprintf(text, sizeof(text), "pos:\t0\nflags:\t02\n%s\n", lines[i]);
                kt_facts(t, id)->file.fdinfo = text;
                cr_assert_eq(kt_try_dump(t, NULL), -EX_KERNEL, "row %zu", i);
                kt_free(t);
                close(ep);
        }
}

static Gantry__FdEpoll *message(struct kt *t, size_t targets)
{
        Gantry__FdEpoll *m = malloc(sizeof(*m));

        gantry__fd_epoll__init(m);
        m->flags = O_RDWR;
        m->fd = 7;
        m->target = calloc(targets ? targets : 1, sizeof(*m->target));
        for (size_t i = 0; i < targets; i++) {
                Gantry__FdEpoll__Target *x = malloc(sizeof(*x));
                gantry__fd_epoll__target__init(x);
                x->fd = (uint32_t)(20 + i);
                x->events = EPOLLIN | EPOLLERR | EPOLLHUP;
                x->data = 5 + i;
                x->file = 2;
                m->target[m->n_target++] = x;
        }
        kt_give(t, 1, &kind_fd_epoll, &m->base);
        return m;
}

Test(fd_epoll, golden)
{
        struct kt *t = kt_new();

        message(t, 2);
        kt_golden(t, PH_MAKE, "tape of task 1000, 1 calls\n"
                             "# make epoll (fd-epoll 1)\n"
                             "0 epoll_create1(0x80000) keep 1\n");
        kt_golden(t, PH_SPACE, "tape of task 1000, 2 calls\n"
                              "# watch number 20 (fd-epoll 1)\n"
                              "0 epoll_ctl(7, 1, 20, hex:190000000500000000000000)\n"
                              "# watch number 21 (fd-epoll 1)\n"
                              "1 epoll_ctl(7, 1, 21, hex:190000000600000000000000)\n");
        kt_golden(t, PH_ATTR, "");
        kt_free(t);
}

Test(fd_epoll, hostile)
{
        static const struct { uint32_t flags, fd, target, events; size_t n; int want; } rows[] = {
                {O_RDWR, 7, 20, EPOLLIN | EPOLLERR, 1, 0},
                {O_RDWR | O_ASYNC, 7, 20, EPOLLIN | EPOLLERR, 1, -EX_IMAGE},
                {~0u, 7, 20, EPOLLIN | EPOLLERR, 1, -EX_IMAGE},
                {O_RDWR, UINT32_MAX, 20, EPOLLIN | EPOLLERR, 1, -EX_IMAGE},
                {O_RDWR, 7, UINT32_MAX, EPOLLIN | EPOLLERR, 1, -EX_IMAGE},
                {O_RDWR, 7, 20, EPOLLIN | EPOLLERR | 1u << 27, 1, -EX_IMAGE},
                {O_RDWR, 7, 20, EPOLLIN, 1, -EX_IMAGE},
                {O_RDWR, 7, 20, EPOLLIN | EPOLLERR, 16385, -EX_IMAGE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct kt *t = kt_new();
                Gantry__FdEpoll *m = message(t, rows[i].n);
                m->flags = rows[i].flags;
                m->fd = rows[i].fd;
                m->target[0]->fd = rows[i].target;
                m->target[0]->events = rows[i].events;
                cr_assert_eq(kt_check(t, NULL), rows[i].want, "row %zu", i);
                kt_free(t);
        }
}
