/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two threads in Landlock domains of their own, beside two that are free, and a crowd of processes like them, of whom three are in one:
 * five refusals, and nobody has noticed that they were looked for. No child was ever seen or is left, no signal came, the lowest
 * descriptor is free, and only who was in a domain is.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

#define MAKE_FIFO (1u << 10) /* LANDLOCK_ACCESS_FS_MAKE_FIFO */
enum { THREADS = 3, CROWD = 12, ONE_ALONE = 5, ONE_WITH_CHILD = 7 };

static struct {
        pthread_barrier_t built, looked;
        char dir[256];
} the;
static volatile sig_atomic_t children;

static void on_sigchld(int sig)
{
        (void)sig;
        children++;
}

static void enter(void)
{
        uint64_t handled = MAKE_FIFO;
        int fd = (int)syscall(444, &handled, sizeof(handled), 0);

        VICTIM_MUST(fd >= 0);
        VICTIM_MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        VICTIM_MUST(syscall(446, fd, 0) == 0);
        VICTIM_MUST(close(fd) == 0);
}

static int make_fifo(long n)
{
        char path[320];

        snprintf(path, sizeof(path), "%s/fifo%ld", the.dir, n);
        int r = mkfifo(path, 0600) < 0 ? errno : 0;
        (void)unlink(path);
        return r;
}

static void *boxed(void *arg)
{
        long n = (long)arg;

        for (long i = 0; i < n; i++)
                enter();
        pthread_barrier_wait(&the.built);
        pthread_barrier_wait(&the.looked);
        return (void *)(long)make_fifo(n);
}

/* Each stays until `until` is closed on our side, and ends well if it may do what it could before. */
static void crowd_member(const int ready[2], const int until[2], int which)
{
        bool boxes = which == ONE_ALONE || which == ONE_WITH_CHILD;
        char c = 0;
        int status = 0;

        VICTIM_MUST(close(until[1]) == 0);
        if (boxes)
                enter();
        pid_t child = which == ONE_WITH_CHILD ? fork() : -1;
        VICTIM_MUST(write(ready[1], &c, 1) == 1);
        VICTIM_MUST(read(until[0], &c, 1) == 0);
        bool well = make_fifo(getpid()) == (boxes ? EACCES : 0);
        if (child > 0)
                well = well && waitpid(child, &status, 0) == child && status == 0;
        _exit(!well);
}

static void crowd_begin(pid_t crowd[CROWD], int *ret_until)
{
        int ready[2], until[2];
        char c;

        VICTIM_MUST(pipe2(ready, O_CLOEXEC) == 0 && pipe2(until, O_CLOEXEC) == 0);
        for (int i = 0; i < CROWD; i++) {
                crowd[i] = fork();
                VICTIM_MUST(crowd[i] >= 0);
                if (crowd[i] == 0)
                        crowd_member(ready, until, i);
        }
        for (int i = 0; i < CROWD + 1; i++) /* and a child of one */
                VICTIM_MUST(read(ready[0], &c, 1) == 1);
        VICTIM_MUST(close(ready[0]) == 0 && close(ready[1]) == 0 && close(until[0]) == 0);
        *ret_until = until[1];
}

static int crowd_end(const pid_t crowd[CROWD], int until)
{
        int status, bad = 0;

        VICTIM_MUST(close(until) == 0);
        for (int i = 0; i < CROWD; i++)
                bad += waitpid(crowd[i], &status, 0) != crowd[i] || status != 0;
        return bad;
}

int main(int argc, char **argv)
{
        pid_t crowd[CROWD];
        int until;
        struct victim v;
        struct sigaction sa = {.sa_handler = on_sigchld, .sa_flags = SA_RESTART};
        pthread_t t[THREADS];
        void *r;

        victim_begin(&v, argc, argv);
        snprintf(the.dir, sizeof(the.dir), "%s", v.dir);
        VICTIM_MUST(sigaction(SIGCHLD, &sa, NULL) == 0);
        crowd_begin(crowd, &until);
        VICTIM_MUST(pthread_barrier_init(&the.built, NULL, THREADS + 1) == 0);
        VICTIM_MUST(pthread_barrier_init(&the.looked, NULL, THREADS + 1) == 0);
        for (long i = 0; i < THREADS; i++) /* without, with 1 and with 2 layers */
                VICTIM_MUST(pthread_create(&t[i], NULL, boxed, (void *)i) == 0);
        pthread_barrier_wait(&the.built);
        victim_file(&v, "expect", "5\n");
        int lowest = dup(0);
        VICTIM_MUST(lowest >= 0 && close(lowest) == 0);

        victim_wait(&v);

        pthread_barrier_wait(&the.looked);
        for (long i = 0; i < THREADS; i++) {
                VICTIM_MUST(pthread_join(t[i], &r) == 0);
                VICTIM_CHECK(&v, (long)r == (i ? EACCES : 0), "a thread with %ld layers gets: %s", i, strerror((int)(long)r));
        }
        VICTIM_CHECK(&v, make_fifo(THREADS) == 0, "the first thread is in a domain: %s", strerror(errno));
        VICTIM_CHECK(&v, children == 0, "%d signals came", (int)children);
        int now = dup(0);
        VICTIM_CHECK(&v, now == lowest, "descriptor %d is taken", lowest);
        VICTIM_CHECK(&v, crowd_end(crowd, until) == 0, "a process of the crowd is not what it was");
        VICTIM_CHECK(&v, waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD, "a child is left: %s", strerror(errno));
        VICTIM_CHECK(&v, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "no_new_privs is set");
        return victim_end(&v);
}
