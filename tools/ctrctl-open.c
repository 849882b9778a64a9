/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ctrctl's verbs share: the node and the container of a command line, opened and closed together.
 *
 * Whatever part could be opened is closed by ctrctl_close(), also after an error.
 */
#include "tools/ctrctl.h"

int ctrctl_open_node(struct opened *ret, struct err *err)
{
        *ret = (struct opened){};
        return node_open(program_log(&ret->log), &ret->node, err);
}

int ctrctl_open(const char *name, enum ct_lock lock, struct opened *ret, struct err *err)
{
        int r = ctrctl_open_node(ret, err);

        return r < 0 ? r : ct_open(ret->node, name, lock, &ret->ct, err);
}

void ctrctl_close(struct opened *o)
{
        ct_close(o->ct);
        node_free(o->node);
        *o = (struct opened){};
}
