/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The console: descriptors of the slave side of the one pseudo terminal whose master the engine holds.
 *
 * The master and its slave node are made with the mounts; here the slave is opened again by its path (/dev/console,
 * /dev/pts/N or /dev/tty), and what belongs to the terminal is set: size and modes in PH_MAKE, as long as no session has it,
 * because a changed size sends SIGWINCH to the foreground group. Which session has it and which group is in front is the
 * session leader's (task-tty), in PH_BIND; /dev/tty can be opened from then on.
 *
 * When the monitor is killed, the console is hung up: its programs read end of file. They get a new one with the container's
 * next monitor, which a restore brings.
 *
 * Unread input (pty-input.c) is kept. Unread output is with the master, which is the engine's. A terminal that ^S has stopped takes nothing,
 * and poll(2) says so; so does one whose master reads nothing, but for a moment only. It is refused: whoever has stopped it does not
 * want to see it go on.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "checkpoint/kind/bypath.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/pty-input.h"
#include "proto/fd-pty.pb-c.h"

#define TTY_RDEV (UINT32_C(5) << 20)
#define PTS_MAJOR 136
#define MASTER_MS 50 /* for it to read what is full */

typedef Gantry__FdPty Msg;

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_PTY);
}

static struct bypath from_record(const struct record *r)
{
        const Msg *m = (const void *)r->msg;

        return (struct bypath){.ofd = OFD_FROM_MESSAGE(m), .path = m->path, .mode = m->mode, .rdev = m->rdev};
}

/* ---- dump ---- */

/* 1: it is the console, and hung up. A terminal whose master is gone answers nothing but EIO; its node still tells which it was. */
static int require_console(const struct obj *o, int fd, int console, struct err *err)
{
        unsigned dev = 0;
        int ldisc = N_TTY;
        int e = ioctl(fd, TIOCGDEV, &dev) < 0 ? errno : 0;
        bool hung_up = e == EIO;
        struct stat st;

        if (!e || hung_up)
                e = fstat(fd, &st) < 0 || (!hung_up && ioctl(fd, TIOCGETD, &ldisc) < 0) ? errno : 0;
        if (e)
                return err_sys(err, EX_FAIL, e, "cannot ask a terminal", "%s", o->facts.file.link);
        int number = hung_up ? (int)minor(st.st_rdev) : (int)((dev & 0xff) | ((dev >> 12) & 0xfff00));
        if (console < 0 || number != console || (hung_up && major(st.st_rdev) < PTS_MAJOR))
                return kind_refuse(&kind_fd_pty, &o->facts, err, "a terminal whose other side is outside of the container",
                                   "Start the program on the container's console, or without a terminal");
        if (ldisc != N_TTY)
                return kind_refuse(&kind_fd_pty, &o->facts, err, "a terminal with a line discipline of its own",
                                   "Stop the program that set it (pppd, slattach)");
        return hung_up;
}

static int refuse_stopped(const struct obj *o, int fd, struct err *err)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int n = poll(&p, 1, MASTER_MS);

        if (n < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a terminal", "%s", o->facts.file.link);
        if (n == 0)
                return kind_refuse(&kind_fd_pty, &o->facts, err, "a terminal whose output is stopped (^S)", "Let it go on (^Q)");
        return 0;
}

