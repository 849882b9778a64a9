/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings: a growing buffer and bounded copies. Growing never fails half-way: on ENOMEM the buffer turns
 * `bad`, further appends are ignored, and strbuf_take() returns NULL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "base/err.h"

struct strbuf {
        char *s;
        size_t len, cap;
        bool bad;
};

void strbuf_done(struct strbuf *b);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
void strbuf_json(struct strbuf *b, const char *s); /* a quoted, escaped JSON string */
char *strbuf_take(struct strbuf *b); /* NUL-terminated, caller frees; NULL when bad */
#define _cleanup_strbuf_ __attribute__((cleanup(strbuf_done)))

/* Copies with NUL, truncating; true when all of it fit. */
bool str_copy(char *dst, size_t size, const char *src);
static inline bool str_eq(const char *a, const char *b)
{
        return a && b && strcmp(a, b) == 0;
}
static inline bool str_starts(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}
