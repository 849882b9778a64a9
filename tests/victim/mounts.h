/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mounts of the caller, as /proc/self/mountinfo shows them but for numbers that no restore can keep. */
#pragma once

#include "tests/victim/victim.h"

struct mount_list { char line[64][512]; unsigned n; };

static inline int mounts_by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* "target root options shared? type super-options", sorted. */
static inline void mounts_read(struct mount_list *l)
{
        char text[2048];
        FILE *f = fopen("/proc/self/mountinfo", "re");

        VICTIM_MUST(f);
        l->n = 0;
        while (l->n < 64 && fgets(text, sizeof(text), f)) {
                char root[256], target[256], options[128], type[64] = "", super[256] = "";
                const char *dash = strstr(text, " - ");
                VICTIM_MUST(dash && sscanf(text, "%*d %*d %*s %255s %255s %127s", root, target, options) == 3);
                VICTIM_MUST(sscanf(dash + 3, "%63s %*s %255s", type, super) == 2);
                snprintf(l->line[l->n++], sizeof(l->line[0]), "%.120s %.80s %.90s %s %.60s %.120s", target, root, options,
                         strstr(text, " shared:") ? "shared" : "private", type, super);
        }
        fclose(f);
        qsort(l->line, l->n, sizeof(l->line[0]), mounts_by_name);
}

static inline void mounts_compare(struct victim *v, const struct mount_list *a, const struct mount_list *b)
{
        VICTIM_CHECK(v, a->n == b->n, "there were %u mounts and are %u", a->n, b->n);
        for (unsigned i = 0; i < a->n && i < b->n; i++)
                VICTIM_CHECK(v, strcmp(a->line[i], b->line[i]) == 0, "was: %s\nis:  %s", a->line[i], b->line[i]);
}
