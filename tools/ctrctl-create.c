/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl create: a new container.
 *
 * Each option is a key of ct.conf and is checked by the same code: the options are put together into the text of a
 * configuration, which is parsed like any other, with stand-ins for what the node gives out later (uuid, ids).
 */
#include "tools/ctrctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define STAND_IN_UUID "00000000-0000-4000-8000-000000000000"

static const struct { const char *option, *section, *key; } keys[] = {
        {"init", "", "init"},     {"size", "", "size"},     {"memory", "", "memory"},    {"swap", "", "swap"},
        {"cpu", "", "cpu"},       {"pids", "", "pids"},     {"hostname", "", "hostname"}, {"bridge", "net", "bridge"},
        {"mac", "net", "mac"},    {"ip4", "net", "ip4"},    {"ip6", "net", "ip6"},        {"gw4", "net", "gw4"},
        {"gw6", "net", "gw6"},
};

static int config_of(const struct args *a, struct ct_config *ret, struct err *err)
{
        _cleanup_free_ char *text = strdup("uuid = " STAND_IN_UUID "\ninit = /sbin/init\nidmap = 1:65536\n");
        struct err inner = {};

        if (!text)
                return err_set(err, EX_NOSPC, "cannot create the container", "out of memory", "%s", a->operand[0]);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *value = arg(a, keys[i].option);
                char *next = NULL;
                if (!value)
                        continue;
                if (ct_config_set(text, keys[i].section, keys[i].key, *value ? value : "\"\"", &next, &inner) < 0)
                        /* The place in a text that nobody has written says nothing. */
                        return err_set(err, EX_USAGE, "cannot use the option", inner.why, "--%s %s", keys[i].option, value);
                free(text);
                text = next;
        }
        int r = ct_config_parse(text, strlen(text), "options", ret, err);
        if (r < 0)
                return r;
        /* The node fills in what is empty. */
        ret->uuid[0] = '\0';
        ret->idmap = (struct idmap){};
        if (!arg(a, "mac"))
                memset(ret->mac, 0, sizeof(ret->mac));
        return 0;
}

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        struct ct_create c = {.name = a->operand[0], .template_name = arg(a, "template")};
        int r = config_of(a, &c.config, err);

        if (r == 0)
                r = ctrctl_open_node(&o, err);
        if (r == 0) {
                progress("copying the template …");
                r = ct_create(o.node, &c, err);
                progress(NULL);
        }
        ct_config_done(&c.config);
        return r;
}

const struct verb verb_create = {
        .name = "create",
        .operands = "NAME",
        .help = "make a container: its directory, ct.conf and disk image",
        .options = {{"template", "TEMPLATE", "copy its image (without it: an empty one)"},
                    {"size", "SIZE", "size of the image, 10G unless given"},
                    {"init", "COMMAND", "first program, /sbin/init unless given; \"double quotes\" keep blanks"},
                    {"memory", "SIZE", "memory limit: 512M, 2G"},
                    {"swap", "SIZE", "swap on top of memory"},
                    {"cpu", "CPUS", "1.5 or 150%"},
                    {"pids", "N", "largest number of tasks"},
                    {"hostname", "NAME", "the container's name unless given"},
                    {"bridge", "LINK", "node.conf's unless given; none: no network"},
                    {"mac", "MAC", "derived from the uuid unless given"},
                    {"ip4", "ADDRESS/BITS", "one or more, with commas"},
                    {"ip6", "ADDRESS/BITS", "one or more, with commas"},
                    {"gw4", "ADDRESS", "default route"},
                    {"gw6", "ADDRESS", "default route"}},
        .min = 1,
        .max = 1,
        .run = run,
};
