/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of ct.conf, node.conf and the run state: `key = value` lines, [sections], comments. Every entry and every error
 * knows its line and column, both from 1 and in bytes.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"

struct ini_entry {
        const char *section;      /* "" before the first header */
        const char *key, *value;  /* the value has no surrounding blanks and no comment; quotes are kept */
        unsigned line, key_col, value_col;
};

/* Calls `each` per entry in order; its first non-zero return ends the parse and is forwarded. EX_CONFIG. */
int ini_parse(const char *text, size_t len, const char *file,
              int (*each)(void *ctx, const struct ini_entry *e, struct err *err), void *ctx, struct err *err);
/* Fills err as EX_CONFIG on "file:line:col". */
int ini_error(struct err *err, const char *file, unsigned line, unsigned col, const char *fmt, ...) PRINTF(5, 6);
/* The text with one key changed, added (value NULL: removed), all other bytes as they were. *ret: NUL-terminated, caller frees. */
int ini_set(const char *text, const char *section, const char *key, const char *value, char **ret, struct err *err);
