/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container at one glance, for list and info. */
#pragma once

#include "base/str.h"
#include "engine/ct.h"

struct ct_report {
        char name[CT_NAME_MAX + 1], uuid[37], state[12], hostname[65], init[256], image[256], bridge[16], port[16], mac[18];
        char ip4[256], ip6[512], device[32];
        struct idmap idmap;
        struct cg_limits limits;
        struct cg_usage usage;
        uint64_t disk_size, disk_allocated;
        pid_t pid;             /* 0: none */
        int exit_status;       /* of the last run, -1: unknown */
};
int ct_report(struct node *n, const char *name, struct ct_report *ret, struct err *err);
void ct_report_json(const struct ct_report *r, struct strbuf *to);
