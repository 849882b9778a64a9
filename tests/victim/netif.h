/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What getifaddrs(3) and /proc/net show of the caller's links, addresses, routes and neighbours, as sorted lines. */
#pragma once

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "tests/victim/victim.h"

struct lines { char at[128][320]; unsigned n; };

static inline int lines_by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

static inline void lines_sort(struct lines *l)
{
        qsort(l->at, l->n, sizeof(l->at[0]), lines_by_name);
}

static inline void lines_compare(struct victim *v, const struct lines *a, const struct lines *b)
{
        VICTIM_CHECK(v, a->n == b->n, "there were %u and are %u", a->n, b->n);
        for (unsigned i = 0; i < a->n && i < b->n; i++)
                VICTIM_CHECK(v, strcmp(a->at[i], b->at[i]) == 0, "was: %s\nis:  %s", a->at[i], b->at[i]);
}

/* For request_lines(). */
static inline void lines_add(void *arg, const char *line)
{
        struct lines *l = arg;

        VICTIM_MUST(l->n < 128 && strlen(line) < sizeof(l->at[0]));
        memcpy(l->at[l->n++], line, strlen(line) + 1);
}

static inline void link_line(struct lines *l, const char *name)
{
        struct ifreq r = {};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        short flags;

        VICTIM_MUST(fd >= 0);
        snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
        VICTIM_MUST(ioctl(fd, SIOCGIFFLAGS, &r) == 0);
        flags = r.ifr_flags;
        VICTIM_MUST(ioctl(fd, SIOCGIFMTU, &r) == 0);
        int mtu = r.ifr_mtu;
        VICTIM_MUST(ioctl(fd, SIOCGIFTXQLEN, &r) == 0);
        int queue = r.ifr_qlen;
        VICTIM_MUST(ioctl(fd, SIOCGIFHWADDR, &r) == 0);
        const unsigned char *m = (const unsigned char *)r.ifr_hwaddr.sa_data;
        snprintf(l->at[l->n++], sizeof(l->at[0]), "%s flags=%x mtu=%d queue=%d mac=%02x:%02x:%02x:%02x:%02x:%02x", name, (unsigned)(unsigned short)flags, mtu, queue, m[0],
                 m[1], m[2], m[3], m[4], m[5]);
        close(fd);
}

static inline void address_lines(struct lines *l)
{
        struct ifaddrs *all = NULL;

        VICTIM_MUST(getifaddrs(&all) == 0);
        for (const struct ifaddrs *i = all; i && l->n < 128; i = i->ifa_next) {
                char a[64] = "", m[64] = "";
                if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
                        continue;
                int six = i->ifa_addr->sa_family == AF_INET6;
                const void *addr = six ? (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr
                                       : (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
                const void *mask = six ? (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_netmask)->sin6_addr
                                       : (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr;
                inet_ntop(i->ifa_addr->sa_family, addr, a, sizeof(a));
                inet_ntop(i->ifa_addr->sa_family, mask, m, sizeof(m));
                snprintf(l->at[l->n++], sizeof(l->at[0]), "%s %s %s", i->ifa_name, a, m);
        }
        freeifaddrs(all);
        lines_sort(l);
}

/* A table of /proc/net without its head; `cut` stops a line before columns that count uses. */
static inline void proc_lines(struct lines *l, const char *path, unsigned columns)
{
        char text[512];
        FILE *f = fopen(path, "re");

        VICTIM_MUST(f && fgets(text, sizeof(text), f));
        while (l->n < 128 && fgets(text, sizeof(text), f)) {
                unsigned at = 0;
                char *out = l->at[l->n++];
                out[0] = '\0';
                for (char *save = NULL, *w = strtok_r(text, " \t\n", &save); w && at < columns; w = strtok_r(NULL, " \t\n", &save), at++) {
                        size_t len = strlen(out);
                        snprintf(out + len, sizeof(l->at[0]) - len, "%s ", w);
                }
        }
        fclose(f);
        lines_sort(l);
}
