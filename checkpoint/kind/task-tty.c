/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The controlling terminal of a session, kept with the session's leader: /proc/PID/stat tells it, and the group in front,
 * whoever holds the terminal open, and also when nobody does. A session whose leader has ended has none.
 *
 * The leader opens the console by its number, takes it (TIOCSCTTY) and puts the group in front, in PH_BIND: all groups exist, nobody
 * has been told to ignore signals yet, and /dev/tty can be opened in the phase behind it. Size and modes are the
 * terminal's (fd-pty); where nobody holds it open the leader is asked for them by way of /dev/tty, and sets them before it
 * takes it, because a changed size sends SIGWINCH to the group in front.
 *
 * A terminal that is not the console has its other side elsewhere, or nobody knows where: refused. So is unread input on one that
 * nobody holds open. When the group in front has no process any more, the leader's own is in front afterwards.
 */
#include <asm/termbits.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-tty.pb-c.h"

#define PTS_MAJOR 136u
#define INDEX_MAX 0xfffffu
#define TTY_DEV makedev(5, 0)

/* Out-buffer of the ask tape at offset 0. */
struct answer { struct termios2 termios; struct winsize size; int unread; };
enum { ASK_OPEN, ASK_TERMIOS, ASK_SIZE, ASK_UNREAD, ASK_CLOSE };

/* The device number as stat(5) has it, where the process leads a session. */
static bool terminal(const struct facts *f, unsigned *ret_major, unsigned *ret_minor)
{
        const struct proc_stat *s = f->task.stat;
        unsigned n = s ? (unsigned)s->tty_nr : 0;

        *ret_major = n >> 8 & 0xfff;
        *ret_minor = (n & 0xff) | (n >> 12 & 0xfff00);
        return n && s->pid == s->session;
}

static bool held(struct dump *d, unsigned minor)
{
        const struct obj *x;

        for (uint64_t id = 1; (x = dump_obj(d, id)); id++)
                if (x->cls == CLS_FILE && S_ISCHR(x->facts.file.st.st_mode) &&
                    (x->facts.file.st.st_rdev == makedev(PTS_MAJOR, minor) || x->facts.file.st.st_rdev == TTY_DEV))
                        return true;
        return false;
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        unsigned major, minor;

        if (!terminal(&o->facts, &major, &minor) || held(d, minor))
                return 0;
        uint32_t at = tape_data(t, NULL, sizeof(struct answer));
        tape_label(t, "ask for the controlling terminal");
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/dev/tty")), A_IMM(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC),
                           A_IMM(0));
        tape_may_fail(t, fd, 0);
        tape_may_fail(t, TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TCGETS2), A_DATA(at + (uint32_t)offsetof(struct answer, termios))), 0);
        tape_may_fail(t, TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TIOCGWINSZ), A_DATA(at + (uint32_t)offsetof(struct answer, size))), 0);
        tape_may_fail(t, TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(FIONREAD), A_DATA(at + (uint32_t)offsetof(struct answer, unread))), 0);
        tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
        return 0;
}

static int take_state(Gantry__TaskTty *m, const struct obj *o, const struct tape *t, struct err *err)
{
        struct answer a;

        for (uint32_t e = ASK_OPEN; e <= ASK_UNREAD; e++)
                if (tape_ret(t, e) < 0)
                        return kind_refuse(&kind_task_tty, &o->facts, err, "a controlling terminal that it cannot open itself",
                                           "Give it /dev/tty, or let it hold its terminal open");
        memcpy(&a, tape_out(t, 0), sizeof(a));
        if (a.unread > 0)
                return kind_refuse(&kind_task_tty, &o->facts, err, "unread input on a terminal that nobody holds open",
                                   "Let a program read what was typed");
        m->has_rows = m->has_columns = m->has_xpixel = m->has_ypixel = true;
        m->rows = a.size.ws_row;
        m->columns = a.size.ws_col;
        m->xpixel = a.size.ws_xpixel;
        m->ypixel = a.size.ws_ypixel;
        int r = field_set(&m->termios, &a.termios, sizeof(a.termios), err);
        m->has_termios = r >= 0;
        return r;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        Gantry__TaskTty *m = KIND_NEW(Gantry__TaskTty, gantry__task_tty__init);
        unsigned major, minor;
        int r = 0;

        (void)fd;
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        if (terminal(&o->facts, &major, &minor)) {
                if (major != PTS_MAJOR || (int)minor != dump_console_index(d))
                        return kind_refuse(&kind_task_tty, &o->facts, err, "a controlling terminal whose other side is outside of the container",
                                           "Start the program on the container's console, or without a terminal");
                m->has_terminal = true;
                m->terminal = minor;
                m->foreground = dump_foreground(d, o);
                m->has_foreground = m->foreground != 0;
                if (t && tape_len(t) > ASK_CLOSE)
                        r = take_state(m, o, t, err);
        }
        return r < 0 ? r : field_record(&kind_task_tty, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskTty *m = (const Gantry__TaskTty *)r->msg;

        (void)need;
        if (m->terminal > INDEX_MAX || m->foreground > INT32_MAX || (!m->has_terminal && (m->has_foreground || m->has_termios)))
                return kind_bad(&kind_task_tty, r, err, "it is no terminal");
        if (m->has_termios && m->termios.len != sizeof(struct termios2))
                return kind_bad(&kind_task_tty, r, err, "its modes are not of the right size");
        if (m->rows > UINT16_MAX || m->columns > UINT16_MAX || m->xpixel > UINT16_MAX || m->ypixel > UINT16_MAX)
                return kind_bad(&kind_task_tty, r, err, "its size is none of a terminal");
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskTty *m = (const Gantry__TaskTty *)r->msg;
        char path[32];

        (void)err;
        if (!m->has_terminal)
                return 0;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "take the controlling terminal (task-tty %llu)", (unsigned long long)r->id);
        snprintf(path, sizeof(path), "/dev/pts/%u", m->terminal);
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(O_RDWR | O_NOCTTY | O_CLOEXEC), A_IMM(0));
        if (m->has_termios) {
                struct winsize ws = {(uint16_t)m->rows, (uint16_t)m->columns, (uint16_t)m->xpixel, (uint16_t)m->ypixel};
                TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TIOCSWINSZ), A_DATA(tape_data(t, &ws, sizeof(ws))));
                TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TCSETS2), A_DATA(tape_data(t, m->termios.data, sizeof(struct termios2))));
        }
        TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TIOCSCTTY), A_IMM(0));
        if (m->has_foreground) {
                uint32_t group = tape_data(t, &m->foreground, sizeof(m->foreground));
                TAPE(t, __NR_ioctl, A_RET(fd), A_IMM(TIOCSPGRP), A_DATA(group));
        }
        TAPE(t, __NR_close, A_RET(fd));
        return 0;
}

const struct kind kind_task_tty = {
        .stem = "task-tty",
        .number = KIND_TASK_TTY,
        .cls = CLS_TASK,
        .msg = &gantry__task_tty__descriptor,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_BIND] = plan_bind},
};
