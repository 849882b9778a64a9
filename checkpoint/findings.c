/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list of refusals. A dump ends with the first that it meets; session_probe() collects all of them, so that whoever wants to move a
 * container is told everything that stands in the way at once.
 */
#include <stdlib.h>

#include "checkpoint/session.h"

void findings_done(struct findings *f)
{
        free(f->at);
        *f = (struct findings){};
}

int findings_add(struct findings *f, const struct err *e)
{
        struct err *grown = realloc(f->at, (f->n + 1) * sizeof(*grown));

        if (!grown)
                return -EX_NOSPC;
        f->at = grown;
        grown[f->n++] = *e;
        return 0;
}
