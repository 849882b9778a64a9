/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The controlling terminal of a session: who is asked for what, what no terminal is, and the leader's tape. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "proto/task-tty.pb-c.h"
#include "tests/unit/records.h"

Test(task_tty, records)
{
        Gantry__TaskTty m = GANTRY__TASK_TTY__INIT;
        static uint8_t modes[44];

        ACCEPTED(&kind_task_tty, m);
        REFUSED(&kind_task_tty, m, m.has_foreground = true; m.foreground = 7);
        m.has_terminal = true;
        ACCEPTED(&kind_task_tty, m);
        PLANNED(&kind_task_tty, m, PH_BIND, "\"/dev/pts/0\"");
        m.has_termios = true;
        m.termios = (ProtobufCBinaryData){sizeof(modes), modes};
        ACCEPTED(&kind_task_tty, m);
        PLANNED(&kind_task_tty, m, PH_BIND, "0x5414");   /* TIOCSWINSZ */
        REFUSED(&kind_task_tty, m, m.termios.len = 43);
        REFUSED(&kind_task_tty, m, m.has_rows = true; m.rows = 65536);
        REFUSED(&kind_task_tty, m, m.terminal = 0x100000);
        REFUSED(&kind_task_tty, m, m.has_foreground = true; m.foreground = UINT32_MAX);
}

/* In a child that shares nothing with the test's own machinery. */
#define MUST(x)                                                                                              \
        do {                                                                                                 \
                if (!(x))                                                                                    \
                        _exit(__LINE__ & 0xff);                                                              \
        } while (0)

/* A child that leads a session on `slave`, with a group in front; what its parent is told by the exit status. */
static void session(const char *slave, int index, bool hold)
{
        struct kt *t = kt_new();
        struct proc_stat s = {.pid = 7, .session = 7, .tpgid = getpid()};
        struct facts f = {.cls = CLS_TASK, .shown_pid = 7, .comm = "x", .task = {.stat = &s}};
        struct winsize ws = {40, 132, 0, 0};
        unsigned dev = 0;

        kt_console(t, index);
        signal(SIGTTOU, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        MUST(setsid() > 0);
        int fd = open(slave, O_RDWR);
        MUST(fd >= 0 && tcgetsid(fd) == getpid());
        MUST(ioctl(fd, TIOCSWINSZ, &ws) == 0 && ioctl(fd, TIOCGDEV, &dev) == 0);
        s.tty_nr = (int)dev;   /* the same encoding */
        uint64_t id = kt_add(t, &kind_task_tty, &f);
        if (hold)
                kt_add_fd(t, fd);
        else
                close(fd);
        MUST(kt_try_dump(t, NULL) == 0);
        const Gantry__TaskTty *m = (const void *)kt_record(t, id)->msg;
        MUST(m->has_terminal && m->has_foreground && m->foreground == (uint32_t)getpid());
        MUST(m->has_termios == !hold);
        if (!hold)
                MUST(m->rows == 40 && m->columns == 132);
        int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
        MUST(tty >= 0 && ioctl(tty, TIOCNOTTY) == 0 && close(tty) == 0);
        kt_close(t);
        uint64_t entries;
        MUST(kt_try_restore(t, 0, &entries, NULL) == 0);
        tty = open("/dev/tty", O_RDWR | O_NOCTTY);
        MUST(tty >= 0);
        MUST(tcgetsid(tty) == getpid() && tcgetpgrp(tty) == getpid());
        kt_free(t);
        _exit(0);
}

static void in_child(bool hold)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), index = -1, status = -1;
        char slave[64];

        cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 && ptsname_r(master, slave, sizeof(slave)) == 0);
        cr_assert_eq(ioctl(master, TIOCGPTN, &index), 0);
        pid_t child = fork();
        if (child == 0)
                session(slave, index, hold);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "the session's child ended with %x", (unsigned)status);
        close(master);
}

Test(task_tty, held)
{
        in_child(true);
}

Test(task_tty, held_by_nobody)
{
        in_child(false);
}

Test(task_tty, refused)
{
        struct proc_stat s = {.pid = 7, .session = 7, .tty_nr = 136 << 8 | 3};
        struct facts f = {.cls = CLS_TASK, .shown_pid = 7, .comm = "x", .task = {.stat = &s}};
        struct err err = {};
        struct kt *t = kt_new();

        kt_console(t, 4);
        uint64_t id = kt_add(t, &kind_task_tty, &f);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "another pty");
        s.session = 6;
        kt_free(t);
        t = kt_new();
        id = kt_add(t, &kind_task_tty, &f);
        kt_dump(t);
        cr_assert_not(((const Gantry__TaskTty *)(const void *)kt_record(t, id)->msg)->has_terminal, "it leads no session");
        kt_free(t);
}
