/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits and usage of a container's cgroup, in v1 and v2 words (base/cgroup.h).
 *
 * v1: memory.limit_in_bytes must never exceed memory.memsw.limit_in_bytes (memory and swap together), so what is
 * raised is raised outside first and what is lowered is lowered inside first; EBUSY means more is in use than the new
 * limit. Without swap accounting there is no memsw file and swap stays unlimited. v2: memory.max kills when it cannot
 * reclaim, so a limit below the present use is first asked for by memory.reclaim (5.19) and refused if that does not
 * get there; memory.swap.max is swap alone. A quota is per 100 ms, at least 1 ms of them.
 *
 * Cpu time is read from the v2 tree always: its cpu.stat counts without a controller.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"

#define NO_LIMIT UINT64_MAX
#define PERIOD_US 100000
#define QUOTA_MIN_US 1000

static int write_value(int fd, const char *file, uint64_t v, const char *none, struct err *err)
{
        char text[32];

        if (v == NO_LIMIT)
                str_copy(text, sizeof(text), none);
        else
                snprintf(text, sizeof(text), "%" PRIu64, v);
        int r = path_write(fd, file, text, err);
        if (r < 0) {
                r = err_wrap(err, "cannot set a limit", "%s = %s", file, text);
                if (err && err->sys == EBUSY) {
                        err->code = EX_STATE;
                        r = err_remedy(err, "more than that is in use: choose a higher limit, or end something inside");
                }
        }
        return r;
}

/* "max" is NO_LIMIT. */
static int read_value(int fd, const char *file, uint64_t *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        int r = path_read(fd, file, &text, NULL, err);

        if (r < 0)
                return r;
        const char *p = text;
        if (scan_skip(&p, "max"))
                *ret = NO_LIMIT;
        else if (!scan_u64(&p, ret))
                return err_set(err, EX_FAIL, "cannot read a cgroup", "its text has an unexpected form", "%s", file);
        return 0;
}

static int memory_v1(int fd, uint64_t memory, uint64_t sum, struct err *err)
{
        static const char mem[] = "memory.limit_in_bytes", memsw[] = "memory.memsw.limit_in_bytes";
        uint64_t old;

        if (!path_exists(fd, memsw))
                return write_value(fd, mem, memory, "-1", err);
        int r = read_value(fd, memsw, &old, err);
        if (r < 0)
                return r;
        bool raise = sum >= old;
        r = raise ? write_value(fd, memsw, sum, "-1", err) : write_value(fd, mem, memory, "-1", err);
        if (r < 0)
                return r;
        return raise ? write_value(fd, mem, memory, "-1", err) : write_value(fd, memsw, sum, "-1", err);
}

static int memory_v2(int fd, uint64_t memory, uint64_t swap, struct err *err)
{
        uint64_t now;
        int r = read_value(fd, "memory.current", &now, err);

        if (r < 0)
                return r;
        if (now > memory) {
                (void)write_value(fd, "memory.reclaim", now - memory, "max", NULL); /* what it got shows below */
                r = read_value(fd, "memory.current", &now, err);
                if (r < 0)
                        return r;
        }
        if (now > memory) {
                r = err_set(err, EX_STATE, "cannot lower the memory limit", "more than that is in use",
                            "%" PRIu64 " of %" PRIu64 " bytes", now, memory);
                if (err)
                        err_remedy(err, "choose a higher limit, or end something inside");
                return r;
        }
        if (path_exists(fd, "memory.swap.max")) {
                r = write_value(fd, "memory.swap.max", swap, "max", err);
                if (r < 0)
                        return r;
        }
        return write_value(fd, "memory.max", memory, "max", err);
}

static int limit_memory(int fd, bool v2, const struct cg_limits *l, struct err *err)
{
        uint64_t memory = l->memory ? l->memory : NO_LIMIT, sum;

        if (v2)
                return memory_v2(fd, memory, l->memory ? l->swap : NO_LIMIT, err);
        if (__builtin_add_overflow(memory, l->swap, &sum))
                sum = NO_LIMIT;
        return memory_v1(fd, memory, sum, err);
}

