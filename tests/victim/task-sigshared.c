/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals pending for a process: real-time ones with payload, one of a child that ended, a plain one. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        siginfo_t i;
        sigset_t s;

        victim_begin(&v, argc, argv);
        sigfillset(&s);
        sigdelset(&s, SIGTRAP);
        VICTIM_MUST(sigprocmask(SIG_SETMASK, &s, NULL) == 0);
        for (int k = 0; k < 5; k++)
                VICTIM_MUST(sigqueue(getpid(), 50, (union sigval){.sival_int = 100 + k}) == 0);
        VICTIM_MUST(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = &v}) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0)
                _exit(9);
        int status = 0;
        VICTIM_MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 9);

        victim_wait(&v);

        sigemptyset(&s);
        sigaddset(&s, SIGUSR1);
        int sig = sigtimedwait(&s, &i, &(struct timespec){0, 0});
        VICTIM_CHECK(&v, sig == SIGUSR1 && i.si_code == SI_QUEUE && i.si_value.sival_ptr == &v && i.si_pid == getpid(),
                     "SIGUSR1: %d, code %d", sig, i.si_code);
        sigaddset(&s, SIGCHLD);
        sig = sigtimedwait(&s, &i, &(struct timespec){0, 0});
        VICTIM_CHECK(&v, sig == SIGCHLD && i.si_code == CLD_EXITED && i.si_pid == child && i.si_status == 9,
                     "SIGCHLD: %d, code %d, status %d", sig, i.si_code, i.si_status);
        sigaddset(&s, 50);
        for (int k = 0; k < 5; k++) {
                sig = sigtimedwait(&s, &i, &(struct timespec){0, 0});
                VICTIM_CHECK(&v, sig == 50 && i.si_value.sival_int == 100 + k, "queued signal %d: %d, %d", k, sig,
                             i.si_value.sival_int);
        }
        VICTIM_CHECK(&v, sigtimedwait(&s, &i, &(struct timespec){0, 0}) < 0, "one signal too many");
        return victim_end(&v);
}
