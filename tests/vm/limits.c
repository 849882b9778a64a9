/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory, cpu and pids limits where one v2 tree has all controllers, set by base/cgroup.h and felt by a child:
 *
 *      memory   a child that touches twice the limit is killed by the kernel, one that touches half of it is not
 *      pids     a child cannot fork more than the limit allows, and gets EAGAIN
 *      cpu      a child that spins for a second of wall clock gets about its share of it
 *
 * The development machine has a hybrid layout, where these controllers are v1; Debian's default is this one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"

#define MIB (UINT64_C(1) << 20)
#define GROUP "gantry-test-limits"

static int bad;

__attribute__((format(printf, 3, 4))) static void say(bool ok, const char *name, const char *fmt, ...)
{
        va_list ap;

        printf("%s %s", ok ? "ok" : "not ok", name);
        if (!ok) {
                va_start(ap, fmt);
                printf(": ");
                vprintf(fmt, ap);
                va_end(ap);
                bad = 1;
        }
        printf("\n");
        fflush(stdout);
}

static double seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs `body` in the group; its wait status. */
static int inside(struct cgroups *cg, int (*body)(void *), void *arg)
{
        int pipefd[2], status = -1;
        char c;

        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = fork();
        if (pid == 0) {
                close(pipefd[1]);
                if (read(pipefd[0], &c, 1) != 1)
                        _exit(99);
                _exit(body(arg));
        }
        close(pipefd[0]);
        struct err err = {0};
        if (cgroup_attach(cg, GROUP, "payload", pid, &err) < 0) {
                char text[700];
                printf("# attach: %s\n", err_format(&err, text, sizeof(text)));
        } else if (write(pipefd[1], "x", 1) != 1) {
                printf("# the child does not listen\n");
        }
        close(pipefd[1]);
        if (waitpid(pid, &status, 0) != pid)
                return -1;
        return status;
}

static int touch(void *arg)
{
        size_t n = *(size_t *)arg;
        unsigned char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return 1;
        for (size_t i = 0; i < n; i += 4096)
                p[i] = 1;
        return 0;
}

/* How many children it gets before EAGAIN; the number is its status. */
static int multiply(void *arg)
{
        int n = 0;

        (void)arg;
        for (; n < 100; n++) {
                pid_t pid = fork();
                if (pid == 0) {
                        pause();
                        _exit(0);
                }
                if (pid < 0)
                        break;
        }
        return errno == EAGAIN ? n : 100;
}

/* Percent of a second that it got. */
static int spin(void *arg)
{
        double end = seconds() + 1.0;
        struct rusage u;

        (void)arg;
        while (seconds() < end)
                ;
        getrusage(RUSAGE_SELF, &u);
        double used = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
        return (int)(used * 100);
}

static void memory(struct cgroups *cg)
{
        size_t half = 32 * MIB, twice = 128 * MIB;
        int status = inside(cg, touch, &half);

        say(status == 0, "memory-below", "32 MiB of 64: wait status %#x", (unsigned)status);
        status = inside(cg, touch, &twice);
        say(WIFSIGNALED(status) && WTERMSIG(status) == 9, "memory-above", "128 MiB of 64: wait status %#x", (unsigned)status);
        struct cg_usage u = {0};
        say(cgroup_usage(cg, GROUP, &u, NULL) == 0 && u.memory <= 64 * MIB, "memory-usage", "%llu bytes", (unsigned long long)u.memory);
}

static void pids(struct cgroups *cg)
{
        int status = inside(cg, multiply, NULL);

        /* the limit counts the child that forks too */
        say(WIFEXITED(status) && WEXITSTATUS(status) == 9, "pids", "a limit of 10 let it have %d children (wait status %#x)",
            WEXITSTATUS(status), (unsigned)status);
        int dir = cgroup_open_v2(cg, GROUP, NULL);
        (void)cgroup_kill(dir, NULL);
        close(dir);
}

static void cpu(struct cgroups *cg)
{
        int status = inside(cg, spin, NULL);

        say(WIFEXITED(status) && WEXITSTATUS(status) >= 10 && WEXITSTATUS(status) <= 45, "cpu",
            "a quarter of a processor gave %d %% of a second", WEXITSTATUS(status));
}

int main(void)
{
        struct cgroups *cg = NULL;
        struct err err = {0};
        char text[700] = "";
        const struct cg_limits l = {.memory = 64 * MIB, .cpu_milli = 250, .pids = 10};
        int r = cgroups_open(&cg, &err);

        say(r == 0 && cgroups_is_v2(cg, CG_MEMORY) && cgroups_is_v2(cg, CG_CPU) && cgroups_is_v2(cg, CG_PIDS), "layout",
            "the controllers are not in the v2 tree: %s", err_format(&err, text, sizeof(text)));
        if (r == 0)
                r = cgroup_create(cg, GROUP, &err);
        if (r == 0)
                r = cgroup_limits(cg, GROUP, &l, &err);
        say(r == 0, "set", "%s", err_format(&err, text, sizeof(text)));
        if (r < 0)
                return 1;
        memory(cg);
        pids(cg);
        cpu(cg);
        /* what the kernel killed is on its way out */
        for (int i = 0; i < 500 && (r = cgroup_remove(cg, GROUP, &err)) < 0; i++)
                usleep(10000);
        say(r == 0, "remove", "%s", err_format(&err, text, sizeof(text)));
        cgroups_free(cg);
        return bad;
}
