/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl: the containers of this node, by hand.
 *
 * Everything it does is in engine/; here is the table of its verbs. A verb is a file of its own, what they share is ctrctl-open.c's.
 */
#include "tools/ctrctl.h"

#include "base/cleanup.h"

static const struct verb *const verbs[] = {
        &verb_create, &verb_start, &verb_stop, &verb_exec, &verb_list, &verb_info, &verb_set, &verb_destroy,
        &verb_template_create, &verb_checkpoint, &verb_restore, &verb_image_show, &verb_image_verify,
};

int main(int argc, char **argv)
{
        const struct program p = {.name = "ctrctl", .summary = "containers of this node", .verbs = verbs, .n = ELEMENTSOF(verbs)};

        return program_main(&p, argc, argv);
}
