/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parser of /proc/PID/smaps (base/procfs.h).
 *
 * An entry is a head line as in maps, then "Key: value kB" lines, VmFlags last. Head lines begin with lower-case
 * hexadecimal, keys with a capital, so the two cannot be mixed up. The kernel escapes only the newline in names
 * ("\012"), so a name that holds these four characters itself cannot be told from one with a newline: both read as
 * a newline, and a later comparison with the file itself refuses the wrong one.
 */
#include "base/procfs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

#define LINE_MAX_SMAPS 16640 /* a name of 4,095 bytes, all escaped, and the columns */

static int malformed(struct err *err, const char *where)
{
        return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form",
                       "smaps: %s", where);
}

static bool perms(const char **p, struct proc_vma *v)
{
        const char *s = *p;

        if (strnlen(s, 4) < 4)
                return false;
        if ((s[0] != 'r' && s[0] != '-') || (s[1] != 'w' && s[1] != '-') || (s[2] != 'x' && s[2] != '-') ||
            (s[3] != 's' && s[3] != 'p'))
                return false;
        v->r = s[0] == 'r';
        v->w = s[1] == 'w';
        v->x = s[2] == 'x';
        v->shared = s[3] == 's';
        *p += 4;
        return true;
}

static bool name(const char *s, struct proc_vma *v)
{
        size_t n = 0;

        while (*s) {
                char c = *s++;
                if (c == '\\' && scan_skip(&s, "012"))
                        c = '\n';
                if (n + 1 >= sizeof(v->name))
                        return false;
                v->name[n++] = c;
        }
        v->name[n] = '\0';
        return true;
}

static bool head(const char *p, struct proc_vma *v)
{
        uint64_t major, minor;

        memset(v, 0, offsetof(struct proc_vma, name) + 1);   /* the rest of the name is behind its end */
        if (!scan_hex64(&p, &v->start) || !scan_skip(&p, "-") || !scan_hex64(&p, &v->end) || !scan_skip(&p, " "))
                return false;
        if (!perms(&p, v) || !scan_skip(&p, " ") || !scan_hex64(&p, &v->pgoff) || !scan_skip(&p, " "))
                return false;
        if (!scan_hex64(&p, &major) || !scan_skip(&p, ":") || !scan_hex64(&p, &minor) || !scan_skip(&p, " "))
                return false;
        if (!scan_u64(&p, &v->ino) || major > UINT32_MAX || minor > UINT32_MAX || v->start >= v->end)
                return false;
        v->major = (uint32_t)major;
        v->minor = (uint32_t)minor;
        if (*p && *p != ' ')
                return false;
        return name(p + strspn(p, " "), v);
}

/* "  12 kB" to bytes. */
static bool kilobytes(const char *p, uint64_t *ret)
{
        uint64_t v;

        p += strspn(p, " ");
        if (!scan_u64(&p, &v) || !str_eq(p, " kB") || v >> 54)
                return false;
        *ret = v << 10;
        return true;
}

static bool key(const char *p, uint32_t *ret)
{
        uint64_t v;

        p += strspn(p, " ");
        if (!scan_u64(&p, &v) || *p || v > UINT32_MAX)
                return false;
        *ret = (uint32_t)v;
        return true;
}

static bool figure(const char *line, struct proc_vma *v)
{
        const char *p = line;

        if (scan_skip(&p, "Rss:"))
                return kilobytes(p, &v->rss);
        if (scan_skip(&p, "Anonymous:"))
                return kilobytes(p, &v->anonymous);
        if (scan_skip(&p, "Swap:"))
                return kilobytes(p, &v->swap);
        if (scan_skip(&p, "ProtectionKey:"))
                return key(p, &v->pkey);
        if (scan_skip(&p, "VmFlags:")) {
                p += strspn(p, " ");
                if (!str_copy(v->flags, sizeof(v->flags), p))
                        return false;
                for (size_t n = strlen(v->flags); n && v->flags[n - 1] == ' ';)
                        v->flags[--n] = '\0';
                return true;
        }
        return strchr(line, ':') != NULL;
}

bool proc_vma_flag(const struct proc_vma *v, const char *two)
{
        for (const char *p = v->flags; *p; p++)
                if (p[0] == two[0] && p[1] == two[1] && (p[2] == ' ' || !p[2]) && (p == v->flags || p[-1] == ' '))
                        return true;
        return false;
}

/* The line is the last of it, with nothing behind: what would be too long for it leaves the object, and a sanitizer sees that. */
struct state {
        uint64_t last_end, entries; /* begun; vma is the latest and being filled */
        struct proc_vma vma;
        char line[LINE_MAX_SMAPS];
};

static int one_line(struct state *s, int (*each)(void *, const struct proc_vma *), void *ctx, struct err *err)
{
        if (s->line[0] >= 'A' && s->line[0] <= 'Z')
                return s->entries && figure(s->line, &s->vma) ? 0 : malformed(err, "figures");
        if (s->entries) {
                int r = each(ctx, &s->vma);
                if (r)
                        return r;
        }
        if (!head(s->line, &s->vma) || s->vma.start < s->last_end)
                return malformed(err, "head line");
        s->last_end = s->vma.end;
        s->entries++;
        return 0;
}

int proc_smaps_parse(const char *text, size_t len, int (*each)(void *, const struct proc_vma *), void *ctx,
                     struct err *err)
{
        _cleanup_free_ struct state *s = calloc(1, sizeof(*s));

        if (!s)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read in /proc", "smaps");
        if (memchr(text, '\0', len))
                return malformed(err, "NUL");
        for (const char *p = text, *end = text + len; p < end;) {
                const char *nl = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((nl ? nl : end) - p);
                if (!nl || n >= sizeof(s->line))
                        return malformed(err, nl ? "line too long" : "last line");
                memcpy(s->line, p, n);
                s->line[n] = '\0';
                int r = one_line(s, each, ctx, err);
                if (r)
                        return r;
                p = nl + 1;
        }
        return s->entries ? each(ctx, &s->vma) : 0;
}

int proc_smaps_read(int procfd, int (*each)(void *, const struct proc_vma *), void *ctx, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r = proc_read(procfd, "smaps", &text, &len, err);

        return r < 0 ? r : proc_smaps_parse(text, len, each, ctx, err);
}
