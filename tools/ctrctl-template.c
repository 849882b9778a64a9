/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl template create: an image to copy containers from, made of a distribution's packages.
 *
 * Options and output only; the work is engine/template.c's.
 */
#include "tools/ctrctl.h"

#include "base/parse.h"
#include "engine/template.h"

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        struct template_options t = {.name = a->operand[0], .packages = arg(a, "packages"), .mirror = arg(a, "mirror")};
        int r = 0;

        if (arg(a, "size"))
                r = parse_size(arg(a, "size"), &t.size, err);
        if (r < 0)
                return err_wrap(err, "cannot use the option", "--size %s", arg(a, "size"));
        r = ctrctl_open_node(&o, err);
        if (r < 0)
                return r;
        progress("installing packages: this takes some 20 seconds …");
        r = template_create(o.node, &t, err);
        progress(NULL);
        return r;
}

const struct verb verb_template_create = {
        .name = "template create",
        .operands = "debian-12",
        .help = "make a template from Debian packages (mmdebstrap)",
        .options = {{"packages", "LIST", "further packages, with commas: nginx-light,openssh-server"},
                    {"mirror", "URL", "where packages come from, the node's own unless given"},
                    {"size", "SIZE", "size of the template's image, 1G unless given"}},
        .min = 1,
        .max = 1,
        .run = run,
};
