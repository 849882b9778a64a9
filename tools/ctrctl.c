/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl: the containers of this node, by hand.
 *
 * Everything it does is in engine/; here are the table of its verbs and what they share. A verb is a file of its own.
 */
#include "tools/ctrctl.h"

#include "base/cleanup.h"

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

static const struct verb *const verbs[] = {
        &verb_create, &verb_start, &verb_stop, &verb_exec, &verb_list, &verb_info, &verb_set, &verb_destroy,
        &verb_template_create, &verb_checkpoint, &verb_restore, &verb_image_show, &verb_image_verify,
};

int main(int argc, char **argv)
{
        const struct program p = {.name = "ctrctl", .summary = "containers of this node", .verbs = verbs, .n = ELEMENTSOF(verbs)};

        return program_main(&p, argc, argv);
}