static int limit_cpu(int fd, bool v2, const struct cg_limits *l, struct err *err)
{
        uint64_t quota = (uint64_t)l->cpu_milli * (PERIOD_US / 1000);
        char text[64];

        if (l->cpu_milli && quota < QUOTA_MIN_US)
                quota = QUOTA_MIN_US;
        if (v2) {
                if (l->cpu_milli)
                        snprintf(text, sizeof(text), "%" PRIu64 " %d", quota, PERIOD_US);
                else
                        snprintf(text, sizeof(text), "max %d", PERIOD_US);
                int r = path_write(fd, "cpu.max", text, err);
                return r < 0 ? err_wrap(err, "cannot set a limit", "cpu.max = %s", text) : 0;
        }
        int r = write_value(fd, "cpu.cfs_period_us", PERIOD_US, "", err);
        return r < 0 ? r : write_value(fd, "cpu.cfs_quota_us", l->cpu_milli ? quota : NO_LIMIT, "-1", err);
}

static int limit_pids(int fd, bool v2, const struct cg_limits *l, struct err *err)
{
        (void)v2; /* the same file in both */
        return write_value(fd, "pids.max", l->pids ? l->pids : NO_LIMIT, "max", err);
}

typedef int (*limit_fn)(int fd, bool v2, const struct cg_limits *l, struct err *err);

static int limit(struct cgroups *c, enum cg_controller k, const char *path, const struct cg_limits *l, bool set,
                 struct err *err)
{
        static const limit_fn fns[CG_CONTROLLERS] = {
                [CG_MEMORY] = limit_memory, [CG_CPU] = limit_cpu, [CG_PIDS] = limit_pids};
        struct err e = {};
        _cleanup_close_ int fd = cgroup_open_controller(c, k, path, &e);

        if (fd < 0) {
                if (e.code == EX_KERNEL && !set)
                        return 0; /* no controller and no limit asked for */
                if (err)
                        *err = e;
                return fd;
        }
        return fns[k](fd, cgroups_is_v2(c, k), l, err);
}

int cgroup_limits(struct cgroups *c, const char *path, const struct cg_limits *l, struct err *err)
{
        int r = limit(c, CG_MEMORY, path, l, l->memory, err);

        if (r == 0)
                r = limit(c, CG_CPU, path, l, l->cpu_milli, err);
        if (r == 0)
                r = limit(c, CG_PIDS, path, l, l->pids, err);
        return r;
}

/* 0 where the controller does not exist. */
static int usage(struct cgroups *c, enum cg_controller k, const char *path, uint64_t *ret, struct err *err)
{
        struct err e = {};
        _cleanup_close_ int fd = cgroup_open_controller(c, k, path, &e);

        if (fd < 0) {
                if (e.code != EX_KERNEL) {
                        if (err)
                                *err = e;
                        return fd;
                }
                *ret = 0;
                return 0;
        }
        if (k == CG_PIDS)
                return read_value(fd, "pids.current", ret, err);
        return read_value(fd, cgroups_is_v2(c, k) ? "memory.current" : "memory.usage_in_bytes", ret, err);
}

static int usage_cpu(struct cgroups *c, const char *path, uint64_t *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = cgroup_open_v2(c, path, err);

        if (fd < 0)
                return fd;
        int r = path_read(fd, "cpu.stat", &text, NULL, err);
        if (r < 0)
                return r;
        const char *p = strstr(text, "usage_usec ");
        if (!p || !scan_skip(&p, "usage_usec ") || !scan_u64(&p, ret))
                return err_set(err, EX_FAIL, "cannot read a cgroup", "its text has an unexpected form", "cpu.stat");
        return 0;
}

int cgroup_usage(struct cgroups *c, const char *path, struct cg_usage *ret, struct err *err)
{
        struct cg_usage u = {};
        int r = usage(c, CG_MEMORY, path, &u.memory, err);

        if (r == 0)
                r = usage(c, CG_PIDS, path, &u.pids, err);
        if (r == 0)
                r = usage_cpu(c, path, &u.cpu_usec, err);
        if (r == 0)
                *ret = u;
        return r;
}
