/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For victims of memory: what smaps says of one mapping, and whether it still says so. */
#pragma once

#include <sys/mman.h>

#include "tests/victim/victim.h"

struct seen { char head[64], flags[128]; }; /* "START-END PERMS OFFSET", VmFlags */

/* The entry that holds addr. Reads by hand: a stream would allocate, and change what is looked at. */
static inline bool smaps_find(const void *addr, struct seen *ret)
{
        static char text[1 << 20];
        size_t len = 0;
        bool mine = false;
        int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return false;
        for (ssize_t n; len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0;)
                len += (size_t)n;
        close(fd);
        text[len] = '\0';
        for (char *p = text, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
                *nl = '\0';
                if (!(*p >= 'A' && *p <= 'Z')) {
                        unsigned long a = 0, b = 0;
                        mine = sscanf(p, "%lx-%lx", &a, &b) == 2 && a <= (unsigned long)addr && (unsigned long)addr < b;
                        if (mine)
                                snprintf(ret->head, sizeof(ret->head), "%.*s", 58, p);
                } else if (mine && strncmp(p, "VmFlags:", 8) == 0) {
                        snprintf(ret->flags, sizeof(ret->flags), "%.120s", p + 8);
                        return true;
                }
        }
        return false;
}

/* Head without the part that names the file: START-END PERMS OFFSET. */
static inline void smaps_same(struct victim *v, const char *what, const void *addr, const struct seen *before)
{
        struct seen now = {0};

        VICTIM_CHECK(v, smaps_find(addr, &now), "%s: no mapping any more", what);
        int n = 0, spaces = 0;
        while (before->head[n] && (spaces += before->head[n] == ' ') < 3)
                n++;
        VICTIM_CHECK(v, strncmp(before->head, now.head, (size_t)n) == 0, "%s: %.*s became %.*s", what, n, before->head, n, now.head);
        VICTIM_CHECK(v, strcmp(before->flags, now.flags) == 0, "%s: VmFlags%s became%s", what, before->flags, now.flags);
}

static inline void pattern_fill(unsigned char *p, size_t n, unsigned seed)
{
        for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
}

static inline bool pattern_is(const unsigned char *p, size_t n, unsigned seed)
{
        for (size_t i = 0; i < n; i++)
                if (p[i] != (unsigned char)((i * 2654435761u + seed) >> 13))
                        return false;
        return true;
}
