/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console controls the session of a child that does not hold it, with a job of that session in front. Whoever holds it
 * first, descriptor 0 of this program, has no controlling terminal at all.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/victim/victim.h"

struct seen { pid_t session, front, job; int error; };

/* By /dev/tty, which is the controlling terminal of whoever opens it. */
static struct seen look(pid_t job)
{
        int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
        struct seen s = {.job = job, .error = tty < 0 ? errno : 0};

        s.session = tty < 0 ? -1 : tcgetsid(tty);
        s.front = tty < 0 ? -1 : tcgetpgrp(tty);
        if (tty >= 0)
                close(tty);
        return s;
}

/* Leads a session of its own, has a child in front, lets go of the terminal, and says what it sees whenever it is asked. */
static void lead(int ask, int tell)
{
        char c;

        signal(SIGTTOU, SIG_IGN);
        VICTIM_MUST(setsid() > 0 && ioctl(0, TIOCSCTTY, 0) == 0);
        pid_t job = fork();
        VICTIM_MUST(job >= 0);
        if (job == 0) {
                VICTIM_MUST(close(0) == 0 && close(tell) == 0 && close(ask) == 0);
                for (;;)
                        pause();
        }
        VICTIM_MUST(setpgid(job, job) == 0 && tcsetpgrp(0, job) == 0);
        VICTIM_MUST(close(0) == 0);
        for (;;) {
                struct seen s = look(job);
                VICTIM_MUST(write(tell, &s, sizeof(s)) == sizeof(s));
                VICTIM_MUST(read(ask, &c, 1) == 1);
        }
}

int main(int argc, char **argv)
{
        struct victim v;
        int ask[2], tell[2];
        struct seen before, after = {};

        victim_begin(&v, argc, argv);
        VICTIM_MUST(isatty(0));
        signal(SIGHUP, SIG_IGN);
        VICTIM_MUST(ioctl(0, TIOCNOTTY) == 0);
        VICTIM_MUST(pipe(ask) == 0 && pipe(tell) == 0);
        pid_t child = fork();
        VICTIM_MUST(child >= 0);
        if (child == 0) {
                close(ask[1]);
                close(tell[0]);
                lead(ask[0], tell[1]);
        }
        close(ask[0]);
        close(tell[1]);
        VICTIM_MUST(read(tell[0], &before, sizeof(before)) == sizeof(before));
        VICTIM_MUST(before.session == child && before.front == before.job && !before.error);

        victim_wait(&v);

        VICTIM_CHECK(&v, write(ask[1], "?", 1) == 1 && read(tell[0], &after, sizeof(after)) == sizeof(after), "the leader does not answer");
        VICTIM_CHECK(&v, after.error == 0, "the session has no terminal: %s", strerror(after.error));
        VICTIM_CHECK(&v, after.session == child, "the terminal controls session %d, not %d", after.session, child);
        VICTIM_CHECK(&v, after.front == before.front, "group %d is in front, not %d", after.front, before.front);
        VICTIM_CHECK(&v, look(0).error == ENXIO, "this program has a controlling terminal");
        return victim_end(&v);
}
