/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that sleep in nanosleep, clock_nanosleep, futex and poll, for a time of which the program keeps no rest: each
 * must end when it would have, plus the time that the whole program stood still, and none may see EINTR.
 *
 * It asks to be dumped when a third of the time is over, so that a sleep which begins anew is late by that.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

#define MS UINT64_C(1000000)
#define SLEEP_MS 6000u
#define BEFORE_MS 2000u
#define TICK_MS 20u
#define LATE_MS 500u

static const struct timespec span = {SLEEP_MS / 1000, 0};
static const char *const names[] = {"nanosleep", "clock_nanosleep", "futex", "poll"};
struct sleep { unsigned which; uint64_t took; long ret; int error; };

static uint64_t now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

static void *sleeper(void *arg)
{
        const struct timespec *volatile none = NULL;
        struct sleep *s = arg;
        uint32_t word = 0;
        uint64_t start = now();

        errno = 0;
        if (s->which == 0)
                s->ret = syscall(SYS_nanosleep, &span, none);
        else if (s->which == 1)
                s->ret = syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &span, NULL);
        else if (s->which == 2)
                s->ret = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &span, NULL, 0);
        else
                s->ret = syscall(SYS_poll, NULL, 0, SLEEP_MS);
        s->error = errno;
        s->took = now() - start;
        return NULL;
}

/* One tick; what it took beyond itself is time in which the program stood still. */
static uint64_t tick(struct victim *v)
{
        const struct timespec t = {.tv_nsec = (long)(TICK_MS * MS)};
        uint64_t start = now();

        if (nanosleep(&t, NULL) < 0 && errno == EINTR)
                v->eintr++;
        uint64_t took = now() - start;
        return took > TICK_MS * MS ? took - TICK_MS * MS : 0;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct sleep s[4] = {{0}};
        pthread_t th[4];
        uint64_t still = 0;

        victim_begin(&v, argc, argv);
        uint64_t start = now();
        for (unsigned i = 0; i < 4; i++) {
                s[i].which = i;
                VICTIM_MUST(pthread_create(&th[i], NULL, sleeper, &s[i]) == 0);
        }
        while (now() - start < BEFORE_MS * MS)
                still += tick(&v);
        victim_file(&v, "ready", "ready\n");
        while (!victim_asked(&v))
                still += tick(&v);
        VICTIM_CHECK(&v, v.eintr == 0, "%u sleeps ended with EINTR", v.eintr);
        for (unsigned i = 0; i < 4; i++) {
                bool timed_out = i == 2;
                VICTIM_MUST(pthread_join(th[i], NULL) == 0);
                VICTIM_CHECK(&v, s[i].ret == (timed_out ? -1 : 0) && s[i].error == (timed_out ? ETIMEDOUT : 0),
                             "%s gave %ld: %s", names[i], s[i].ret, strerror(s[i].error));
                VICTIM_CHECK(&v, s[i].took >= SLEEP_MS * MS && s[i].took <= SLEEP_MS * MS + still + LATE_MS * MS,
                             "%s took %llu ms of %u, and the program stood still for %llu", names[i],
                             (unsigned long long)(s[i].took / MS), SLEEP_MS, (unsigned long long)(still / MS));
        }
        return victim_end(&v);
}
