/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of mounts share: rows of mountinfo as facts, and a namespace in which this process mounts.
 */
#pragma once

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/unit/harness-int.h"

/* A number that is free, for the restored mount to be found under. */
#define MOUNT_FD 150

static inline uint64_t mount_add(struct kt *t, const struct kind *k, const struct mountinfo *m, const char *external)
{
        struct facts f = {.cls = CLS_MOUNT, .shown_pid = 1, .comm = "init", .mnt = {.m = m}};

        snprintf(f.mnt.external, sizeof(f.mnt.external), "%s", external);
        cr_assert_eq(k->claim(&f), 1, "%s does not claim it", k->stem);
        return kt_add(t, k, &f);
}

static inline void write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT, 0644);

        cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path, strerror(errno));
        close(fd);
}

/* What is mounted from here on is seen by nobody else, and ends with the test. No user namespace can be made: Criterion's worker
 * has more than one thread. */
static inline void enter_namespaces(int flags)
{
        if (unshare(CLONE_NEWNS | flags) < 0)
                cr_skip_test("mounting needs root");
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* One option that is not in the kind's list is refused by its name; what is in it becomes `want`, "a;b". */
static inline void mount_options(const struct kind *k, const struct mountinfo *m, const char *super, const char *want,
                                 char **(*of)(const struct record *r, size_t *ret_n))
{
        struct kt *t = kt_new();
        struct mountinfo x = *m;
        struct err err = {};
        char options[256], got[512] = "";
        size_t n;

        snprintf(options, sizeof(options), "%s", super);
        x.super_options = options;
        uint64_t id = mount_add(t, k, &x, "");
        kt_dump(t);
        char **list = of(kt_record(t, id), &n);
        for (size_t i = 0; i < n; i++)
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? ";" : "", list[i]);
        cr_assert_str_eq(got, want);
        cr_assert_eq(kt_check(t, NULL), 0);
        snprintf(options, sizeof(options), "%s,gantry_unknown=1", super);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED);
        cr_assert_not_null(strstr(err.why, "gantry_unknown=1"), "%s", err.why);
        kt_free(t);
}

/* Options that no record may have; `give` makes a record with that one option as object 1. */
static inline void mount_hostile(const struct kind *k, void (*give)(struct kt *t, const char *option))
{
        static const char *const bad[] = {"", "=", "gantry_unknown", "gantry_unknown=1", "ro=1", "rw", "source", "nosuch,ro"};
        char wide[512] = "source=";

        (void)k;
        for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
                struct kt *t = kt_new();
                memset(wide + 7, 'x', 300);
                give(t, i < ELEMENTSOF(bad) ? bad[i] : wide);
                cr_assert_eq(kt_check(t, NULL), -EX_IMAGE, "'%s' is accepted", i < ELEMENTSOF(bad) ? bad[i] : "a long source");
                kt_free(t);
        }
        struct kt *t = kt_new();
        give(t, "ro");
        cr_assert_eq(kt_check(t, NULL), 0);
        give(t, "source=what, ever");
        cr_assert_eq(kt_check(t, NULL), 0);
        kt_free(t);
}

static inline char **one_option(const char *text)
{
        char **list = calloc(1, sizeof(*list));

        list[0] = strdup(text);
        return list;
}

/* Made by playing the record, every call failing once; what is under MOUNT_FD is the file system of this magic. */
static inline void mount_play(struct kt *t, uint64_t id, long magic)
{
        struct statfs fs;
        struct err err = {};
        uint64_t entries = 0;

        kt_dump(t);
        kt_alias(t, id, MOUNT_FD);
        if (kt_try_restore(t, 0, &entries, &err) < 0 && strstr(err.why, "not permitted"))
                cr_skip_test("this kernel does not let us mount it here");
        close(MOUNT_FD);
        kt_sweep(t);
        cr_assert_eq(fstatfs(MOUNT_FD, &fs), 0);
        cr_assert_eq((long)fs.f_type, magic);
}
