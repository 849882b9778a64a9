/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base/cgroup.h on this machine's real cgroups, whatever their layout: a directory in every hierarchy, a process in all
 * of them, limits that read back and bite, freezing, listing, killing, removal of what a container nested; then once
 * more where no cgroup is mounted at all.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/timer.h"
#include "tests/system/own.h"

static char top[64], path[96];

/* A child that counts in shared memory and forks when told. */
struct shared {
        volatile unsigned long count, spins;
        volatile int fork_now, fork_errno;
};

static void busy(struct shared *s)
{
        for (;;) {
                s->count++;
                if (s->fork_now) {
                        s->fork_now = 0;
                        pid_t p = fork();
                        if (p == 0)
                                _exit(0);
                        s->fork_errno = p < 0 ? errno : 0;
                        if (p > 0)
                                waitpid(p, NULL, 0);
                }
                usleep(500);
        }
}

static uint64_t value(int dirfd, const char *file)
{
        _cleanup_free_ char *text = NULL;
        uint64_t v = UINT64_MAX;

        OK(path_read(dirfd, file, &text, NULL, err));
        const char *p = text;
        (void)scan_u64(&p, &v); /* "max" stays UINT64_MAX */
        return v;
}

static void check_memory(struct cgroups *c)
{
        static const struct cg_limits rows[] = {
                {.memory = 256 << 20, .swap = 128 << 20}, {.memory = 512 << 20}, {.memory = 64 << 20, .swap = 512 << 20},
                {.memory = 128 << 20},                    {},                   {.memory = 96 << 20}};
        bool v2 = cgroups_is_v2(c, CG_MEMORY);
        int fd = -1;

        OK(fd = cgroup_open_controller(c, CG_MEMORY, path, err));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct cg_limits *l = &rows[i];
                OK(cgroup_limits(c, path, l, err));
                if (l->memory)
                        CHECK(value(fd, v2 ? "memory.max" : "memory.limit_in_bytes") == l->memory);
                else
                        CHECK(value(fd, v2 ? "memory.max" : "memory.limit_in_bytes") > UINT64_C(1) << 50);
                if (l->memory && !v2 && path_exists(fd, "memory.memsw.limit_in_bytes"))
                        CHECK(value(fd, "memory.memsw.limit_in_bytes") == l->memory + l->swap);
                if (l->memory && v2 && path_exists(fd, "memory.swap.max"))
                        CHECK(value(fd, "memory.swap.max") == l->swap);
        }
        close(fd);
}

static void check_cpu(struct cgroups *c)
{
        struct cg_limits l = {.cpu_milli = 1500};
        _cleanup_free_ char *text = NULL;
        int fd = -1;

        OK(fd = cgroup_open_controller(c, CG_CPU, path, err));
        OK(cgroup_limits(c, path, &l, err));
        if (cgroups_is_v2(c, CG_CPU)) {
                OK(path_read(fd, "cpu.max", &text, NULL, err));
                CHECK(str_eq(text, "150000 100000\n"));
        } else {
                CHECK(value(fd, "cpu.cfs_quota_us") == 150000);
                CHECK(value(fd, "cpu.cfs_period_us") == 100000);
        }
        l.cpu_milli = 0;
        OK(cgroup_limits(c, path, &l, err));
        if (!cgroups_is_v2(c, CG_CPU)) {
                _cleanup_free_ char *none = NULL;
                OK(path_read(fd, "cpu.cfs_quota_us", &none, NULL, err));
                CHECK(str_eq(none, "-1\n"));
        }
        close(fd);
}

static void check_pids(struct cgroups *c, struct shared *s)
{
        struct cg_limits l = {.pids = 1};
        struct cg_usage u = {};

        OK(cgroup_limits(c, path, &l, err));
        s->fork_errno = -1;
        s->fork_now = 1;
        UNTIL(s->fork_errno != -1);
        CHECK(s->fork_errno == EAGAIN);
        l.pids = 0;
        OK(cgroup_limits(c, path, &l, err));
        s->fork_errno = -1;
        s->fork_now = 1;
        UNTIL(s->fork_errno != -1);
        CHECK(s->fork_errno == 0);
        UNTIL(cgroup_usage(c, path, &u, NULL) == 0 && u.pids == 1); /* a pid is given back after the reaping */
        CHECK(u.cpu_usec > 0);
}

static void check_freezer(int v2, struct shared *s)
{
        bool frozen = true;
        unsigned long n;

        OK(cgroup_frozen(v2, &frozen, err));
        CHECK(!frozen);
        OK(cgroup_freeze(v2, 2000, err));
        OK(cgroup_frozen(v2, &frozen, err));
        CHECK(frozen);
        n = s->count;
        usleep(20000);
        CHECK(s->count == n);
        OK(cgroup_thaw(v2, err));
        OK(cgroup_thaw(v2, err));
        UNTIL(s->count > n);
        OK(cgroup_freeze_write(v2, err));
        UNTIL(cgroup_frozen(v2, &frozen, NULL) == 0 && frozen);
        OK(cgroup_thaw(v2, err));
}

