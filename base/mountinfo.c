/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parser of /proc/PID/mountinfo (base/procfs.h).
 *
 * Columns are separated by exactly one space and may be empty (a tmpfs mounted with source ""); space, tab, newline,
 * backslash and '#' inside them are octal escapes. Optional columns of unknown name are passed over, as proc(5) asks.
 */
#include "base/procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

static int malformed(struct err *err, const char *where)
{
        return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form",
                       "mountinfo: %s", where);
}

static void entry_done(struct mountinfo *m)
{
        free(m->root);
        free(m->target);
        free(m->options);
        free(m->type);
        free(m->source);
        free(m->super_options);
        *m = (struct mountinfo){};
}

void mountinfo_free(struct mountinfo *m, size_t n)
{
        if (!m)
                return;
        for (size_t i = 0; i < n; i++)
                entry_done(&m[i]);
        free(m);
}

static bool octal(const char *s)
{
        return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

static void unescape(char *s)
{
        char *to = s;

        while (*s) {
                int c = s[0] == '\\' && octal(s + 1) ? (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0') : 0;
                if (c) {
                        *to++ = (char)c;
                        s += 4;
                } else {
                        *to++ = *s++;
                }
        }
        *to = '\0';
}

/* Cuts the next column off; NULL behind the last. */
static char *column(char **p)
{
        char *s = *p;

        if (!s)
                return NULL;
        char *space = strchr(s, ' ');
        if (space)
                *space++ = '\0';
        *p = space;
        return s;
}

static bool number(const char *s, int *ret)
{
        uint64_t v;

        if (!s || !scan_u64(&s, &v) || *s || v > INT32_MAX)
                return false;
        *ret = (int)v;
        return true;
}

static bool device(const char *s, struct mountinfo *m)
{
        uint64_t major, minor;

        if (!s || !scan_u64(&s, &major) || !scan_skip(&s, ":") || !scan_u64(&s, &minor) || *s)
                return false;
        if (major > UINT32_MAX || minor > UINT32_MAX)
                return false;
        m->major = (uint32_t)major;
        m->minor = (uint32_t)minor;
        return true;
}

static bool optional(const char *s, struct mountinfo *m)
{
        const char *p = s;

        if (scan_skip(&p, "shared:"))
                return number(p, &m->shared);
        if (scan_skip(&p, "master:"))
                return number(p, &m->master);
        if (scan_skip(&p, "propagate_from:"))
                return number(p, &m->propagate_from);
        if (str_eq(s, "unbindable"))
                m->unbindable = true;
        return true;
}

/* 1: fine, 0: malformed, <0: no memory. */
static int keep(const char *s, char **ret)
{
        if (!s)
                return 0;
        char *copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        unescape(copy);
        *ret = copy;
        return 1;
}

static int entry(char *line, struct mountinfo *m)
{
        char *p = line;
        const char *s;
        int r;

        if (!number(column(&p), &m->id) || !number(column(&p), &m->parent) || !device(column(&p), m))
                return 0;
        if ((r = keep(column(&p), &m->root)) <= 0 || (r = keep(column(&p), &m->target)) <= 0 ||
            (r = keep(column(&p), &m->options)) <= 0)
                return r;
        while ((s = column(&p)) && !str_eq(s, "-"))
                if (!optional(s, m))
                        return 0;
        if ((r = keep(column(&p), &m->type)) <= 0 || (r = keep(column(&p), &m->source)) <= 0 ||
            (r = keep(column(&p), &m->super_options)) <= 0)
                return r;
        return 1;
}

static int parse_lines(char *text, struct mountinfo **list, size_t *n, struct err *err)
{
        size_t cap = 0;

        for (char *p = text; *p;) {
                char *nl = strchr(p, '\n');
                if (!nl)
                        return malformed(err, "last line");
                *nl = '\0';
                if (*n == cap) {
                        cap = cap ? cap * 2 : 32;
                        struct mountinfo *grown = reallocarray(*list, cap, sizeof(**list));
                        if (!grown)
                                return err_sys(err, EX_FAIL, ENOMEM, "cannot read in /proc", "mountinfo");
                        *list = grown;
                }
                struct mountinfo m = {};
                int r = entry(p, &m);
                if (r <= 0) {
                        entry_done(&m);
                        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot read in /proc", "mountinfo")
                                     : malformed(err, "columns");
                }
                (*list)[(*n)++] = m;
                p = nl + 1;
        }
        return 0;
}

int mountinfo_parse(const char *text, size_t len, struct mountinfo **ret, size_t *ret_n, struct err *err)
{
        struct mountinfo *list = NULL;
        size_t n = 0;

        if (memchr(text, '\0', len))
                return malformed(err, "NUL");
        _cleanup_free_ char *copy = strndup(text, len);
        if (!copy)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read in /proc", "mountinfo");
        int r = parse_lines(copy, &list, &n, err);
        if (r < 0) {
                mountinfo_free(list, n);
                return r;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

int mountinfo_read(int procfd, struct mountinfo **ret, size_t *ret_n, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r = proc_read(procfd, "mountinfo", &text, &len, err);

        return r < 0 ? r : mountinfo_parse(text, len, ret, ret_n, err);
}
