/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctrctl info: what is known of one container, for a person or as one JSON object. Configuration and state come from the
 * same report as list's; nothing is locked. */
#include "tools/ctrctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "engine/ct-report.h"

static void print_text(const struct ct_report *r)
{
        const double mib = 1048576.0;

        printf("name       %s\nuuid       %s\nstate      %s\n", r->name, r->uuid, r->state);
        if (r->pid)
                printf("pid        %d\n", r->pid);
        if (r->exit_status >= 0)
                printf("last exit  %d\n", r->exit_status);
        printf("hostname   %s\ninit       %s\nimage      %s\n", r->hostname, r->init, r->image);
        printf("disk       %.1f MiB, %.1f MiB allocated%s%s\n", (double)r->disk_size / mib, (double)r->disk_allocated / mib,
               r->device[0] ? ", attached to " : "", r->device);
        printf("idmap      %u:%u\n", r->idmap.base, r->idmap.count);
        if (str_eq(r->bridge, "none"))
                printf("network    none\n");
        else
                printf("network    %s on %s, %s%s%s\n", r->port, r->bridge, r->ip4[0] ? r->ip4 : "no IPv4", r->ip6[0] ? ", " : "", r->ip6);
        printf("mac        %s\n", r->mac);
        if (r->limits.memory)
                printf("memory     at most %.1f MiB", (double)r->limits.memory / mib);
        else
                printf("memory     not limited");
        if (r->pid)
                printf(", %.1f MiB used", (double)r->usage.memory / mib);
        printf("\npids       ");
        if (r->limits.pids)
                printf("at most %" PRIu64, r->limits.pids);
        else
                printf("not limited");
        if (r->pid)
                printf(", %" PRIu64 " running", r->usage.pids);
        printf("\ncpu        ");
        if (r->limits.cpu_milli)
                printf("at most %u.%03u", r->limits.cpu_milli / 1000, r->limits.cpu_milli % 1000);
        else
                printf("not limited");
        if (r->pid)
                printf(", %.3f s used", (double)r->usage.cpu_usec / 1e6);
        printf("\n");
}

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        _cleanup_strbuf_ struct strbuf b = {};
        struct ct_report rep;
        int r = ctrctl_open_node(&o, err);

        if (r == 0)
                r = ct_report(o.node, a->operand[0], &rep, err);
        if (r < 0)
                return r;
        if (!arg_flag(a, "json")) {
                print_text(&rep);
                return 0;
        }
        ct_report_json(&rep, &b);
        _cleanup_free_ char *text = strbuf_take(&b);
        printf("%s\n", text ? text : "null");
        return 0;
}

const struct verb verb_info = {
        .name = "info",
        .operands = "CT",
        .help = "what is known of one container",
        .options = {{"json", NULL, "one object"}},
        .min = 1,
        .max = 1,
        .run = run,
};