/* No time at all, and more busy tasks than processors: what could not be frozen is running again. */
static void check_freeze_in_time(struct cgroups *c, int v2, struct shared *s)
{
        int fds[32], r = -1;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                pid_t pid = fork();
                CHECK(pid >= 0);
                while (pid == 0)
                        s->spins++;
                OK(fds[i] = pidfd_open_proc(pid, err));
                OK(cgroup_attach(c, path, "payload", pid, err));
        }
        OK(r = cgroup_freeze(v2, 0, err));
        CHECK(r == 1);
        unsigned long n = s->count;
        bool frozen = true;
        UNTIL(s->count > n);
        OK(cgroup_frozen(v2, &frozen, err));
        CHECK(!frozen);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                pidfd_end(fds[i]);
                close(fds[i]);
        }
}

static void nest(int v2)
{
        int fd = -1;

        OK(fd = path_open(v2, "payload", O_RDONLY | O_DIRECTORY, 0, err));
        for (int i = 0; i < 40; i++) {
                CHECK(mkdirat(fd, "deeper", 0755) == 0);
                CHECK(mkdirat(fd, "beside", 0755) == 0);
                int next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        close(fd);
}

static void lifecycle(struct cgroups *c, bool limits)
{
        struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t *pids = NULL;
        size_t n = 0;
        int v2 = -1, pidfd = -1;

        OK(cgroup_create(c, path, err));
        OK(cgroup_create(c, path, err)); /* existing is fine */
        OK(v2 = cgroup_open_v2(c, path, err));
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                busy(s);
        OK(pidfd = pidfd_open_proc(pid, err));
        OK(cgroup_attach(c, path, "payload", pid, err));
        struct err e = {};
        CHECK(cgroup_attach(c, path, "payload", 0, &e) < 0);
        CHECK(cgroup_attach(c, "../x", "", pid, &e) == -EX_CONFIG);
        OK(cgroup_procs(v2, &pids, &n, err));
        CHECK(n == 1 && pids[0] == pid);
        free(pids);
        if (limits) {
                check_memory(c);
                check_cpu(c);
                check_pids(c, s);
        }
        check_freezer(v2, s);
        check_freeze_in_time(c, v2, s);
        nest(v2);
        CHECK(cgroup_remove(c, path, &e) == -EX_STATE); /* processes are left */
        OK(cgroup_kill(v2, err));
        OK(cgroup_kill(v2, err));
        OK(pidfd_wait(pidfd, 5000, NULL, err));
        while (waitpid(-1, NULL, 0) > 0)
                ;
        close(pidfd);
        close(v2);
        OK(cgroup_remove(c, path, err));
        OK(cgroup_remove(c, path, err)); /* missing is fine */
        CHECK(cgroup_open_v2(c, path, &e) == -EX_UNKNOWN);
        OK(cgroup_remove(c, top, err));
}

static int left_behind(void)
{
        struct mountinfo *m = NULL;
        size_t n = 0;
        int left = 0, self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        OK(mountinfo_read(self, &m, &n, err));
        for (size_t i = 0; i < n; i++) {
                char p[4096];
                if (!str_starts(m[i].type, "cgroup"))
                        continue;
                snprintf(p, sizeof(p), "%s/%s", m[i].target, top);
                left += path_exists(AT_FDCWD, p);
        }
        mountinfo_free(m, n);
        close(self);
        return left;
}

static void test(void)
{
        struct cgroups *c = NULL;
        struct cg_limits l = {.memory = 1 << 20};
        struct err e = {};

        OK(cgroups_open(&c, err));
        lifecycle(c, true);
        CHECK(left_behind() == 0);
        cgroups_free(c);

        /* Nothing mounted: the v2 tree is mounted privately, v1 does not exist for us. */
        CHECK(umount2("/sys/fs/cgroup", MNT_DETACH) == 0);
        OK(cgroups_open(&c, err));
        bool memory = cgroups_is_v2(c, CG_MEMORY);
        lifecycle(c, memory);
        OK(cgroup_create(c, path, err));
        if (!memory)
                CHECK(cgroup_limits(c, path, &l, &e) == -EX_KERNEL); /* asked for, so not left out in silence */
        OK(cgroup_remove(c, top, err));
        cgroups_free(c);
        printf("ok\n");
}

static void after(void)
{
        struct cgroups *c = NULL;

        OK(cgroups_open(&c, err));
        OK(cgroup_remove(c, top, err));
        cgroups_free(c);
}

int main(void)
{
        snprintf(top, sizeof(top), "gantry-test-base-cgroup-%d", (int)getpid());
        snprintf(path, sizeof(path), "%s/ct", top);
        return run_in_own_namespaces(test, after);
}
