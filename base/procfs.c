/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc: descriptors of process directories and whole files (base/procfs.h), and the parsers of stat, status and
 * fdinfo. smaps and mountinfo have files of their own.
 *
 * Kernel facts: the comm of stat may hold spaces, newlines and ')', so its end is the last ')'; every file ends with
 * a newline; a process that ended answers ESRCH to a read and ENOENT to a lookup, both are EX_UNKNOWN here.
 */
#include "base/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/sys.h"

/* smaps of 65,530 areas with long names stays below this. */
#define FILE_MAX ((size_t)256 << 20)
#define STAT_MAX 2048
#define LINE_MAX_FDINFO 8192

static int gone(int sysno)
{
        return sysno == -ENOENT || sysno == -ESRCH ? EX_UNKNOWN : EX_FAIL;
}

int proc_open(pid_t pid, struct err *err)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", pid);
        int fd = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
        return fd < 0 ? err_sys(err, gone(fd), fd, "cannot open a process", "%s", path) : fd;
}

int proc_open_thread(pid_t pid, pid_t tid, struct err *err)
{
        char path[48];

        snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
        int fd = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
        return fd < 0 ? err_sys(err, gone(fd), fd, "cannot open a thread", "%s", path) : fd;
}

int proc_read(int procfd, const char *name, char **ret, size_t *ret_len, struct err *err)
{
        struct err e = {};
        _cleanup_close_ int fd = sys_openat(procfd, name, O_RDONLY, 0);

        if (fd < 0)
                return err_sys(err, gone(fd), fd, "cannot open in /proc", "%s", name);
        int r = fd_read_all(fd, FILE_MAX, ret, ret_len, &e);
        if (r < 0 && e.sys)
                return err_sys(err, gone(-e.sys), e.sys, "cannot read in /proc", "%s", name);
        if (r < 0)
                return err_set(err, e.code, "cannot read in /proc", e.why, "%s", name);
        return 0;
}

int proc_readlink(int procfd, const char *name, char *ret, size_t size, struct err *err)
{
        ssize_t n = readlinkat(procfd, name, ret, size);

        if (n < 0)
                return err_sys(err, gone(-errno), errno, "cannot read a link in /proc", "%s", name);
        if ((size_t)n >= size)
                return err_sys(err, EX_FAIL, ENAMETOOLONG, "cannot read a link in /proc", "%s", name);
        ret[n] = '\0';
        return 0;
}

static int by_number(const void *a, const void *b)
{
        unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

        return (x > y) - (x < y);
}

int proc_numbers(int dirfd, const char *path, unsigned **ret, size_t *ret_n, struct err *err)
{
        _cleanup_free_ unsigned *v = NULL;
        size_t n = 0, cap = 0;
        const struct dirent *e;
        int fd = sys_openat(dirfd, path, O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return err_sys(err, gone(fd), fd, "cannot list in /proc", "%s", path);
        _cleanup_closedir_ DIR *d = fdopendir(fd);
        if (!d) {
                int saved = errno;
                fd_close(fd);
                return err_sys(err, EX_FAIL, saved, "cannot list in /proc", "%s", path);
        }
        for (errno = 0; (e = readdir(d)); errno = 0) {
                uint64_t x;
                const char *p = e->d_name;
                if (!scan_u64(&p, &x) || *p || x > INT32_MAX)
                        continue;
                if (n == cap) {
                        cap = cap ? cap * 2 : 64;
                        unsigned *grown = reallocarray(v, cap, sizeof(*v));
                        if (!grown)
                                return err_sys(err, EX_FAIL, ENOMEM, "cannot list in /proc", "%s", path);
                        v = grown;
                }
                v[n++] = (unsigned)x;
        }
        if (errno)
                return err_sys(err, gone(-errno), errno, "cannot list in /proc", "%s", path);
        if (n)
                qsort(v, n, sizeof(*v), by_number);
        *ret = TAKE_PTR(v);
        *ret_n = n;
        return 0;
}

static int malformed(struct err *err, const char *file, const char *where)
{
        return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form", "%s: %s",
                       file, where);
}

