/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What prctl and /proc say of a process: dumpable, subreaper, huge pages, deny-write-execute, OOM adjustment, core filter, login. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/victim/victim.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        VICTIM_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void get(const char *path, char ret[32])
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, 31);

        ret[n > 0 ? n : 0] = '\0';
        close(fd);
}

int main(int argc, char **argv)
{
        struct victim v;
        char oom[32], core[32], login[32], now[32];
        int reaper = 0;

        victim_begin(&v, argc, argv);
        put("/proc/self/oom_score_adj", "321");
        put("/proc/self/coredump_filter", "0x7f");
        get("/proc/self/loginuid", login);
        if (strcmp(login, "4294967295") == 0) {   /* else who runs this has one, and it stays */
                put("/proc/self/loginuid", "1234");
                get("/proc/self/loginuid", login);
        }
        get("/proc/self/oom_score_adj", oom);
        get("/proc/self/coredump_filter", core);
        VICTIM_MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
        VICTIM_MUST(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
        bool mdwe = prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0;
        VICTIM_MUST(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);

        victim_wait(&v);

        VICTIM_CHECK(&v, prctl(PR_GET_DUMPABLE) == 0, "it is dumpable");
        VICTIM_CHECK(&v, prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0 && reaper == 1, "it is no subreaper");
        VICTIM_CHECK(&v, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1, "huge pages are allowed");
        VICTIM_CHECK(&v, !mdwe || prctl(PR_GET_MDWE, 0, 0, 0, 0) == 1, "write and execute is allowed");
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        VICTIM_CHECK(&v, !mdwe || p == MAP_FAILED, "memory can be made that is written and executed");
        get("/proc/self/oom_score_adj", now);
        VICTIM_CHECK(&v, strcmp(now, oom) == 0, "oom_score_adj %s became %s", oom, now);
        get("/proc/self/loginuid", now);
        VICTIM_CHECK(&v, strcmp(now, login) == 0, "loginuid %s became %s", login, now);
        get("/proc/self/coredump_filter", now);
        VICTIM_CHECK(&v, strcmp(now, core) == 0, "coredump_filter %s became %s", core, now);
        return victim_end(&v);
}
