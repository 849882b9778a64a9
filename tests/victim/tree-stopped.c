/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children that job control has stopped: by each of two signals, with and without the parent having been told, one of two
 * threads. They stay stopped, nobody is told twice, and each goes on where it was when it is told to.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

enum { SIGSTOP_KNOWN, SIGSTOP_NEW, SIGTSTP_KNOWN, SIGTSTP_NEW, THREADS, N };

static unsigned *count;              /* shared with the children: two counters each */
static volatile sig_atomic_t told;

static void on_child(int sig)
{
        (void)sig;
        told++;
}

static void nap(long ms)
{
        const struct timespec t = {.tv_nsec = ms * 1000000};

        nanosleep(&t, NULL);
}

static void *counts(void *arg)
{
        for (unsigned *c = arg;;) {
                __atomic_add_fetch(c, 1, __ATOMIC_SEQ_CST);
                nap(1);
        }
        return NULL;
}

static void child(int i)
{
        pthread_t t;

        if (setpgid(0, 0) < 0 || (i == THREADS && pthread_create(&t, NULL, counts, count + 2 * i + 1) != 0))
                _exit(99);
        counts(count + 2 * i);
}

static int signal_of(int i)
{
        return i == SIGTSTP_KNOWN || i == SIGTSTP_NEW ? SIGTSTP : SIGSTOP;
}

static bool known(int i)
{
        return i == SIGSTOP_KNOWN || i == SIGTSTP_KNOWN;
}

static unsigned now(int i, int which)
{
        return __atomic_load_n(&count[2 * i + which], __ATOMIC_SEQ_CST);
}

static bool moves(int i)
{
        unsigned a = now(i, 0), b = now(i, 1);

        for (int k = 0; k < 1000; k++) {
                nap(2);
                if (now(i, 0) != a && (i != THREADS || now(i, 1) != b))
                        return true;
        }
        return false;
}

static bool stands(int i)
{
        unsigned a = now(i, 0), b = now(i, 1);

        nap(50);
        return now(i, 0) == a && now(i, 1) == b;
}

int main(int argc, char **argv)
{
        struct victim v;
        pid_t pid[N];
        siginfo_t s;

        victim_begin(&v, argc, argv);
        count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        VICTIM_MUST(count != MAP_FAILED && signal(SIGCHLD, on_child) != SIG_ERR);
        for (int i = 0; i < N; i++) {
                pid[i] = fork();
                VICTIM_MUST(pid[i] >= 0);
                if (pid[i] == 0)
                        child(i);
        }
        for (int i = 0; i < N; i++) {
                VICTIM_MUST(moves(i) && sigqueue(pid[i], signal_of(i), (union sigval){0}) == 0);
                VICTIM_MUST(waitid(P_PID, (id_t)pid[i], &s, WSTOPPED | (known(i) ? 0 : WNOWAIT)) == 0);
        }
        told = 0;

        victim_wait(&v);

        VICTIM_CHECK(&v, told == 0, "%d signals of stops long ago", (int)told);
        for (int i = 0; i < N; i++) {
                VICTIM_CHECK(&v, stands(i), "child %d runs", i);
                s = (siginfo_t){0};
                int r = waitid(P_PID, (id_t)pid[i], &s, WSTOPPED | WNOHANG);
                VICTIM_CHECK(&v, r == 0 && s.si_pid == (known(i) ? 0 : pid[i]) && (known(i) || s.si_status == signal_of(i)),
                             "child %d: told of pid %d, status %d", i, (int)s.si_pid, s.si_status);
                VICTIM_CHECK(&v, sigqueue(pid[i], SIGCONT, (union sigval){0}) == 0, "child %d is gone", i);
                VICTIM_CHECK(&v, moves(i), "child %d does not go on", i);
                VICTIM_CHECK(&v, waitid(P_PID, (id_t)pid[i], &s, WCONTINUED | WNOHANG) == 0 && s.si_pid == pid[i], "child %d: nobody is told", i);
                VICTIM_CHECK(&v, sigqueue(pid[i], SIGKILL, (union sigval){0}) == 0 && waitid(P_PID, (id_t)pid[i], &s, WEXITED) == 0 &&
                             s.si_code == CLD_KILLED, "child %d does not end", i);
        }
        return victim_end(&v);
}
