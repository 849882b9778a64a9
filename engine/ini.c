/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration text: a strict reader and an editor that changes one line.
 *
 *      # a comment                     ; another
 *      memory = 512M                   # a comment after a value needs a blank before it
 *      init = /usr/sbin/nginx -g "daemon off; # not a comment: quoted"
 *      [net]
 *      ip4 = 10.77.0.50/24
 *
 * Reader and editor share scan_line(), so that what one takes for an entry the other does too. The reader knows no keys:
 * who calls it says which exist, and says so with ini_error(), because a person finds a typo by line and column.
 * There are no continued lines, no escapes, no includes and no case folding. Control characters are refused: a
 * NUL or a carriage return in the middle of a line would show one thing and mean another.
 */
#include "engine/ini.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define TEXT_MAX ((size_t)1 << 20)
#define LINE_LEN_MAX 4096
#define NAME_LEN_MAX 32

enum line_kind { LINE_NOTHING, LINE_SECTION, LINE_ENTRY };

/* Offsets into the line, 0-based. `name` is the key or the section's name. */
struct line {
        enum line_kind kind;
        size_t name, name_len, value, value_len;
};

struct place {
        const char *file;
        unsigned line;
};

int ini_error(struct err *err, const char *file, unsigned line, unsigned col, const char *fmt, ...)
{
        char why[sizeof(((struct err *)0)->why)];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(why, sizeof(why), fmt, ap);
        va_end(ap);
        return err_set(err, EX_CONFIG, "wrong configuration", why, "%s:%u:%u", file, line, col);
}

static bool blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool name_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static int bad(const struct place *at, size_t off, const char *why, struct err *err)
{
        return ini_error(err, at->file, at->line, (unsigned)off + 1, "%s", why);
}

static size_t skip_blanks(const char *s, size_t n, size_t i)
{
        while (i < n && blank(s[i]))
                i++;
        return i;
}

static int scan_name(const char *s, size_t n, size_t i, const struct place *at, struct line *ret, struct err *err)
{
        ret->name = i;
        while (i < n && name_char(s[i]))
                i++;
        ret->name_len = i - ret->name;
        if (ret->name_len == 0)
                return bad(at, i, "a name of a-z, 0-9 and _ belongs here", err);
        if (ret->name_len > NAME_LEN_MAX)
                return bad(at, ret->name, "the name is too long", err);
        return 0;
}

/* Nothing but a comment may follow at i. */
static int scan_rest(const char *s, size_t n, size_t i, const struct place *at, struct err *err)
{
        i = skip_blanks(s, n, i);
        if (i < n && s[i] != '#' && s[i] != ';')
                return bad(at, i, "nothing may follow here but a comment", err);
        return 0;
}

static int scan_value(const char *s, size_t n, size_t i, const struct place *at, struct line *ret, struct err *err)
{
        bool quoted = false;
        size_t quote = 0, end = i;

        ret->value = i;
        for (; i < n; i++) {
                if (s[i] == '"') {
                        quoted = !quoted;
                        quote = i;
                } else if (s[i] == '#' && !quoted && (i == ret->value || blank(s[i - 1]))) {
                        break;
                }
                if (!blank(s[i]))
                        end = i + 1;
        }
        if (quoted)
                return bad(at, quote, "this quote is not closed", err);
        ret->value_len = end - ret->value;
        if (ret->value_len == 0)
                return bad(at, ret->value, "the value is missing", err);
        return 0;
}

static int scan_line(const char *s, size_t n, const struct place *at, struct line *ret, struct err *err)
{
        struct line l = {};
        size_t i;

        if (n > LINE_LEN_MAX)
                return bad(at, LINE_LEN_MAX, "the line is too long", err);
        for (i = 0; i < n; i++)
                if ((unsigned char)s[i] < 0x20 ? s[i] != '\t' : s[i] == 0x7f) {
                        bad(at, i, s[i] == '\r' ? "a control character: carriage return" : "a control character", err);
                        return s[i] == '\r' ? err_remedy(err, "let lines end as on this system: sed -i 's/\\r$//' FILE") : err_result(err);
                }
        if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
                return bad(at, 0, "a byte order mark; the file must begin with text", err);
        i = skip_blanks(s, n, 0);
        if (i == n || s[i] == '#' || s[i] == ';') {
                *ret = l;
                return 0;
        }
        l.kind = s[i] == '[' ? LINE_SECTION : LINE_ENTRY;
        int r = scan_name(s, n, i + (s[i] == '['), at, &l, err);
        if (r < 0)
                return r;
        i = l.name + l.name_len;
        if (l.kind == LINE_SECTION) {
                if (i == n || s[i] != ']')
                        return bad(at, i, "a ] belongs here", err);
                r = scan_rest(s, n, i + 1, at, err);
        } else {
                i = skip_blanks(s, n, i);
                if (i == n || s[i] != '=')
                        return bad(at, i, "a = belongs here", err);
                r = scan_value(s, n, skip_blanks(s, n, i + 1), at, &l, err);
        }
        if (r == 0)
                *ret = l;
        return r;
}

/* Length of the line at p without its end. */
static size_t line_length(const char *p, const char *end)
{
        const char *nl = memchr(p, '\n', (size_t)(end - p));

        return nl ? (size_t)(nl - p) : (size_t)(end - p);
}