static int read_terminal(const struct obj *o, int fd, Msg *m, struct err *err)
{
        struct termios2 tio = {};
        struct winsize ws = {};
        int excl = 0;

        if (ioctl(fd, TCGETS2, &tio) < 0 || ioctl(fd, TIOCGWINSZ, &ws) < 0 || ioctl(fd, TIOCGEXCL, &excl) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a terminal", "%s", o->facts.file.link);
        int r = field_set(&m->termios, &tio, sizeof(tio), err);
        m->rows = ws.ws_row;
        m->columns = ws.ws_col;
        m->xpixel = ws.ws_xpixel;
        m->ypixel = ws.ws_ypixel;
        m->exclusive = excl != 0;
        return r;
}

/* The first description of the console takes its input along: the others share it, whatever name they were opened by. */
static bool is_first(struct dump *d, const struct obj *o)
{
        const struct obj *x;

        for (uint64_t id = 1; id < o->id && (x = dump_obj(d, id)); id++)
                if (x->cls == CLS_FILE && kind_is(&x->facts, KIND_FD_PTY))
                        return false;
        return true;
}

static int read_input(struct dump *d, const struct obj *o, int fd, Msg *m, struct err *err)
{
        struct pty_input in = {};

        if (!is_first(d, o))
                return 0;
        int r = pty_input_look(fd, &in, err);
        if (r > 0)
                r = kind_refuse(&kind_fd_pty, &o->facts, err, "unread input that cannot be looked at without losing it",
                                "Let the program read what was typed");
        if (r >= 0 && in.n_line) {
                m->line = kind_calloc(in.n_line, sizeof(*m->line));
                if (!m->line)
                        r = kind_nomem(err);
        }
        for (size_t i = 0; r >= 0 && i < in.n_line; i++) {
                r = field_set(&m->line[i], in.line[i].p, in.line[i].n, err);
                m->n_line += r >= 0;
        }
        if (r >= 0 && in.n_rest) {
                r = field_set(&m->rest, in.rest, in.n_rest, err);
                m->has_rest = r >= 0;
        }
        pty_input_done(&in);
        return r;
}

/* The node of a hung up terminal is gone from devpts; /dev/console is where the new one will be. */
static int hung_up_take(const struct obj *o, int fd, struct bypath *ret, struct err *err)
{
        const struct stat *st = &o->facts.file.st;

        *ret = (struct bypath){.mode = st->st_mode, .rdev = (uint32_t)(major(st->st_rdev) << 20 | minor(st->st_rdev))};
        int r = ofd_take(&kind_fd_pty, o, fd, NULL, &ret->ofd, err);
        return r < 0 ? r : field_set_text(&ret->path, "/dev/console", err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        static const struct termios2 none;
        struct bypath b;
        int r = require_console(o, fd, dump_console_index(d), err);
        bool hung_up = r > 0;

        (void)t;
        if (r >= 0)
                r = hung_up ? hung_up_take(o, fd, &b, err) : bypath_take(&kind_fd_pty, d, o, fd, NULL, &b, err);
        if (r < 0)
                return r;
        Msg *m = KIND_NEW(Msg, gantry__fd_pty__init);
        if (!m) {
                free(b.path.data);
                return kind_nomem(err);
        }
        ret->msg = &m->base;
        OFD_TO_MESSAGE(&b.ofd, m);
        m->path = b.path;
        m->mode = b.mode;
        m->rdev = b.rdev;
        m->has_hung_up = m->hung_up = hung_up;
        if (hung_up)
                return field_set(&m->termios, &none, sizeof(none), err);
        r = refuse_stopped(o, fd, err);
        if (r >= 0)
                r = read_terminal(o, fd, m, err);
        return r < 0 ? r : read_input(d, o, fd, m, err);
}

/* ---- restore ---- */

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct bypath b = from_record(r);
        uint32_t major = m->rdev >> 20;
        size_t bytes = m->has_rest ? m->rest.len : 0;

        for (size_t i = 0; i < m->n_line; i++)
                bytes += m->line[i].len;
        if (!S_ISCHR(m->mode) || ((major < 136 || major > 143) && m->rdev != TTY_RDEV))
                return kind_bad(&kind_fd_pty, r, err, "it is no terminal of the container");
        if (m->termios.len != sizeof(struct termios2))
                return kind_bad(&kind_fd_pty, r, err, "its modes are not of the right size");
        if (m->rows > UINT16_MAX || m->columns > UINT16_MAX || m->xpixel > UINT16_MAX || m->ypixel > UINT16_MAX)
                return kind_bad(&kind_fd_pty, r, err, "its size is none of a terminal");
        if (m->hung_up && (bytes || m->exclusive || m->rdev == TTY_RDEV))
                return kind_bad(&kind_fd_pty, r, err, "it was hung up and has something");
        if (bytes > PTY_INPUT_MAX || m->n_line > PTY_INPUT_MAX)
                return kind_bad(&kind_fd_pty, r, err, "it has more input than a terminal holds");
        return bypath_check(&kind_fd_pty, r, &b, need, err);
}

static void set_modes(struct tape *t, struct arg fd, const Msg *m)
{
        struct winsize ws = {(uint16_t)m->rows, (uint16_t)m->columns, (uint16_t)m->xpixel, (uint16_t)m->ypixel};

        TAPE(t, SYS_ioctl, fd, A_IMM(TIOCSWINSZ), A_DATA(tape_data(t, &ws, sizeof(ws))));
        TAPE(t, SYS_ioctl, fd, A_IMM(TCSETS2), A_DATA(tape_data(t, m->termios.data, sizeof(struct termios2))));
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct bypath b = from_record(r);

        (void)err;
        if (m->rdev == TTY_RDEV)
                return 0;
        uint32_t e = bypath_make(&kind_fd_pty, rs, r, &b);
        if (!m->hung_up)
                set_modes(restore_tape(rs, restore_owner(rs, r->id)), A_RET(e), m);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct bypath b = from_record(r);

        if (m->rdev == TTY_RDEV)
                return 0;
        return bypath_verify(&kind_fd_pty, rs, r, &b, err);
}

/* /dev/tty can be opened by a session that has a terminal, which it has since the last barrier. */
static int plan_hand(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct bypath b = from_record(r);

        (void)err;
        if (m->rdev == TTY_RDEV)
                (void)bypath_make(&kind_fd_pty, rs, r, &b);
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct ofd ofd = OFD_FROM_MESSAGE(m);

        (void)err;
        if (m->n_line || m->has_rest)
                pty_input_plan(restore_tape(rs, (struct actor){ACTOR_SELF, 0}), r->id, m->termios.data, m->line, m->n_line,
                               m->has_rest ? &m->rest : NULL);
        if (m->exclusive) {
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                tape_label(t, "exclusive mode of the terminal (fd-pty %" PRIu64 ")", r->id);
                TAPE(t, SYS_ioctl, A_FD(r->id), A_IMM(TIOCEXCL), A_IMM(0));
        }
        ofd_plan(rs, r->id, &ofd);
        return 0;
}

const struct kind kind_fd_pty = {
        .stem = "fd-pty",
        .number = KIND_FD_PTY,
        .cls = CLS_FILE,
        .msg = &gantry__fd_pty__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_HAND] = plan_hand, [PH_ATTR] = plan_attr},
};
