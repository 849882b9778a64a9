/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A descriptor table: which number holds which open file description, and whether exec closes it.
 *
 * Descriptions are kinds of their own; the session, which has a descriptor of each, hands a whole table at once (PH_HAND).
 * So this kind has a dump and a check, and no plan.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-files.pb-c.h"

#define FD_MAX (1u << 20) /* fs.nr_open's default */

static int take_one(Gantry__TaskFiles *m, const struct fd_entry *e, struct err *err)
{
        Gantry__TaskFiles__Entry *x = KIND_NEW(Gantry__TaskFiles__Entry, gantry__task_files__entry__init);

        if (!x)
                return kind_nomem(err);
        m->entry[m->n_entry++] = x;
        x->fd = e->fd;
        x->cloexec = e->cloexec;
        x->file = e->file;
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct fd_entry *e = NULL;
        size_t n = 0;
        int r = dump_fd_table(d, o, &e, &n, err);

        (void)fd;
        (void)t;
        if (r < 0)
                return r;
        Gantry__TaskFiles *m = KIND_NEW(Gantry__TaskFiles, gantry__task_files__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->entry = kind_calloc(n, sizeof(*m->entry));
        if (!m->entry)
                return kind_nomem(err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = take_one(m, &e[i], err);
        return r < 0 ? r : field_record(&kind_task_files, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskFiles *m = (const Gantry__TaskFiles *)r->msg;

        for (size_t i = 0; i < m->n_entry; i++) {
                const Gantry__TaskFiles__Entry *x = m->entry[i];
                if (x->fd >= FD_MAX || (i && x->fd <= m->entry[i - 1]->fd))
                        return kind_bad(&kind_task_files, r, err, "its numbers do not rise, or are too large");
                if (!x->file)
                        return kind_bad(&kind_task_files, r, err, "a number holds nothing");
        }
        need->fds += m->n_entry;
        return 0;
}

const struct kind kind_task_files = {
        .stem = "task-files",
        .number = KIND_TASK_FILES,
        .cls = CLS_FILES,
        .msg = &gantry__task_files__descriptor,
        .take = take,
        .check = check,
};