/* One entry to the caller, with its strings cut out of the text. */
static int hand_out(const char *s, const struct line *l, const char *section, const struct place *at,
                    int (*each)(void *ctx, const struct ini_entry *e, struct err *err), void *ctx, struct err *err)
        __attribute__((noinline));

static int hand_out(const char *s, const struct line *l, const char *section, const struct place *at,
                    int (*each)(void *ctx, const struct ini_entry *e, struct err *err), void *ctx, struct err *err)
{
        char key[NAME_LEN_MAX + 1], value[LINE_LEN_MAX + 1];

        memcpy(key, s + l->name, l->name_len);
        key[l->name_len] = '\0';
        memcpy(value, s + l->value, l->value_len);
        value[l->value_len] = '\0';
        struct ini_entry e = {.section = section, .key = key, .value = value, .line = at->line,
                              .key_col = (unsigned)l->name + 1, .value_col = (unsigned)l->value + 1};
        return each(ctx, &e, err);
}

int ini_parse(const char *text, size_t len, const char *file,
              int (*each)(void *ctx, const struct ini_entry *e, struct err *err), void *ctx, struct err *err)
{
        char section[NAME_LEN_MAX + 1] = "";
        struct place at = {.file = file, .line = 1};
        const char *end = text + len;

        if (len > TEXT_MAX)
                return ini_error(err, file, 1, 1, "the file is larger than 1 MiB");
        for (const char *p = text; p < end; at.line++) {
                size_t n = line_length(p, end);
                struct line l;
                int r = scan_line(p, n, &at, &l, err);
                if (r < 0)
                        return r;
                if (l.kind == LINE_SECTION) {
                        memcpy(section, p + l.name, l.name_len);
                        section[l.name_len] = '\0';
                } else if (l.kind == LINE_ENTRY) {
                        r = hand_out(p, &l, section, &at, each, ctx, err);
                        if (r)
                                return r;
                }
                p += n;
                if (p < end)
                        p++;
        }
        return 0;
}

/* Where an edit goes: the entry itself, or the end of its section's last line that says something. */
struct spot {
        bool found, in_section, seen_section;
        size_t line, line_len;   /* the entry's line in the text */
        struct line entry;
        size_t after;            /* where a new line goes */
};

static int find_spot(const char *text, size_t len, const char *section, const char *key, struct spot *ret, struct err *err)
{
        struct place at = {.file = "text", .line = 1};
        struct spot s = {.in_section = !*section, .seen_section = !*section};
        size_t off = 0;

        while (off < len) {
                size_t n = line_length(text + off, text + len), next = off + n + (off + n < len);
                struct line l;
                int r = scan_line(text + off, n, &at, &l, err);
                if (r < 0)
                        return r;
                if (l.kind == LINE_SECTION)
                        s.in_section = strlen(section) == l.name_len && memcmp(text + off + l.name, section, l.name_len) == 0;
                if (s.in_section && l.kind != LINE_NOTHING) {
                        s.seen_section = true;
                        s.after = next;
                }
                if (s.in_section && l.kind == LINE_ENTRY && strlen(key) == l.name_len &&
                    memcmp(text + off + l.name, key, l.name_len) == 0) {
                        s.found = true;
                        s.line = off;
                        s.line_len = next - off;
                        s.entry = l;
                        break;
                }
                off = next;
                at.line++;
        }
        *ret = s;
        return 0;
}

static void insert(struct strbuf *b, const char *text, size_t len, const struct spot *s, const char *section,
                   const char *key, const char *value)
{
        size_t at = s->seen_section ? s->after : len;

        strbuf_add(b, text, at);
        if (at && text[at - 1] != '\n')
                strbuf_adds(b, "\n");
        if (!s->seen_section)
                strbuf_addf(b, "%s[%s]\n", at ? "\n" : "", section);
        strbuf_addf(b, "%s = %s\n", key, value);
        strbuf_add(b, text + at, len - at);
}

int ini_set(const char *text, const char *section, const char *key, const char *value, char **ret, struct err *err)
{
        _cleanup_strbuf_ struct strbuf b = {};
        struct place at = {.file = "value", .line = 1};
        size_t len = strlen(text);
        struct spot s;
        struct line probe = {};

        if (!section)
                section = "";
        int r = find_spot(text, len, section, key, &s, err);
        if (r == 0 && value)
                r = scan_value(value, strlen(value), skip_blanks(value, strlen(value), 0), &at, &probe, err);
        if (r < 0)
                return r;
        if (value && (probe.value_len != strlen(value) || strpbrk(value, "\n\r")))
                return err_set(err, EX_USAGE, "cannot use the value", "it has blanks around it, a comment or a line end", "%s", value);
        if (s.found) {
                size_t from = s.line + (value ? s.entry.value : 0);
                size_t to = value ? from + s.entry.value_len : s.line + s.line_len;
                strbuf_add(&b, text, from);
                strbuf_adds(&b, value ? value : "");
                strbuf_add(&b, text + to, len - to);
        } else if (value) {
                insert(&b, text, len, &s, section, key, value);
        } else {
                strbuf_add(&b, text, len);
        }
        strbuf_add(&b, "", 0);
        char *out = strbuf_take(&b);
        if (!out)
                return err_set(err, EX_NOSPC, "cannot edit the configuration", "out of memory", "%s", key);
        *ret = out;
        return 0;
}
