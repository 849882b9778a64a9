/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals pending for one thread: order, payload, sender, code; a real-time signal queued several times. */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "tests/victim/gate.h"
#include "tests/victim/victim.h"

static volatile int go, ready, bad;
static pid_t tid;

static void *one(void *arg)
{
        sigset_t s;
        siginfo_t i;

        (void)arg;
        tid = (pid_t)syscall(SYS_gettid);
        ready = 1;
        bad |= gate_wait(&go) ? 8 : 0;
        sigfillset(&s);
        for (int k = 0; k < 3; k++) {
                int sig = sigtimedwait(&s, &i, &(struct timespec){0, 0});
                /* 10 before the real-time ones, which come by number and then in order */
                if (k == 0)
                        bad |= sig != 10 || (i.si_code != SI_TKILL && i.si_code != SI_USER /* the C library's */) || i.si_pid != getpid() ? 1 : 0;
                else
                        bad |= sig != 40 || i.si_code != SI_QUEUE || i.si_value.sival_int != k ? 2 : 0;
        }
        bad |= sigtimedwait(&s, &i, &(struct timespec){0, 0}) >= 0 ? 4 : 0;
        return NULL;
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_t t;
        sigset_t s;

        victim_begin(&v, argc, argv);
        sigfillset(&s);
        sigdelset(&s, SIGTRAP);
        VICTIM_MUST(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0 && pthread_create(&t, NULL, one, NULL) == 0);
        while (!ready)
                usleep(1000);
        for (int k = 1; k < 3; k++) {
                siginfo_t i = {.si_signo = 40, .si_code = SI_QUEUE};
                i.si_pid = getpid();
                i.si_value.sival_int = k;
                VICTIM_MUST(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, 40, &i) == 0);
        }
        VICTIM_MUST(syscall(SYS_tgkill, getpid(), tid, 10) == 0);

        victim_wait(&v);

        gate_open(&go);
        VICTIM_CHECK(&v, pthread_join(t, NULL) == 0 && bad == 0, "the thread's signals differ: %x", (unsigned)bad);
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        VICTIM_CHECK(&v, sigismember(&mask, 12) == 1 && sigismember(&mask, SIGTRAP) == 0, "the mask differs");
        return victim_end(&v);
}
