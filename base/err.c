/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors as values: filled once where they happen, wrapped on the way up (base/err.h).
 *
 * Text that does not fit is cut, and control characters are replaced, never refused: an error about an error helps nobody.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

/* Names of processes, files and hosts can hold anything, and end up on a terminal: no control characters, C1 included. */
static void plain(char *s)
{
        for (unsigned char *p = (unsigned char *)s; *p; p++) {
                if (*p < 0x20 || *p == 0x7f)
                        *p = '?';
                if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
                        p[0] = p[1] = '?';
        }
}

static int fill(struct err *e, int code, int sysno, const char *what, const char *why, const char *fmt, va_list ap)
        PRINTF(6, 0);

static int fill(struct err *e, int code, int sysno, const char *what, const char *why, const char *fmt, va_list ap)
{
        if (e) {
                e->code = code;
                e->sys = sysno;
                e->remedy[0] = '\0';
                str_copy(e->what, sizeof(e->what), what);
                str_copy(e->why, sizeof(e->why), why);
                vsnprintf(e->on, sizeof(e->on), fmt, ap);
                plain(e->why);
                plain(e->on);
        }
        return -code;
}

int err_set(struct err *e, int code, const char *what, const char *why, const char *on_fmt, ...)
{
        va_list ap;

        va_start(ap, on_fmt);
        int r = fill(e, code, 0, what, why, on_fmt, ap);
        va_end(ap);
        return r;
}

/* A full disk or a missing privilege deserves its own exit code wherever it happens. */
static int code_of(int code, int sysno)
{
        if (code != EX_FAIL)
                return code;
        switch (sysno) {
        case ENOSPC:
        case EDQUOT:
        case ENOMEM:
        case EMFILE:
        case ENFILE:
                return EX_NOSPC;
        case EPERM:
        case EACCES:
                return EX_PERM;
        default:
                return code;
        }
}

int err_sys(struct err *e, int code, int sysno, const char *what, const char *on_fmt, ...)
{
        char why[160];
        va_list ap;

        if (sysno < 0)
                sysno = -sysno;
        code = code_of(code, sysno);
        const char *text = strerror_r(sysno, why, sizeof(why));
        va_start(ap, on_fmt);
        int r = fill(e, code, sysno, what, text, on_fmt, ap);
        va_end(ap);
        return r;
}

int err_why(struct err *e, const char *fmt, ...)
{
        va_list ap;

        if (!e)
                return -EX_FAIL;
        va_start(ap, fmt);
        vsnprintf(e->why, sizeof(e->why), fmt, ap);
        va_end(ap);
        plain(e->why);
        return -e->code;
}

int err_remedy(struct err *e, const char *fmt, ...)
{
        va_list ap;

        if (!e)
                return -EX_FAIL;
        if (!e->remedy[0]) {
                va_start(ap, fmt);
                vsnprintf(e->remedy, sizeof(e->remedy), fmt, ap);
                va_end(ap);
                plain(e->remedy);
        }
        return -e->code;
}

int err_wrap(struct err *e, const char *what, const char *on_fmt, ...)
{
        char inner[sizeof(e->what) + sizeof(e->on) + sizeof(e->why) + 8], on[sizeof(e->on)];
        va_list ap;

        if (!e)
                return -EX_FAIL;
        va_start(ap, on_fmt);
        vsnprintf(on, sizeof(on), on_fmt, ap);
        va_end(ap);
        const char *inner_what = strcmp(e->what, what) == 0 ? "" : e->what;
        const char *inner_on = !inner_what[0] && strcmp(e->on, on) == 0 ? "" : e->on;
        snprintf(inner, sizeof(inner), "%s%s%s%s%s%s", inner_what, inner_what[0] && inner_on[0] ? " (" : "", inner_on,
                 inner_what[0] && inner_on[0] ? ")" : "", inner_what[0] || inner_on[0] ? ": " : "", e->why);
        str_copy(e->why, sizeof(e->why), inner);
        str_copy(e->what, sizeof(e->what), what);
        str_copy(e->on, sizeof(e->on), on);
        plain(e->on);
        return -e->code;
}

int err_result(const struct err *e)
{
        return e ? -e->code : -EX_FAIL;
}

int err_take(struct err *e, const struct err *from)
{
        if (e)
                *e = *from;
        return -from->code;
}

const char *err_advice(const struct err *e)
{
        if (e->remedy[0])
                return e->remedy;
        if (e->code == EX_PERM && geteuid() != 0)
                return "run it as root";
        if (e->code != EX_NOSPC)
                return "";
        switch (e->sys) {
        case ENOSPC:
        case EDQUOT:
                return "free some space there, or choose another place";
        case ENOMEM:
                return "free some memory";
        case EMFILE:
        case ENFILE:
                return "raise the limit of open files";
        default:
                return "";
        }
}

char *err_format(const struct err *e, char *ret, unsigned long size)
{
        const char *advice = err_advice(e);
        size_t n = strlen(e->why);
        bool stop = n && e->why[n - 1] == '.'; /* of another program's sentence */

        snprintf(ret, size, "%s%s%s: %s%s%s", e->what, e->on[0] ? ": " : "", e->on, e->why, !advice[0] ? "" : stop ? " " : ". ", advice);
        return ret;
}

const char *exit_code_name(int code)
{
        switch (code) {
#define X(name, num, text)                                                                                   \
        case num:                                                                                            \
                return #name;
                EXIT_TABLE(X)
#undef X
        default:
                return NULL;
        }
}

const char *exit_code_text(int code)
{
        switch (code) {
#define X(name, num, text)                                                                                   \
        case num:                                                                                            \
                return text;
                EXIT_TABLE(X)
#undef X
        default:
                return NULL;
        }
}
