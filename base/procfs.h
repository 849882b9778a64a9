/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsers of /proc text. Each takes text and is pure (fuzzed: tests/fuzz/), beside a reader that fetches it from a
 * directory descriptor of /proc/PID (or /proc/PID/task/TID). Text is hostile: lengths are checked, unknown keys are
 * handed on, nothing is assumed about order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* stat(5): the fields that a checkpoint needs. Addresses are 0 without ptrace permission. */
struct proc_stat {
        pid_t pid, ppid, pgrp, session, tpgid;
        char comm[64], state;
        int tty_nr, nice, exit_signal, processor, policy;
        unsigned rt_priority, num_threads;
        uint64_t flags, utime, stime, starttime, vsize;
        uint64_t start_code, end_code, start_stack, start_data, end_data, start_brk;
        uint64_t arg_start, arg_end, env_start, env_end;
        int exit_code;
};
int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret, struct err *err);
int proc_stat_read(int procfd, struct proc_stat *ret, struct err *err);

/* status: every "Key:\tvalue" in order. Values are borrowed from text, which is cut up in place. */
struct proc_kv { const char *key, *value; };
int proc_status_parse(char *text, size_t len, struct proc_kv *ret, size_t cap, size_t *ret_n, struct err *err);
const char *proc_kv_get(const struct proc_kv *kv, size_t n, const char *key); /* NULL if none */

/* One entry of smaps: the head line, the figures used, and VmFlags. */
struct proc_vma {
        uint64_t start, end, pgoff, ino;
        uint32_t major, minor;
        bool r, w, x, shared;
        uint64_t rss, anonymous, swap;     /* bytes */
        uint32_t pkey;                     /* protection key; 0 also where the processor has none */
        char flags[128];                   /* "rd wr mr mw me ac sd" */
        char name[4096];                   /* "" or path or [heap]…; " (deleted)" kept; octal escapes undone */
};
bool proc_vma_flag(const struct proc_vma *v, const char *two); /* "wr" */
/* Calls `each` per entry in address order; stops at its first non-zero return and forwards it. */
int proc_smaps_parse(const char *text, size_t len, int (*each)(void *, const struct proc_vma *), void *ctx,
                     struct err *err);
int proc_smaps_read(int procfd, int (*each)(void *, const struct proc_vma *), void *ctx, struct err *err);

/* Is there a lock or a lease on that file, and not only somebody who waits for one? `text` is that of /proc/locks. */
bool proc_locks_name(const char *text, uint32_t major, uint32_t minor, uint64_t ino);

/* fdinfo: "key:\tvalue" lines; repeated keys (tfd, lock, inotify) come in order through `each`. */
int proc_fdinfo_parse(const char *text, size_t len, int (*each)(void *, const char *key, const char *value),
                      void *ctx, struct err *err);
struct proc_fdinfo { uint64_t pos; unsigned flags; int mnt_id; uint64_t ino; }; /* flags as octal in the file */
int proc_fdinfo_head(const char *text, size_t len, struct proc_fdinfo *ret, struct err *err);

/* mountinfo. Strings are unescaped and owned by the entry; free with mountinfo_free. */
struct mountinfo {
        int id, parent;
        uint32_t major, minor;
        char *root, *target, *options, *type, *source, *super_options;
        int shared, master, propagate_from;   /* peer group ids, 0 = none */
        bool unbindable;
};
int mountinfo_parse(const char *text, size_t len, struct mountinfo **ret, size_t *ret_n, struct err *err);
int mountinfo_read(int procfd, struct mountinfo **ret, size_t *ret_n, struct err *err);
void mountinfo_free(struct mountinfo *m, size_t n);

/* Numbers of a directory (/proc/PID/task, /proc/PID/fd), ascending. Caller frees. */
int proc_numbers(int dirfd, const char *path, unsigned **ret, size_t *ret_n, struct err *err);
/* O_PATH|O_DIRECTORY descriptor of /proc/PID or /proc/PID/task/TID. */
int proc_open(pid_t pid, struct err *err);
int proc_open_thread(pid_t pid, pid_t tid, struct err *err);
/* Whole file relative to such a descriptor; NUL added; caller frees. */
int proc_read(int procfd, const char *name, char **ret, size_t *ret_len, struct err *err);
int proc_readlink(int procfd, const char *name, char *ret, size_t size, struct err *err);
