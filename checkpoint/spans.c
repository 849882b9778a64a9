/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ranges of addresses, ascending, those that touch merged into one: what both ways of looking for pages fill (scan.c,
 * scan-pagemap.c).
 */
#include <stdlib.h>

#include "checkpoint/pages-int.h"

int spans_add(struct spans *s, uint64_t start, uint64_t end)
{
        if (s->n && s->at[s->n - 1].end == start) {
                s->at[s->n - 1].end = end;
                return 0;
        }
        if (s->n == s->cap) {
                size_t cap = s->cap ? s->cap * 2 : 64;
                struct span *grown = realloc(s->at, cap * sizeof(*grown));
                if (!grown)
                        return -EX_NOSPC;
                s->at = grown;
                s->cap = cap;
        }
        s->at[s->n++] = (struct span){ start, end };
        return 0;
}
