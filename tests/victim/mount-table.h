/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What victims of mounts share. Such a victim needs mounts of its own, so it is the first program of a container
 * (tests/kind/inside.sh): its directory for the talk is on the container's disk, and it may mount what it likes.
 *
 * The table of mounts is compared without what a kernel hands out anew: ids, devices, numbers of peer groups.
 */
#pragma once

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "tests/victim/victim.h"

struct table { char text[16384]; };

/* "shared:12" → "shared:_". */
static inline void table_line(struct table *t, size_t *at, char *line)
{
        char *save = NULL, out[1024] = "";
        unsigned field = 0;

        for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save), field++) {
                char *colon = strchr(w, ':');
                if (field < 3)
                        continue;
                if (strncmp(w, "/dev/loop", 9) == 0)
                        w[9] = '\0';
                if (colon && (strncmp(w, "shared:", 7) == 0 || strncmp(w, "master:", 7) == 0))
                        colon[1] = '\0';
                size_t n = strlen(out);
                snprintf(out + n, sizeof(out) - n, "%s ", w);
        }
        int n = snprintf(t->text + *at, sizeof(t->text) - *at, "%s\n", out);
        VICTIM_MUST(n > 0 && *at + (size_t)n < sizeof(t->text));
        *at += (size_t)n;
}

static inline void table_read(struct table *t)
{
        char line[2048];
        size_t at = 0;
        FILE *f = fopen("/proc/self/mountinfo", "re");

        VICTIM_MUST(f);
        while (fgets(line, sizeof(line), f))
                table_line(t, &at, line);
        VICTIM_MUST(fclose(f) == 0);
}

/* Names the first line that differs. */
static inline void table_check(struct victim *v, const struct table *before)
{
        static struct table now;
        const char *a = before->text, *b = now.text;

        table_read(&now);
        while (*a && *b) {
                size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
                if (n != m || memcmp(a, b, n) != 0) {
                        victim_fail(v, "the mount '%.*s' became '%.*s'", (int)n, a, (int)m, b);
                        return;
                }
                a += n + 1;
                b += m + 1;
        }
        VICTIM_CHECK(v, !*a && !*b, "there are more or fewer mounts: '%.100s' '%.100s'", a, b);
}

static inline void must_write(const char *path, const void *p, size_t n)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        VICTIM_MUST(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

static inline bool holds(const char *path, const void *p, size_t n)
{
        char *buf = malloc(n + 1);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool same = buf && fd >= 0 && read(fd, buf, n + 1) == (ssize_t)n && memcmp(buf, p, n) == 0;

        if (fd >= 0)
                close(fd);
        free(buf);
        return same;
}

/* Names, types, owners and devices of a directory, in the order of names. */
struct listing { char text[8192]; };
static inline void listing_read(struct listing *l, const char *path)
{
        struct dirent **e = NULL;
        int n = scandir(path, &e, NULL, alphasort);
        size_t at = 0;

        VICTIM_MUST(n >= 0);
        l->text[0] = '\0';
        for (int i = 0; i < n; i++) {
                struct stat st;
                char name[600];
                snprintf(name, sizeof(name), "%s/%s", path, e[i]->d_name);
                VICTIM_MUST(lstat(name, &st) == 0);
                /* the links and the size of a directory are its file system's */
                at += (size_t)snprintf(l->text + at, sizeof(l->text) - at, "%s %o %u:%u %u:%u %ld\n", e[i]->d_name, st.st_mode, st.st_uid,
                                       st.st_gid, major(st.st_rdev), minor(st.st_rdev), S_ISREG(st.st_mode) ? (long)st.st_size : 0L);
                VICTIM_MUST(at < sizeof(l->text));
                free(e[i]);
        }
        free(e);
}

static inline void listing_check(struct victim *v, const struct listing *before, const char *path)
{
        static struct listing now;
        const char *a = before->text, *b = now.text;

        listing_read(&now, path);
        while (*a && *a == *b)
                a++, b++;
        if (*a || *b) {
                while (a > before->text && a[-1] != '\n')
                        a--, b--;
                victim_fail(v, "in %s '%.*s' became '%.*s'", path, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
        }
}
