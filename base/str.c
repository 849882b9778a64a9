/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Growing buffers and bounded copies (base/str.h).
 *
 * A buffer that could not grow is `bad` and stays so: the caller checks once, at strbuf_take(). Sizes double, so that
 * text of any length costs linear time.
 */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void strbuf_done(struct strbuf *b)
{
        free(b->s);
        *b = (struct strbuf){};
}

static bool reserve(struct strbuf *b, size_t more)
{
        if (b->bad)
                return false;
        if (b->len + more + 1 <= b->cap)
                return true;
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + more + 1)
                cap *= 2;
        char *s = realloc(b->s, cap);
        if (!s) {
                b->bad = true;
                return false;
        }
        b->s = s;
        b->cap = cap;
        return true;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
        if (!reserve(b, n))
                return;
        if (n)
                memcpy(b->s + b->len, p, n);
        b->len += n;
        b->s[b->len] = '\0';
}

void strbuf_adds(struct strbuf *b, const char *s)
{
        strbuf_add(b, s, strlen(s));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        int n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0 || !reserve(b, (size_t)n))
                return;
        va_start(ap, fmt);
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
        va_end(ap);
        b->len += (size_t)n;
}

void strbuf_json(struct strbuf *b, const char *s)
{
        strbuf_adds(b, "\"");
        for (; *s; s++) {
                unsigned char c = (unsigned char)*s;
                if (c == '"' || c == '\\')
                        strbuf_addf(b, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        strbuf_addf(b, "\\u%04x", c);
                else
                        strbuf_add(b, s, 1);
        }
        strbuf_adds(b, "\"");
}

char *strbuf_take(struct strbuf *b)
{
        if (!reserve(b, 0)) {
                strbuf_done(b);
                return NULL;
        }
        b->s[b->len] = '\0';
        char *s = b->s;
        *b = (struct strbuf){};
        return s;
}

bool str_copy(char *dst, size_t size, const char *src)
{
        size_t n = strlen(src);
        bool fits = n < size;

        if (!fits)
                n = size - 1;
        memcpy(dst, src, n);
        dst[n] = '\0';
        return fits;
}
