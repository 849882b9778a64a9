/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console: modes, size, unread input in lines and in part; a dump gives back what it read; other terminals are
 * refused. Putting input back takes CAP_SYS_ADMIN: without it those tests are skipped, and say so.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "proto/fd-pty.pb-c.h"
#include "tests/unit/harness.h"

struct pair { int master, slave, index; };

static struct pair make(struct kt *t)
{
        struct pair p = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
        char name[64];

        cr_assert_geq(p.master, 0);
        cr_assert(grantpt(p.master) == 0 && unlockpt(p.master) == 0);
        cr_assert_eq(ptsname_r(p.master, name, sizeof(name)), 0);
        cr_assert_eq(ioctl(p.master, TIOCGPTN, &p.index), 0);
        p.slave = open(name, O_RDWR | O_NOCTTY);
        cr_assert_geq(p.slave, 0);
        kt_console(t, p.index);
        return p;
}

static bool may_put_back(int slave)
{
        if (geteuid() == 0)
                return true;
        (void)slave;
        cr_skip("needs CAP_SYS_ADMIN");
        return false;
}

static void typed(struct pair p, const char *text)
{
        cr_assert_eq(write(p.master, text, strlen(text)), (ssize_t)strlen(text));
        /* The line discipline is filled by a worker: what was typed has come when its echo has. */
        char buf[4096];
        struct pollfd f = {.fd = p.master, .events = POLLIN};
        while (poll(&f, 1, 100) == 1 && read(p.master, buf, sizeof(buf)) > 0)
                ;
}

static const char *get(int fd)
{
        static char buf[4096];
        struct pollfd f = {.fd = fd, .events = POLLIN};

        if (poll(&f, 1, 0) != 1)
                return NULL;
        ssize_t n = read(fd, buf, sizeof(buf) - 1);
        cr_assert_geq(n, 0);
        buf[n] = '\0';
        return buf;
}

Test(fd_pty, modes_and_size)
{
        struct kt *t = kt_new();
        struct pair p = make(t);
        struct winsize ws = {40, 132, 7, 9}, ws2 = {};
        struct termios a, b;

        cr_assert_eq(ioctl(p.slave, TIOCSWINSZ, &ws), 0);
        cr_assert_eq(tcgetattr(p.slave, &a), 0);
        a.c_lflag &= ~(tcflag_t)ECHO;
        a.c_cc[VERASE] = 8;
        cr_assert_eq(tcsetattr(p.slave, TCSANOW, &a), 0);
        cr_assert_eq(fcntl(p.slave, F_SETFL, O_NONBLOCK), 0);
        cr_assert_eq(ioctl(p.slave, TIOCEXCL), 0);
        kt_add_fd(t, p.slave);
        kt_dump(t);
        kt_close(t);
        /* What a fresh terminal has. */
        cr_assert_eq(ioctl(p.master, TIOCSWINSZ, &ws2), 0);
        kt_sweep(t);
        cr_assert_eq(ioctl(p.slave, TIOCGWINSZ, &ws2), 0);
        cr_assert(memcmp(&ws, &ws2, sizeof(ws)) == 0);
        cr_assert_eq(tcgetattr(p.slave, &b), 0);
        cr_assert(a.c_lflag == b.c_lflag && memcmp(a.c_cc, b.c_cc, sizeof(a.c_cc)) == 0);
        cr_assert(fcntl(p.slave, F_GETFL) & O_NONBLOCK);
        int excl = 0;
        cr_assert(ioctl(p.slave, TIOCGEXCL, &excl) == 0 && excl);
        kt_free(t);
}

static void expect_input(struct pair p)
{
        cr_assert_str_eq(get(p.slave), "first\n");
        cr_assert_str_eq(get(p.slave), "no end", "a line ended by ^D");
        cr_assert_str_eq(get(p.slave), "third\n");
        cr_assert_null(get(p.slave), "a half-typed line became readable");
        typed(p, "ed\n");
        cr_assert_str_eq(get(p.slave), "half typed\n");
        cr_assert_null(get(p.slave));
}

Test(fd_pty, canonical_input)
{
        struct kt *t = kt_new();
        struct pair p = make(t);

        if (!may_put_back(p.slave))
                return;
        typed(p, "first\nno end\004third\nhalf typ");
        kt_add_fd(t, p.slave);
        kt_dump(t);
        expect_input(p);
        kt_close(t);
        uint64_t entries;
        struct err err = {};
        cr_assert_eq(kt_try_restore(t, 0, &entries, &err), 0, "%s: %s", err.on, err.why);
        expect_input(p);
        kt_free(t);
}

Test(fd_pty, raw_input)
{
        struct kt *t = kt_new();
        struct pair p = make(t);
        struct termios a;

        if (!may_put_back(p.slave))
                return;
        cr_assert_eq(tcgetattr(p.slave, &a), 0);
        cfmakeraw(&a);
        cr_assert_eq(tcsetattr(p.slave, TCSANOW, &a), 0);
        typed(p, "a\003b\rc\004d");
        kt_add_fd(t, p.slave);
        kt_dump(t);
        cr_assert_str_eq(get(p.slave), "a\003b\rc\004d");
        kt_close(t);
        kt_restore(t);
        cr_assert_str_eq(get(p.slave), "a\003b\rc\004d");
        kt_free(t);
}

