/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outside observer (look.h). A line is "PID what: value", with the pid that the task has inside.
 *
 * Numbers that the kernel hands out anew (inodes of pipes and sockets, ids of mounts and eventfds, pids outside) are
 * replaced by the order in which they are met, so that sharing stays visible and the number itself does not. Left out:
 * what runs on by itself (times, faults, switches), soft-dirty, and whether a task sleeps or runs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kind/look.h"

#define TASKS_MAX 1200
#define SEEN_MAX 4096
#define EPOLL_MAX 256

struct seen { unsigned long number[SEEN_MAX]; size_t n; };
struct out { FILE *f; struct seen inodes, ids; long pid; };

static char *slurp(const char *path)
{
        FILE *f = fopen(path, "re");
        char *text = NULL;
        size_t n = 0;

        if (!f)
                return NULL;
        FILE *mem = open_memstream(&text, &n);
        char buf[4096];
        for (size_t got; mem && (got = fread(buf, 1, sizeof(buf), f)) > 0;)
                fwrite(buf, 1, got, mem);
        fclose(f);
        if (mem)
                fclose(mem);
        return text;
}

/* The how-manieth number this is. */
static size_t ordinal(struct seen *s, unsigned long number)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->number[i] == number)
                        return i;
        if (s->n < SEEN_MAX)
                s->number[s->n++] = number;
        return s->n - 1;
}

/* "pipe:[123]" → "pipe:#0". */
static void put_link(struct out *o, const char *link)
{
        char *bracket = strstr(link, ":[");
        char *end = NULL;
        unsigned long number = bracket ? strtoul(bracket + 2, &end, 10) : 0;

        if (bracket && end != bracket + 2 && *end == ']')
                fprintf(o->f, "%.*s:#%zu", (int)(bracket - link), link, ordinal(&o->inodes, number));
        else
                fputs(link, o->f);
}

static void look_link(struct out *o, const char *base, const char *name)
{
        char path[400], link[4096];

        snprintf(path, sizeof(path), "%.80s/%.300s", base, name);
        ssize_t n = readlink(path, link, sizeof(link) - 1);
        link[n < 0 ? 0 : n] = '\0';
        fprintf(o->f, "%ld %s: ", o->pid, name);
        put_link(o, link);
        fputc('\n', o->f);
}

static bool starts(const char *line, const char *const *keys)
{
        for (; *keys; keys++)
                if (strncmp(line, *keys, strlen(*keys)) == 0)
                        return true;
        return false;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a file that begin with one of `keys`, or with none of them. Entries of an epoll instance stand in the order
 * of kernel addresses: they are sorted. */
static void look_lines(struct out *o, const char *base, const char *name, const char *const *keys, bool want)
{
        char path[400], *save = NULL, *entry[EPOLL_MAX];
        size_t entries = 0;

        snprintf(path, sizeof(path), "%.80s/%.300s", base, name);
        char *text = slurp(path);
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
                if (starts(line, keys) != want)
                        continue;
                char *ino = strncmp(line, "tfd:", 4) == 0 ? strstr(line, " ino:") : NULL;
                if (ino)
                        *ino = '\0';
                if (ino && entries < EPOLL_MAX)
                        entry[entries++] = line;
                else if (strncmp(line, "eventfd-id:", 11) == 0)
                        fprintf(o->f, "%ld %s: eventfd #%zu\n", o->pid, name, ordinal(&o->ids, strtoul(line + 11, NULL, 10)));
                else
                        fprintf(o->f, "%ld %s: %s\n", o->pid, name, line);
        }
        qsort(entry, entries, sizeof(*entry), by_text);
        for (size_t i = 0; i < entries; i++)
                fprintf(o->f, "%ld %s: %s\n", o->pid, name, entry[i]);
        free(text);
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
        long x = strtol((*a)->d_name, NULL, 10), y = strtol((*b)->d_name, NULL, 10);

        return x < y ? -1 : x > y;
}

static int is_number(const struct dirent *e)
{
        return e->d_name[0] >= '0' && e->d_name[0] <= '9';
}

static void look_fds(struct out *o, const char *base)
{
        static const char *const changing[] = {"mnt_id:", "ino:", NULL};
        struct dirent **list = NULL;
        char path[400];

        snprintf(path, sizeof(path), "%.80s/fd", base);
        int n = scandir(path, &list, is_number, by_number);
        for (int i = 0; i < n; i++) {
                char name[300];
                snprintf(name, sizeof(name), "fd/%s", list[i]->d_name);
                look_link(o, base, name);
                snprintf(name, sizeof(name), "fdinfo/%s", list[i]->d_name);
                look_lines(o, base, name, changing, false);
                free(list[i]);
        }
        free(list);
}