/* ---- stat ---- */

static bool next_signed(const char **p, int64_t *ret)
{
        uint64_t v;
        bool minus;

        if (!scan_skip(p, " "))
                return false;
        minus = scan_skip(p, "-");
        if (!scan_u64(p, &v))
                return false;
        /* Unsigned columns may hold all 64 bits; they are kept bit by bit. */
        *ret = (int64_t)(minus ? 0 - v : v);
        return true;
}

/* Columns of proc(5) after comm and state: ppid is 4. */
enum { FIRST = 4, LAST = 52 };

static void stat_fill(const int64_t *col, struct proc_stat *s)
{
        s->ppid = (pid_t)col[4];
        s->pgrp = (pid_t)col[5];
        s->session = (pid_t)col[6];
        s->tty_nr = (int)col[7];
        s->tpgid = (pid_t)col[8];
        s->flags = (uint64_t)col[9];
        s->utime = (uint64_t)col[14];
        s->stime = (uint64_t)col[15];
        s->nice = (int)col[19];
        s->num_threads = (unsigned)col[20];
        s->starttime = (uint64_t)col[22];
        s->vsize = (uint64_t)col[23];
        s->start_code = (uint64_t)col[26];
        s->end_code = (uint64_t)col[27];
        s->start_stack = (uint64_t)col[28];
        s->exit_signal = (int)col[38];
        s->processor = (int)col[39];
        s->rt_priority = (unsigned)col[40];
        s->policy = (int)col[41];
        s->start_data = (uint64_t)col[45];
        s->end_data = (uint64_t)col[46];
        s->start_brk = (uint64_t)col[47];
        s->arg_start = (uint64_t)col[48];
        s->arg_end = (uint64_t)col[49];
        s->env_start = (uint64_t)col[50];
        s->env_end = (uint64_t)col[51];
        s->exit_code = (int)col[52];
}

int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret, struct err *err)
{
        char buf[STAT_MAX];
        int64_t col[LAST + 1]; /* by the page's numbers; those before FIRST are not used */
        struct proc_stat s = {};
        uint64_t pid;

        if (len >= sizeof(buf) || memchr(text, '\0', len))
                return malformed(err, "stat", "length");
        memcpy(buf, text, len);
        buf[len] = '\0';
        const char *p = buf, *end = strrchr(buf, ')');
        if (!scan_u64(&p, &pid) || pid > INT32_MAX || !scan_skip(&p, " (") || !end || end < p)
                return malformed(err, "stat", "name");
        s.pid = (pid_t)pid;
        size_t n = (size_t)(end - p);
        if (n >= sizeof(s.comm))
                return malformed(err, "stat", "name");
        memcpy(s.comm, p, n);
        p = end + 1;
        if (!scan_skip(&p, " ") || !*p)
                return malformed(err, "stat", "state");
        s.state = *p++;
        for (size_t i = FIRST; i <= LAST; i++)
                if (!next_signed(&p, &col[i]))
                        return malformed(err, "stat", "columns");
        stat_fill(col, &s);
        *ret = s;
        return 0;
}

int proc_stat_read(int procfd, struct proc_stat *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r = proc_read(procfd, "stat", &text, &len, err);

        return r < 0 ? r : proc_stat_parse(text, len, ret, err);
}

/* ---- status ---- */

int proc_status_parse(char *text, size_t len, struct proc_kv *ret, size_t cap, size_t *ret_n, struct err *err)
{
        size_t n = 0;

        if (memchr(text, '\0', len))
                return malformed(err, "status", "NUL");
        for (char *p = text, *end = text + len; p < end;) {
                char *nl = memchr(p, '\n', (size_t)(end - p));
                if (!nl)
                        return malformed(err, "status", "last line");
                *nl = '\0';
                char *colon = strchr(p, ':');
                if (!colon || colon == p)
                        return malformed(err, "status", "no key");
                *colon++ = '\0';
                colon += strspn(colon, " \t");
                if (n == cap)
                        return malformed(err, "status", "too many lines");
                ret[n++] = (struct proc_kv){.key = p, .value = colon};
                p = nl + 1;
        }
        *ret_n = n;
        return 0;
}

