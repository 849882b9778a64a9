/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The relay of an interactive exec (engine/relay.h): bytes both ways, window size by SIGWINCH through a signalfd, our terminal
 * raw while it lasts and as before afterwards, SIGTERM included. What the program wrote before it ended is still read: a master gives EIO
 * only when it is empty and no slave is open.
 */
#include "engine/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/sys.h"

static void copy_size(int master)
{
        struct winsize w;

        if (ioctl(0, TIOCGWINSZ, &w) == 0)
                (void)ioctl(master, TIOCSWINSZ, &w); /* cosmetic */
}

/* false: end of file or broken. */
static bool pump(int from, int to)
{
        char buf[4096];
        int64_t n = sys_read(from, buf, sizeof(buf));

        if (n == -EINTR || n == -EAGAIN)
                return true;
        return n > 0 && fd_write_full(to, buf, (size_t)n, NULL) == 0;
}

/* true: SIGTERM came. */
static bool take_signal(int fd, int master)
{
        struct signalfd_siginfo si;

        if (sys_read(fd, &si, sizeof(si)) <= 0)
                return false;
        if (si.ssi_signo == SIGTERM)
                return true;
        copy_size(master);
        return false;
}

/* true: ended by SIGTERM. */
static bool shuffle(int pidfd, int master, int signals)
{
        struct pollfd p[4] = {{.fd = 0, .events = POLLIN}, {.fd = master, .events = POLLIN}, {.fd = signals, .events = POLLIN},
                              {.fd = pidfd, .events = POLLIN}};

        for (;;) {
                if (poll(p, 4, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return false;
                }
                if (p[0].revents && !pump(0, master))
                        p[0].fd = -1;
                if (p[1].revents && !pump(master, 1))
                        return false;
                if (p[2].revents && take_signal(signals, master))
                        return true;
                if (p[3].revents && !(p[1].revents & POLLIN))
                        return false;
        }
}

int relay_run(int pidfd, int master, int *ret_status, struct err *err)
{
        struct termios old, raw;
        sigset_t set, before;

        if (master < 0 || tcgetattr(0, &old) < 0)
                return pidfd_wait(pidfd, -1, ret_status, err);
        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &set, &before) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot block a signal", "SIGWINCH");
        _cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        raw = old;
        cfmakeraw(&raw);
        (void)tcsetattr(0, TCSAFLUSH, &raw); /* without it the relay still works, line by line */
        copy_size(master);
        bool ended = shuffle(pidfd, master, signals);
        (void)tcsetattr(0, TCSAFLUSH, &old);
        if (ended) /* the program is not waited for: it has its SIGHUP when we and the master are gone */
                return err_set(err, EX_INTERRUPTED, "cannot wait for the program", "the command was ended", "%s", "");
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return pidfd_wait(pidfd, -1, ret_status, err);
}
