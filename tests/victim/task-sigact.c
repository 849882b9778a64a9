/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signal dispositions: handlers with their flags and masks, ignored ones (SIGTRAP too), defaults; and a handler that runs. */
#include <signal.h>

#include "tests/victim/victim.h"

static volatile int got, got_value;

static void handler(int sig, siginfo_t *info, void *uc)
{
        (void)uc;
        got = sig;
        got_value = info->si_value.sival_int;
}

static void plain(int sig)
{
        got = sig;
}

static bool same(const struct sigaction *a, const struct sigaction *b)
{
        for (int s = 1; s < 65; s++)
                if (sigismember(&a->sa_mask, s) != sigismember(&b->sa_mask, s))
                        return false;
        return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags;
}

int main(int argc, char **argv)
{
        struct victim v;
        static struct sigaction set[65];

        victim_begin(&v, argc, argv);
        for (int s = 1; s < 65; s++) {
                struct sigaction a = {0};
                if (s == SIGKILL || s == SIGSTOP || (s >= 32 && s <= 33))
                        continue;
                sigemptyset(&a.sa_mask);
                if (s % 4 == 1) {
                        a.sa_sigaction = handler;
                        a.sa_flags = SA_SIGINFO | (s % 8 == 1 ? SA_RESTART | SA_NODEFER : SA_ONSTACK);
                        sigaddset(&a.sa_mask, s % 60 + 2);
                } else if (s % 4 == 2) {
                        a.sa_handler = SIG_IGN;
                } else if (s % 4 == 3) {
                        a.sa_handler = plain;
                        a.sa_flags = SA_NOCLDSTOP;
                        sigfillset(&a.sa_mask);
                }
                if (s == SIGTRAP) {   /* an engine that lets tapes end by a trap must not lose it */
                        a = (struct sigaction){.sa_handler = SIG_IGN, .sa_flags = SA_RESTART};
                        sigaddset(&a.sa_mask, SIGUSR2);
                }
                VICTIM_MUST(sigaction(s, &a, NULL) == 0);
                VICTIM_MUST(sigaction(s, NULL, &set[s]) == 0);
        }

        victim_wait(&v);

        for (int s = 1; s < 65; s++) {
                struct sigaction now;
                if (s == SIGKILL || s == SIGSTOP || (s >= 32 && s <= 33))
                        continue;
                VICTIM_CHECK(&v, sigaction(s, NULL, &now) == 0 && same(&now, &set[s]), "signal %d has another disposition", s);
        }
        VICTIM_MUST(sigqueue(getpid(), 41, (union sigval){.sival_int = 4711}) == 0);
        VICTIM_CHECK(&v, got == 41 && got_value == 4711, "the handler saw %d, %d", got, got_value);
        VICTIM_MUST(sigqueue(getpid(), 42, (union sigval){0}) == 0 && raise(39) == 0);
        VICTIM_CHECK(&v, got == 39, "the plain handler saw %d", got);
        return victim_end(&v);
}