const char *proc_kv_get(const struct proc_kv *kv, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(kv[i].key, key))
                        return kv[i].value;
        return NULL;
}

/* ---- fdinfo ---- */

int proc_fdinfo_parse(const char *text, size_t len, int (*each)(void *, const char *key, const char *value),
                      void *ctx, struct err *err)
{
        char line[LINE_MAX_FDINFO];

        if (memchr(text, '\0', len))
                return malformed(err, "fdinfo", "NUL");
        for (const char *p = text, *end = text + len; p < end;) {
                const char *nl = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((nl ? nl : end) - p);
                if (n >= sizeof(line))
                        return malformed(err, "fdinfo", "line too long");
                memcpy(line, p, n);
                line[n] = '\0';
                /* "tfd:   5 …" and "inotify wd:1 …": the key ends at a colon or a blank. */
                size_t k = strcspn(line, ": \t");
                char *value = line + k;
                if (*value) {
                        *value++ = '\0';
                        value += strspn(value, " \t");
                }
                int r = each(ctx, line, value);
                if (r)
                        return r;
                p += n + (nl != NULL);
        }
        return 0;
}

struct head {
        struct proc_fdinfo info;
        bool pos, flags, bad;
};

static bool scan_octal(const char *s, unsigned *ret)
{
        uint64_t v = 0;

        if (!*s)
                return false;
        for (; *s >= '0' && *s <= '7'; s++) {
                v = v << 3 | (unsigned)(*s - '0');
                if (v > UINT32_MAX)
                        return false;
        }
        *ret = (unsigned)v;
        return !*s;
}

static int head_line(void *ctx, const char *key, const char *value)
{
        struct head *h = ctx;
        uint64_t v = 0;

        if (str_eq(key, "flags")) {
                h->flags = scan_octal(value, &h->info.flags);
                h->bad |= !h->flags;
                return 0;
        }
        if (!str_eq(key, "pos") && !str_eq(key, "mnt_id") && !str_eq(key, "ino"))
                return 0;
        bool minus = *value == '-'; /* the position of /proc/PID/mem is printed signed */
        value += minus;
        if (!scan_u64(&value, &v) || *value) {
                h->bad = true;
        } else if (str_eq(key, "pos")) {
                h->info.pos = minus ? 0 - v : v;
                h->pos = true;
        } else if (str_eq(key, "mnt_id")) {
                h->bad |= v > INT32_MAX;
                h->info.mnt_id = (int)v;
        } else {
                h->info.ino = v;
        }
        return 0;
}

int proc_fdinfo_head(const char *text, size_t len, struct proc_fdinfo *ret, struct err *err)
{
        struct head h = {};
        int r = proc_fdinfo_parse(text, len, head_line, &h, err);

        if (r < 0)
                return r;
        if (!h.pos || !h.flags || h.bad)
                return malformed(err, "fdinfo", "pos, flags, mnt_id or ino");
        *ret = h.info;
        return 0;
}

/* "2: FLOCK  ADVISORY  WRITE 8 00:2a:77 0 EOF" in each line, of which some wait ("2: -> FLOCK …"). */
bool proc_locks_name(const char *text, uint32_t major, uint32_t minor, uint64_t ino)
{
        char key[64];
        size_t n = (size_t)snprintf(key, sizeof(key), " %02x:%02x:%" PRIu64 " ", major, minor, ino);

        for (const char *p = text; (p = strstr(p, key)); p += n) {
                const char *line = p;
                while (line > text && line[-1] != '\n')
                        line--;
                const char *wait = strstr(line, "-> ");
                if (!wait || wait > p)
                        return true;
        }
        return false;
}
