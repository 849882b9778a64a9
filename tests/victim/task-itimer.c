/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interval timers: what is left, the period, and that one rings. */
#include <signal.h>
#include <sys/time.h>

#include "tests/victim/victim.h"

static volatile int rang;

static void handler(int sig)
{
        (void)sig;
        rang = 1;
}

static double seconds(const struct timeval *t)
{
        return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct itimerval now;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(signal(SIGALRM, handler) != SIG_ERR && signal(SIGPROF, SIG_IGN) != SIG_ERR);
        VICTIM_MUST(setitimer(ITIMER_REAL, &(struct itimerval){{3600, 0}, {7200, 250000}}, NULL) == 0);
        VICTIM_MUST(setitimer(ITIMER_VIRTUAL, &(struct itimerval){{11, 0}, {5000, 0}}, NULL) == 0);
        VICTIM_MUST(setitimer(ITIMER_PROF, &(struct itimerval){{0, 0}, {5001, 500000}}, NULL) == 0);

        victim_wait(&v);

        VICTIM_MUST(getitimer(ITIMER_REAL, &now) == 0);
        double left = seconds(&now.it_value);
        VICTIM_CHECK(&v, seconds(&now.it_interval) == 3600 && left > 7140 && left < 7200.3, "the real timer: %.3f of %.3f", left,
                     seconds(&now.it_interval));
        VICTIM_MUST(getitimer(ITIMER_VIRTUAL, &now) == 0);
        left = seconds(&now.it_value);
        VICTIM_CHECK(&v, seconds(&now.it_interval) == 11 && left > 4990 && left < 5001, "the virtual timer: %.3f", left);
        VICTIM_MUST(getitimer(ITIMER_PROF, &now) == 0);
        left = seconds(&now.it_value);
        VICTIM_CHECK(&v, seconds(&now.it_interval) == 0 && left > 4990 && left < 5002, "the profile timer: %.3f", left);
        VICTIM_MUST(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL) == 0);
        for (int i = 0; i < 400 && !rang; i++)
                usleep(5000);
        VICTIM_CHECK(&v, rang, "the timer does not ring");
        return victim_end(&v);
}
