/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctrctl set: keys of ct.conf, with the same effect as editing the file. Each KEY=VALUE is written for itself, in order;
 * the first wrong one ends the command. */
#include "tools/ctrctl.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int one(struct ct *ct, const char *word, struct err *err)
{
        char key[64];
        const char *eq = strchr(word, '=');

        if (!eq || (size_t)(eq - word) >= sizeof(key)) {
                usage_error(err, "KEY=VALUE belongs here", word);
                return err_remedy(err, "for example memory=512M or net.ip4=10.0.0.2/24");
        }
        snprintf(key, sizeof(key), "%.*s", (int)(eq - word), word);
        int r = ct_set(ct, key, eq + 1, err);
        if (r == 1)
                fprintf(stderr, "ctrctl: %s takes effect when %s is started again\n", key, ct_name(ct));
        return r < 0 ? r : 0;
}

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);

        for (size_t i = 1; r == 0 && i < a->n_operands; i++)
                r = one(o.ct, a->operand[i], err);
        return r;
}

const struct verb verb_set = {
        .name = "set",
        .operands = "CT KEY=VALUE…",
        .help = "change a container's configuration; limits of a running one at once",
        .more = "Keys: init, image, idmap, memory, swap, cpu, pids, hostname,\n"
                "net.bridge, net.mac, net.ip4, net.ip6, net.gw4, net.gw6. An empty value removes the key.\n",
        .min = 2,
        .max = (size_t)-1,
        .run = run,
};