/* Head lines of smaps without device and inode of what has no name left, and VmFlags without soft-dirty. */
static void look_maps(struct out *o, const char *base)
{
        char path[400], *save = NULL;

        snprintf(path, sizeof(path), "%.80s/smaps", base);
        char *text = slurp(path);
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
                char range[40], perms[8], off[20], dev[20];
                unsigned long ino;
                int name = 0;
                char *sd;

                if (sscanf(line, "%39s %7s %19s %19s %lu %n", range, perms, off, dev, &ino, &name) == 5 && strchr(range, '-')) {
                        bool gone = strstr(line, "(deleted)") != NULL;
                        fprintf(o->f, "%ld map %s %s %s %s %lu %s\n", o->pid, range, perms, off, gone ? "" : dev,
                                gone ? 0 : ino, line + name);
                } else if (strncmp(line, "VmFlags:", 8) == 0) {
                        if ((sd = strstr(line, " sd")))
                                memmove(sd, sd + 3, strlen(sd + 3) + 1);
                        fprintf(o->f, "%ld %s\n", o->pid, line);
                }
        }
        free(text);
}

static void look_threads(struct out *o, const char *base)
{
        static const char *const wanted[] = {"Name:", "SigBlk:", "SigPnd:", "Cap", "Uid:", "Gid:", "NoNewPrivs:", "Seccomp",
                                             NULL};
        struct dirent **list = NULL;
        char path[400];

        snprintf(path, sizeof(path), "%.80s/task", base);
        int n = scandir(path, &list, is_number, by_number);
        for (int i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%.80s/task/%.20s", base, list[i]->d_name);
                fprintf(o->f, "%ld thread %d\n", o->pid, i);
                look_lines(o, path, "status", wanted, true);
                free(list[i]);
        }
        free(list);
}

static const char *last_word(const char *line)
{
        const char *tab = strrchr(line, '\t');

        return tab ? tab + 1 : line;
}

static long inside(long outer)
{
        char path[400];

        snprintf(path, sizeof(path), "/proc/%ld/status", outer);
        char *text = slurp(path);
        char *line = text ? strstr(text, "\nNSpid:") : NULL;
        long pid = -1;
        if (line) {
                line++;
                line[strcspn(line, "\n")] = '\0';
                pid = strtol(last_word(line), NULL, 10);
        }
        free(text);
        return pid;
}

/* NSpgid and NSsid as the tree sees them: the number in the innermost namespace. */
static void look_groups(struct out *o, const char *base)
{
        char path[400], *save = NULL;

        snprintf(path, sizeof(path), "%.80s/status", base);
        char *text = slurp(path);
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
                if (strncmp(line, "NSpgid:", 7) == 0 || strncmp(line, "NSsid:", 6) == 0)
                        fprintf(o->f, "%ld %.6s %s\n", o->pid, line, last_word(line));
        free(text);
}

static void look_task(struct out *o, long outer, long pid)
{
        static const char *const wanted[] = {"Umask:", "Groups:", "Threads:", "ShdPnd:", "SigIgn:", "SigCgt:", "THP_enabled:", NULL};
        static const char *const all[] = {NULL};
        static const char *const links[] = {"cwd", "root", "exe"};
        static const char *const files[] = {"limits", "cmdline", "environ", "comm", "oom_score_adj", "coredump_filter", "personality",
                                            "timers", "loginuid", "timerslack_ns"};
        char base[48];

        snprintf(base, sizeof(base), "/proc/%ld", outer);
        o->pid = pid;
        look_groups(o, base);
        look_lines(o, base, "status", wanted, true);
        for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
                look_link(o, base, links[i]);
        for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
                look_lines(o, base, files[i], all, false);
        look_fds(o, base);
        look_maps(o, base);
        look_threads(o, base);
}

struct task { long outer, pid; };

static int by_pid(const void *a, const void *b)
{
        const struct task *x = a, *y = b;

        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

char *look(int cgroup_fd)
{
        struct task task[TASKS_MAX];
        struct out o = {0};
        size_t size = 0, n = 0;
        char path[400], *text = NULL, *save = NULL;

        snprintf(path, sizeof(path), "/proc/self/fd/%d/cgroup.procs", cgroup_fd);
        char *procs = slurp(path);
        for (char *w = procs ? strtok_r(procs, "\n", &save) : NULL; w && n < TASKS_MAX; w = strtok_r(NULL, "\n", &save)) {
                task[n].outer = strtol(w, NULL, 10);
                task[n].pid = inside(task[n].outer);
                n++;
        }
        free(procs);
        if (n == 0 || !(o.f = open_memstream(&text, &size))) {
                errno = n ? errno : ESRCH;
                return NULL;
        }
        qsort(task, n, sizeof(*task), by_pid);
        for (size_t i = 0; i < n; i++)
                look_task(&o, task[i].outer, task[i].pid);
        if (fclose(o.f) != 0)
                return NULL;
        return text;
}

int look_differs(const char *before, const char *after, char *ret, size_t size)
{
        while (*before || *after) {
                size_t a = strcspn(before, "\n"), b = strcspn(after, "\n");
                if (a != b || memcmp(before, after, a) != 0) {
                        snprintf(ret, size, "- %.*s / + %.*s", (int)a, before, (int)b, after);
                        return 1;
                }
                before += a + (before[a] != '\0');
                after += b + (after[b] != '\0');
        }
        return 0;
}
