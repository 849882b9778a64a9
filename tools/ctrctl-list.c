/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl list: every container of the node, a line each, or one JSON array.
 *
 * It takes no lock and waits for nobody. A container whose configuration is broken is listed as such with the error on
 * standard error, or in its object: one typo must not hide the others.
 */
#include "tools/ctrctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "engine/ct-report.h"

static void print_row(const struct ct_report *r)
{
        char pid[16] = "-", memory[24] = "-";

        if (r->pid)
                snprintf(pid, sizeof(pid), "%d", r->pid);
        if (r->pid)
                snprintf(memory, sizeof(memory), "%.1fM", (double)r->usage.memory / 1048576.0);
        printf("%-20s %-10s %-20s %8s %10s\n", r->name, r->state, r->ip4[0] ? r->ip4 : "-", pid, memory);
}

static void print_broken(const char *name, const struct err *err)
{
        _cleanup_strbuf_ struct strbuf b = {};

        strbuf_adds(&b, "{\"name\":");
        strbuf_json(&b, name);
        strbuf_adds(&b, ",\"state\":\"broken\",\"error\":");
        error_json(&b, err);
        _cleanup_free_ char *text = strbuf_take(&b);
        printf("%s}", text ? text : "{\"state\":\"broken\"");
}

/* 0, or the exit code of what is broken. */
static int one(struct node *n, const char *name, bool json, bool *first)
{
        struct ct_report rep;
        _cleanup_strbuf_ struct strbuf b = {};
        struct err err = {};
        int r = ct_report(n, name, &rep, &err);

        if (r < 0 && err.code == EX_UNKNOWN)
                return 0; /* destroyed meanwhile */
        if (json)
                printf("%s", *first ? "" : ",\n ");
        *first = false;
        if (r < 0 && json) {
                print_broken(name, &err);
        } else if (r < 0) {
                report("ctrctl", &err);
                printf("%-20s %-10s %-20s %8s %10s\n", name, "broken", "-", "-", "-");
        } else if (json) {
                ct_report_json(&rep, &b);
                _cleanup_free_ char *text = strbuf_take(&b);
                printf("%s", text ? text : "null");
        } else {
                print_row(&rep);
        }
        return r < 0 ? err.code : 0;
}

static int run(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        bool json = arg_flag(a, "json");
        char **names = NULL;
        size_t n = 0;
        int r = ctrctl_open_node(&o, err), status = 0;

        if (r == 0)
                r = ct_names(o.node, &names, &n, err);
        if (r < 0)
                return r;
        if (json)
                printf("[");
        else
                printf("%-20s %-10s %-20s %8s %10s\n", "NAME", "STATE", "IP4", "PID", "MEMORY");
        bool first = true;
        for (size_t i = 0; i < n; i++) {
                int code = one(o.node, names[i], json, &first);
                if (code)
                        status = code;
                free(names[i]);
        }
        free(names);
        if (json)
                printf("]\n");
        return status;
}

const struct verb verb_list = {
        .name = "list",
        .operands = "",
        .help = "all containers of this node",
        .options = {{"json", NULL, "one array of objects"}},
        .run = run,
};
