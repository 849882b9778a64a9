/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console, which the driver gives as descriptor 0: modes, size, a job in front, /dev/tty, unread input ("typed\n" and
 * "ha", which the driver types after "ready").
 */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct termios a, b;
        struct winsize ws = {33, 99, 0, 0}, now;

        victim_begin(&v, argc, argv);
        VICTIM_MUST(isatty(0));
        VICTIM_MUST(tcgetattr(0, &a) == 0);
        a.c_lflag &= ~(tcflag_t)ECHOK;
        a.c_cc[VKILL] = 1;
        VICTIM_MUST(tcsetattr(0, TCSANOW, &a) == 0);
        VICTIM_MUST(ioctl(0, TIOCSWINSZ, &ws) == 0);
        pid_t sid = tcgetsid(0), job = -1;
        int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
        VICTIM_MUST(tty >= 0);
        if (sid == getsid(0)) {
                job = fork();
                VICTIM_MUST(job >= 0);
                if (job == 0) {
                        setpgid(0, 0);
                        for (;;)
                                pause();
                }
                VICTIM_MUST(setpgid(job, job) == 0 || errno == EACCES);
                VICTIM_MUST(tcsetpgrp(0, job) == 0);
        }

        victim_wait(&v);

        VICTIM_CHECK(&v, tcgetattr(0, &b) == 0 && a.c_lflag == b.c_lflag && b.c_cc[VKILL] == 1, "modes differ");
        VICTIM_CHECK(&v, ioctl(0, TIOCGWINSZ, &now) == 0 && now.ws_row == 33 && now.ws_col == 99, "the size is %u×%u",
                     now.ws_row, now.ws_col);
        VICTIM_CHECK(&v, tcgetsid(0) == sid, "it controls session %d, not %d", (int)tcgetsid(0), (int)sid);
        VICTIM_CHECK(&v, tcgetsid(tty) == sid, "/dev/tty is another terminal");
        if (job > 0) {
                VICTIM_CHECK(&v, tcgetpgrp(0) == job, "group %d is in front, not %d", (int)tcgetpgrp(0), (int)job);
                siginfo_t si = {};
                VICTIM_CHECK(&v, waitid(P_PID, (id_t)job, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0, "the job has ended");
        }
        signal(SIGTTOU, SIG_IGN);
        VICTIM_CHECK(&v, tcsetpgrp(0, getpgrp()) == 0, "it cannot come to the front: %s", strerror(errno));
        struct pollfd p = {.fd = 0, .events = POLLIN};
        char buf[64] = "";
        VICTIM_CHECK(&v, poll(&p, 1, 0) == 1 && read(0, buf, sizeof(buf)) == 6 && memcmp(buf, "typed\n", 6) == 0,
                     "what was typed is \"%s\"", buf);
        VICTIM_CHECK(&v, poll(&p, 1, 0) == 0, "a half-typed line can be read");
        return victim_end(&v);
}
