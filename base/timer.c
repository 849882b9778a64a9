/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phase timers (base/timer.h): stamps of CLOCK_MONOTONIC under static names, in a table of fixed size.
 *
 * A full table takes no further phase: a report then misses its last lines, nothing else happens.
 */
#include "base/timer.h"

#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"

uint64_t now_ns(void)
{
        struct timespec t = {};

        clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void timers_stop(struct timers *t)
{
        if (t->n && !t->at[t->n - 1].end_ns)
                t->at[t->n - 1].end_ns = now_ns();
}

void timers_start(struct timers *t, const char *name)
{
        timers_stop(t);
        if (t->n < ELEMENTSOF(t->at))
                t->at[t->n++] = (struct phase_time){.name = name, .start_ns = now_ns()};
}

uint64_t timers_ns(const struct timers *t, const char *name)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < t->n; i++) {
                const struct phase_time *p = &t->at[i];
                if (str_eq(p->name, name))
                        sum += (p->end_ns ? p->end_ns : now_ns()) - p->start_ns;
        }
        return sum;
}
