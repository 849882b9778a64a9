/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three interval timers (alarm(2) is one of them): asked by getitimer, armed in PH_PARK.
 *
 * What is left at the freeze is what is left at the thaw: time that passes between the two is not the program's. A timer that
 * rang in the meantime is a pending signal already. Those that are armed wait for the thaw under a frozen cgroup.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-itimer.pb-c.h"

#define N_TIMERS 3
#define MICRO UINT64_C(1000000)
#define MAX_US (UINT64_C(1) << 62)

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, N_TIMERS * sizeof(struct itimerval)); /* offset 0 */
        for (uint32_t i = 0; i < N_TIMERS; i++)
                TAPE(t, __NR_getitimer, A_IMM(i), A_DATA(at + i * (uint32_t)sizeof(struct itimerval)));
        return 0;
}

static uint64_t to_us(const struct timeval *tv)
{
        return (uint64_t)tv->tv_sec * MICRO + (uint64_t)tv->tv_usec;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct itimerval v[N_TIMERS];

        (void)d;
        (void)fd;
        memcpy(v, tape_out(t, 0), sizeof(v));
        Gantry__TaskItimer *m = KIND_NEW(Gantry__TaskItimer, gantry__task_itimer__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->timer = kind_calloc(N_TIMERS, sizeof(*m->timer));
        if (!m->timer)
                return kind_nomem(err);
        for (uint32_t i = 0; i < N_TIMERS; i++) {
                if (!to_us(&v[i].it_value) && !to_us(&v[i].it_interval))
                        continue;
                Gantry__TaskItimer__Timer *x = KIND_NEW(Gantry__TaskItimer__Timer, gantry__task_itimer__timer__init);
                if (!x)
                        return kind_nomem(err);
                m->timer[m->n_timer++] = x;
                x->which = i;
                x->value_us = to_us(&v[i].it_value);
                x->interval_us = to_us(&v[i].it_interval);
        }
        return field_record(&kind_task_itimer, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskItimer *m = (const Gantry__TaskItimer *)r->msg;
        unsigned seen = 0;

        (void)need;
        for (size_t i = 0; i < m->n_timer; i++) {
                const Gantry__TaskItimer__Timer *x = m->timer[i];
                if (x->which >= N_TIMERS || (seen & 1u << x->which))
                        return kind_bad(&kind_task_itimer, r, err, "a timer is none, or is told twice");
                if (x->value_us > MAX_US || x->interval_us > MAX_US)
                        return kind_bad(&kind_task_itimer, r, err, "a timer's time is impossible");
                seen |= 1u << x->which;
        }
        return 0;
}

static struct timeval from_us(uint64_t us)
{
        return (struct timeval){.tv_sec = (time_t)(us / MICRO), .tv_usec = (suseconds_t)(us % MICRO)};
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskItimer *m = (const Gantry__TaskItimer *)r->msg;

        (void)err;
        if (!m->n_timer)
                return 0;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "arm interval timers (task-itimer %llu)", (unsigned long long)r->id);
        for (size_t i = 0; i < m->n_timer; i++) {
                const Gantry__TaskItimer__Timer *x = m->timer[i];
                struct itimerval v = {.it_value = from_us(x->value_us), .it_interval = from_us(x->interval_us)};
                TAPE(t, __NR_setitimer, A_IMM(x->which), A_DATA(tape_data(t, &v, sizeof(v))), A_IMM(0));
        }
        return 0;
}

const struct kind kind_task_itimer = {
        .stem = "task-itimer",
        .number = KIND_TASK_ITIMER,
        .cls = CLS_TASK,
        .msg = &gantry__task_itimer__descriptor,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_PARK] = plan_park},
};
