/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unread input of a terminal (pty-input.h).
 *
 * The kernel has no way to peek. So everything is read, line by line in canonical mode, then raw for the line that is
 * still being typed, and put back by TIOCSTI, which passes each byte through the line discipline as if it were typed.
 * While that goes on, echo, signals and all special characters are off, so that bytes are stored as they are; a
 * line that did not end with a newline (end of file, or an EOL character) is ended by an EOF character that does not
 * occur in the data. Switching back changes no line bounds, because ICANON stays as it is in both steps: toggling it with
 * bytes in the buffer would make a half-typed line readable.
 *
 * From 6.2 on TIOCSTI takes CAP_SYS_ADMIN in the first user namespace (unless dev.tty.legacy_tiocsti is set): it is
 * looked for before anything is read. What lies between master and line discipline beyond 4 KiB comes up while
 * this reads, and is refused.
 */
#include "checkpoint/kind/pty-input.h"

#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

void pty_input_done(struct pty_input *in)
{
        for (size_t i = 0; i < in->n_line; i++)
                free(in->line[i].p);
        free(in->line);
        free(in->rest);
        *in = (struct pty_input){};
}

static bool may_put_back(void)
{
        cap_flag_value_t v = CAP_CLEAR;
        cap_t c = cap_get_proc();

        if (c && cap_get_flag(c, CAP_SYS_ADMIN, CAP_EFFECTIVE, &v) < 0)
                v = CAP_CLEAR;
        if (c)
                cap_free(c);
        return v == CAP_SET;
}

static int failed(struct err *err, const char *what)
{
        return err_sys(err, EX_FAIL, errno, "cannot look at a terminal's input", "%s", what);
}

/* One read into a copy of its own; *ret_end: nothing was there. */
static int read_piece(int fd, size_t *total, struct pty_line *ret, struct err *err)
{
        uint8_t buf[PTY_INPUT_MAX];
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0)
                return failed(err, "read");
        *total += (size_t)n;
        if (*total > PTY_INPUT_MAX)
                return err_set(err, EX_UNSUPPORTED, "cannot look at a terminal's input", "there are more than 4 KiB", "%s", "");
        ret->p = malloc(n ? (size_t)n : 1);
        if (!ret->p)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot look at a terminal's input", "%s", "copy");
        memcpy(ret->p, buf, (size_t)n);
        ret->n = (size_t)n;
        return 0;
}

static int read_lines(int fd, struct pty_input *in, size_t *total, struct err *err)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};

        while (poll(&p, 1, 0) == 1 && (p.revents & POLLIN)) {
                struct pty_line *grown = realloc(in->line, (in->n_line + 1) * sizeof(*grown));
                if (!grown)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot look at a terminal's input", "%s", "line");
                in->line = grown;
                int r = read_piece(fd, total, &grown[in->n_line], err);
                if (r < 0)
                        return r;
                in->n_line++;
        }
        return 0;
}

/* Raw, never waiting; the caller sets the modes back. */
static int read_rest(int fd, const struct termios2 *old, struct pty_input *in, size_t *total, struct err *err)
{
        struct termios2 raw = *old;
        struct pty_line all = {};

        raw.c_lflag &= ~(tcflag_t)ICANON;
        raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
        if (ioctl(fd, TCSETS2, &raw) < 0)
                return failed(err, "TCSETS2");
        for (;;) {
                struct pty_line piece = {};
                int r = read_piece(fd, total, &piece, err);
                if (r < 0 || piece.n == 0) {
                        free(piece.p);
                        in->rest = all.p;
                        in->n_rest = all.n;
                        return r;
                }
                uint8_t *grown = realloc(all.p, all.n + piece.n);
                if (grown) {
                        memcpy(grown + all.n, piece.p, piece.n);
                        all = (struct pty_line){grown, all.n + piece.n};
                }
                free(piece.p);
                if (!grown) {
                        free(all.p);
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot look at a terminal's input", "%s", "rest");
                }
        }
}

/* ---- putting back ---- */

/* A byte that no line has, to be the EOF character; 0: every one occurs. */
static uint8_t free_byte(const struct pty_line *line, size_t n)
{
        bool seen[256] = {true, [10] = true};

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < line[i].n; k++)
                        seen[line[i].p[k]] = true;
        for (unsigned b = 1; b < 256; b++)
                if (!seen[b])
                        return (uint8_t)b;
        return 0;
}