Test(fd_pty, another_terminal_is_refused)
{
        struct kt *t = kt_new();
        struct pair p = make(t);
        struct err err = {};

        kt_console(t, p.index + 1);
        kt_add_fd(t, p.slave);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert(strstr(err.why, "outside"), "%s", err.why);
        kt_console(t, -1);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        kt_free(t);
}

/* In a child with a session of its own, as init has one on the console; ends with 0 when all held. */
static void session(void)
{
        struct kt *t = kt_new();
        struct pair p = make(t);

        signal(SIGTTOU, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        cr_assert_gt(setsid(), 0);
        cr_assert_eq(ioctl(p.slave, TIOCSCTTY, 0), 0);
        int tty = open("/dev/tty", O_RDWR);
        cr_assert_geq(tty, 0);
        typed(p, "once\nhal");
        uint64_t id = kt_add_fd(t, p.slave);
        kt_add_fd(t, tty);
        kt_dump(t);
        const Gantry__FdPty *m = (const void *)kt_record(t, id)->msg;
        cr_assert(m->n_line == 1 && m->has_rest);
        m = (const void *)kt_record(t, id + 1)->msg;
        cr_assert(m->n_line == 0 && !m->has_rest, "input that two names share is kept twice");
        kt_close(t);
        kt_restore(t);
        cr_assert_eq(tcgetsid(p.slave), getpid());
        cr_assert_eq(tcgetsid(tty), getpid());
        kt_free(t);
        _exit(0);
}

Test(fd_pty, controlling_terminal)
{
        int status = -1;
        pid_t child = fork();

        cr_assert_geq(child, 0);
        if (child == 0)
                session();
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "the session's child ended with %x", (unsigned)status);
}

static Gantry__FdPty *message(const char *path, uint32_t rdev)
{
        Gantry__FdPty *m = malloc(sizeof(*m));

        gantry__fd_pty__init(m);
        m->flags = O_RDWR;
        m->path = (ProtobufCBinaryData){strlen(path), (uint8_t *)strdup(path)};
        m->mode = S_IFCHR | 0600;
        m->rdev = rdev;
        m->termios = (ProtobufCBinaryData){44, calloc(1, 44)};
        return m;
}

/* Two lines, the second ended by ^D, and a rest; /dev/tty is opened when the session has its terminal. */
Test(fd_pty, golden)
{
        struct kt *t = kt_new();
        Gantry__FdPty *m = message("/dev/console", 136u << 20), *tty = message("/dev/tty", 5u << 20);

        m->rows = 24;
        m->columns = 80;
        m->termios.data[12] = ICANON;
        m->n_line = 2;
        m->line = calloc(2, sizeof(*m->line));
        m->line[0] = (ProtobufCBinaryData){2, (uint8_t *)strdup("a\n")};
        m->line[1] = (ProtobufCBinaryData){1, (uint8_t *)strdup("b")};
        m->has_rest = true;
        m->rest = (ProtobufCBinaryData){1, (uint8_t *)strdup("c")};
        kt_give(t, 1, &kind_fd_pty, &m->base);
        kt_give(t, 2, &kind_fd_pty, &tty->base);
        kt_golden(t, PH_MAKE,
                  "tape of task 1000, 3 calls\n"
                  "# open /dev/console (fd-pty 1)\n"
                  "0 openat2(-100, \"/dev/console\", hex:020108000000000000000000000000000200000000000000, 24) keep 1\n"
                  "1 ioctl(r0, 0x5414, hex:1800500000000000)\n"
                  "2 ioctl(r0, 0x402c542b, hex:0000000000000000000000000200000000000000000000000000000000000000000000000000000000000000)\n");
        kt_golden(t, PH_HAND,
                  "tape of task 1000, 1 calls\n"
                  "# open /dev/tty (fd-pty 2)\n"
                  "0 openat2(-100, \"/dev/tty\", hex:020108000000000000000000000000000200000000000000, 24) keep 2\n");
        kt_golden(t, PH_ATTR,
                  "tape of self 0, 7 calls\n"
                  "# unread input of the terminal (fd-pty 1)\n"
                  "0 ioctl(fd#1, 0x402c542b, hex:0000000000000000000000000200000000000000000100000000000000000000000000000000000000000000)\n"
                  "1 ioctl(fd#1, 0x5412, hex:610a)\n"
                  "2 ioctl(fd#1, 0x5412, &49)\n"
                  "3 ioctl(fd#1, 0x5412, hex:62)\n"
                  "4 ioctl(fd#1, 0x5412, hex:01)\n"
                  "5 ioctl(fd#1, 0x5412, hex:63)\n"
                  "6 ioctl(fd#1, 0x402c542b, hex:0000000000000000000000000200000000000000000000000000000000000000000000000000000000000000)\n");
        kt_free(t);
}

Test(fd_pty, hostile)
{
        for (unsigned i = 0; i < 8; i++) {
                struct kt *t = kt_new();
                Gantry__FdPty *m = message("/dev/tty", 136u << 20);
                switch (i) {
                case 0: m->rdev = 4u << 20; break;
                case 1: m->mode = S_IFREG; break;
                case 2: m->termios.len = 43; break;
                case 3: m->rows = 65536; break;
                case 4: m->ypixel = 65536; break;
                case 5: m->has_rest = true, m->rest = (ProtobufCBinaryData){5000, calloc(1, 5000)}; break;
                case 6: m->flags = O_TRUNC; break;
                default: m->path.len = 0; break;
                }
                kt_give(t, 1, &kind_fd_pty, &m->base);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "row %u", i);
                kt_free(t);
        }
}