static struct termios2 plain_modes(const struct termios2 *old, uint8_t eof)
{
        struct termios2 t = *old;

        /* IXON stays: clearing it would set a terminal going that ^S has stopped. */
        t.c_iflag &= ~(tcflag_t)(ISTRIP | INLCR | IGNCR | ICRNL | IUCLC | IXANY | PARMRK | IGNBRK | BRKINT);
        t.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ECHOCTL | ECHOKE | ECHOPRT | ISIG | IEXTEN);
        memset(t.c_cc, 0, sizeof(t.c_cc));
        if (t.c_lflag & ICANON)
                t.c_cc[VEOF] = eof;
        return t;
}

static bool ended_by_newline(const struct pty_line *l)
{
        return l->n && l->p[l->n - 1] == '\n';
}

static int put(int fd, const uint8_t *p, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++)
                if (ioctl(fd, TIOCSTI, &p[i]) < 0)
                        return failed(err, "TIOCSTI");
        return 0;
}

static int put_back(int fd, const struct termios2 *old, const struct pty_input *in, struct err *err)
{
        uint8_t eof = free_byte(in->line, in->n_line);
        struct termios2 plain = plain_modes(old, eof);
        int r = ioctl(fd, TCSETS2, &plain) < 0 ? failed(err, "TCSETS2") : 0;

        for (size_t i = 0; r >= 0 && i < in->n_line; i++) {
                r = put(fd, in->line[i].p, in->line[i].n, err);
                if (r >= 0 && !ended_by_newline(&in->line[i]))
                        r = put(fd, &eof, 1, err);
        }
        if (r >= 0)
                r = put(fd, in->rest, in->n_rest, err);
        if (ioctl(fd, TCSETS2, old) < 0 && r >= 0)
                r = failed(err, "TCSETS2");
        return r;
}

int pty_input_look(int fd, struct pty_input *ret, struct err *err)
{
        struct termios2 old;
        struct pty_input in = {};
        size_t total = 0;
        int pending = 0, r = 0;

        if (ioctl(fd, TCGETS2, &old) < 0 || ioctl(fd, FIONREAD, &pending) < 0)
                return failed(err, "TCGETS2");
        if (!may_put_back())
                return pending > 0;
        if (old.c_lflag & ICANON)
                r = read_lines(fd, &in, &total, err);
        if (r >= 0)
                r = read_rest(fd, &old, &in, &total, err);
        /* Also after a failure: what was read belongs to the program. */
        int back = put_back(fd, &old, &in, r < 0 ? NULL : err);
        if (r < 0 || back < 0) {
                pty_input_done(&in);
                return r < 0 ? r : back;
        }
        *ret = in;
        return 0;
}

static void plan_put(struct tape *t, uint64_t object, const uint8_t *p, size_t n)
{
        uint32_t data = tape_data(t, p, n);

        for (size_t i = 0; i < n; i++)
                TAPE(t, SYS_ioctl, A_FD(object), A_IMM(TIOCSTI), A_DATA(data + (uint32_t)i));
}

void pty_input_plan(struct tape *t, uint64_t object, const void *termios, const ProtobufCBinaryData *line, size_t n_line,
                    const ProtobufCBinaryData *rest)
{
        _cleanup_free_ struct pty_line *l = calloc(n_line ? n_line : 1, sizeof(*l));
        struct termios2 old, plain;

        memcpy(&old, termios, sizeof(old));
        for (size_t i = 0; l && i < n_line; i++)
                l[i] = (struct pty_line){line[i].data, line[i].len};
        if (!l) {
                (void)tape_data(t, NULL, SIZE_MAX); /* no memory: the tape turns bad */
                return;
        }
        uint8_t eof = free_byte(l, n_line);
        plain = plain_modes(&old, eof);
        tape_label(t, "unread input of the terminal (fd-pty %llu)", (unsigned long long)object);
        TAPE(t, SYS_ioctl, A_FD(object), A_IMM(TCSETS2), A_DATA(tape_data(t, &plain, sizeof(plain))));
        for (size_t i = 0; i < n_line; i++) {
                if (l[i].n)
                        plan_put(t, object, l[i].p, l[i].n);
                if (!ended_by_newline(&l[i]))
                        plan_put(t, object, &eof, 1);
        }
        if (rest && rest->len)
                plan_put(t, object, rest->data, rest->len);
        TAPE(t, SYS_ioctl, A_FD(object), A_IMM(TCSETS2), A_DATA(tape_data(t, &old, sizeof(old))));
}
