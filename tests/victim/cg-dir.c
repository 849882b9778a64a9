/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup directories below a container's own: the whole tree with types, values, owners, modes and attributes, and who is in
 * which of them, a single thread too. In a container (tests/kind/inside.sh); where the container has controllers (cgroup v2 alone)
 * they are enabled and limits are set.
 *
 *      /         a child, where no controller is to be enabled
 *      /a        a child; xattr; cgroup.procs given away; closed to others
 *      /a/b      init itself; of another owner
 *      /odd…     a name of strange bytes, in it an empty one with limits of depth and number
 *      /ice      frozen: a busy process; another has ended in it and is still to be waited for
 *      /t        threaded: a process, one thread of which is in /t/w1; nobody is in /t/w2, whose own /t/w2/x is threaded too
 */
#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/victim/victim.h"

#define TOP "/sys/fs/cgroup"
#define ODD TOP "/od\x01 \xff\\040'\"$("

static const char *const shown[] = {"cgroup.type", "cgroup.subtree_control", "cgroup.max.depth", "cgroup.max.descendants", "cgroup.freeze",
                                    "cpu.weight", "cpu.max", "memory.max", "memory.high", "memory.low", "memory.oom.group",
                                    "memory.swap.max", "pids.max"};

struct tree { char text[65536]; size_t len; };
static pid_t child[6]; /* in /, /a, /t, of that one the thread in /t/w1, one that has ended in /ice, and one that is frozen there */
static volatile unsigned *steps; /* of that one */
static bool controllers;

__attribute__((format(printf, 2, 3))) static void add(struct tree *t, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        int n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, ap);
        va_end(ap);
        VICTIM_MUST(n >= 0 && t->len + (size_t)n < sizeof(t->text));
        t->len += (size_t)n;
}

static void value(struct tree *t, const char *path)
{
        char text[256] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        if (fd >= 0)
                close(fd);
        for (char *p = text; *p; p++)
                *p = *p == '\n' ? ';' : *p;
        add(t, " = %zd %s", n, text);
}

static void attributes(struct tree *t, const char *path)
{
        char list[1024], text[256];
        ssize_t n = listxattr(path, list, sizeof(list));

        for (const char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
                ssize_t len = getxattr(path, p, text, sizeof(text));
                if (strncmp(p, "user.", 5) == 0)
                        add(t, " %s=%.*s", p, (int)(len < 0 ? 0 : len), text);
        }
}

static void walk(struct tree *t, const char *path)
{
        struct dirent **e = NULL;
        struct stat st;
        int n = scandir(path, &e, NULL, alphasort);

        VICTIM_MUST(n >= 0 && stat(path, &st) == 0);
        add(t, "%s %o %u:%u", path, st.st_mode, st.st_uid, st.st_gid);
        attributes(t, path);
        add(t, "\n");
        for (int i = 0; i < n; i++) {
                char name[2048];
                snprintf(name, sizeof(name), "%s/%s", path, e[i]->d_name);
                if (e[i]->d_type == DT_REG) {
                        VICTIM_MUST(stat(name, &st) == 0);
                        add(t, "%s %o %u:%u", name, st.st_mode, st.st_uid, st.st_gid);
                        for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++)
                                if (strcmp(e[i]->d_name, shown[k]) == 0)
                                        value(t, name);
                        add(t, "\n");
                } else if (strcmp(e[i]->d_name, ".") != 0 && strcmp(e[i]->d_name, "..") != 0) {
                        walk(t, name);
                }
                free(e[i]);
        }
        free(e);
}

/* Of each: the line of the v2 tree. */
static void members(struct tree *t)
{
        for (int i = -1; i < 6; i++) {
                char path[64], line[1024];
                snprintf(path, sizeof(path), i < 0 ? "/proc/self/cgroup" : "/proc/%d/task/%d/cgroup", i == 3 ? child[2] : child[i < 0 ? 0 : i],
                         child[i < 0 ? 0 : i]);
                FILE *f = fopen(path, "re");
                add(t, "member %d:%s", i, f ? "" : " gone\n");
                while (f && fgets(line, sizeof(line), f))
                        if (strncmp(line, "0::", 3) == 0)
                                add(t, " %s", line + 3);
                if (f)
                        fclose(f);
        }
}

static void look(struct tree *t)
{
        *t = (struct tree){0};
        members(t);
        walk(t, TOP);
}

static void put(const char *dir, const char *file, const char *text)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", dir, file);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        VICTIM_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void put_number(const char *dir, const char *file, pid_t pid)
{
        char text[16];

        snprintf(text, sizeof(text), "%d", pid);
        put(dir, file, text);
}

static int sleeper(void *arg)
{
        (void)arg;
        for (;;)
                pause();
        return 0;
}

/* A thread without a C library's: none of its state is ours to tell about. */
static pid_t spawn(bool thread)
{
        int flags = thread ? CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM : SIGCHLD;
        char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        VICTIM_MUST(stack != MAP_FAILED);
        pid_t pid = clone(sleeper, stack + 65536, flags, NULL);
        VICTIM_MUST(pid > 0);
        return pid;
}

static int process_of_two(void *arg)
{
        int *tell = arg;
        pid_t tid = spawn(true);

        VICTIM_MUST(write(tell[1], &tid, sizeof(tid)) == sizeof(tid));
        close(tell[0]);
        close(tell[1]);
        return sleeper(NULL);
}

static void start(void)
{
        int tell[2];

        child[0] = spawn(false);
        child[1] = spawn(false);
        VICTIM_MUST(pipe(tell) == 0);
        child[2] = fork();
        VICTIM_MUST(child[2] >= 0);
        if (child[2] == 0)
                process_of_two(tell);
        VICTIM_MUST(read(tell[0], &child[3], sizeof(pid_t)) == sizeof(pid_t) && close(tell[0]) == 0 && close(tell[1]) == 0);
}

static void make(const char *path)
{
        VICTIM_MUST(mkdir(path, 0755) == 0);
}

static bool frozen(void)
{
        char text[64] = "";
        int fd = open(TOP "/ice/cgroup.events", O_RDONLY | O_CLOEXEC);

        VICTIM_MUST(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && close(fd) == 0);
        return strstr(text, "frozen 1");
}

static void build(void)
{
        steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        VICTIM_MUST(steps != MAP_FAILED);
        make(TOP "/a");
        make(TOP "/a/b");
        make(ODD);
        make(ODD "/empty");
        make(TOP "/ice");
        make(TOP "/t");
        make(TOP "/t/w1");
        make(TOP "/t/w2");
        put(TOP "/t/w1", "cgroup.type", "threaded");
        put(TOP "/t/w2", "cgroup.type", "threaded");
        make(TOP "/t/w2/x");
        put(TOP "/t/w2/x", "cgroup.type", "threaded");
        put_number(TOP "/a", "cgroup.procs", child[1]);
        put_number(TOP "/t", "cgroup.procs", child[2]);
        put_number(TOP "/t/w1", "cgroup.threads", child[3]);
        put(TOP "/a/b", "cgroup.procs", "0");
        child[4] = fork();
        VICTIM_MUST(child[4] >= 0);
        if (child[4] == 0) {
                put(TOP "/ice", "cgroup.procs", "0");
                _exit(7);
        }
        siginfo_t info;
        VICTIM_MUST(waitid(P_PID, (id_t)child[4], &info, WEXITED | WNOWAIT) == 0);
        child[5] = fork();
        VICTIM_MUST(child[5] >= 0);
        while (child[5] == 0)
                *steps += 1;
        put_number(TOP "/ice", "cgroup.procs", child[5]);
        put(TOP "/ice", "cgroup.freeze", "1");
        while (!frozen())
                usleep(1000);
        put(ODD "/empty", "cgroup.max.depth", "3");
        put(ODD "/empty", "cgroup.max.descendants", "7");
        VICTIM_MUST(setxattr(TOP "/a", "user.note", "one\0two", 7, 0) == 0 && setxattr(TOP, "user.top", "", 0, 0) == 0);
        VICTIM_MUST(chown(TOP "/a/b", 1000, 1001) == 0 && chown(TOP "/a/cgroup.procs", 1000, 0) == 0);
        VICTIM_MUST(chmod(TOP "/a", 0710) == 0 && chmod(TOP "/a/b/cgroup.threads", 0664) == 0 && chmod(TOP "/cgroup.procs", 0600) == 0);
}

static void enable(void)
{
        char text[256] = "";
        int fd = open(TOP "/cgroup.controllers", O_RDONLY | O_CLOEXEC);

        VICTIM_MUST(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0 && close(fd) == 0);
        controllers = strstr(text, "memory") && strstr(text, "cpu") && strstr(text, "pids");
        if (!controllers)
                return;
        make(TOP "/leaf");
        put_number(TOP "/leaf", "cgroup.procs", child[0]); /* nobody may be where a controller is enabled */
        put(TOP, "cgroup.subtree_control", "+memory +cpu +pids");
        put(ODD, "cgroup.subtree_control", "+pids +memory");
        put(TOP "/t", "cgroup.subtree_control", "+pids");
        put(TOP "/t/w1", "pids.max", "5");
        put(TOP "/leaf", "memory.max", "67108864");
        put(TOP "/leaf", "memory.high", "33554432");
        put(TOP "/leaf", "memory.oom.group", "1");
        put(TOP "/leaf", "pids.max", "2"); /* a dump makes a process beside each */
        put(TOP "/leaf", "cpu.max", "50000 200000");
        put(TOP "/t", "cpu.weight", "33");
        put(ODD, "memory.low", "4096000");
        put(ODD "/empty", "memory.swap.max", "0");
}

/* Numbers for one descriptor more: nobody else has room for his. */
static void nearly_full(void)
{
        struct rlimit lim;
        int n = 0;

        VICTIM_MUST(getrlimit(RLIMIT_NOFILE, &lim) == 0);
        while (fcntl(n, F_GETFD) >= 0)
                n++;
        lim.rlim_cur = (rlim_t)n + 1;
        VICTIM_MUST(setrlimit(RLIMIT_NOFILE, &lim) == 0);
}

static void still_nearly_full(struct victim *v)
{
        struct rlimit lim;
        int a = open("/", O_RDONLY | O_CLOEXEC), b = open("/", O_RDONLY | O_CLOEXEC);

        VICTIM_MUST(getrlimit(RLIMIT_NOFILE, &lim) == 0);
        VICTIM_CHECK(v, a >= 0 && b < 0, "its limit of descriptors is %u", (unsigned)lim.rlim_cur);
        close(a);
        lim.rlim_cur = lim.rlim_max;
        VICTIM_MUST(setrlimit(RLIMIT_NOFILE, &lim) == 0);
}

static void compare(struct victim *v, const struct tree *before, const struct tree *now)
{
        const char *a = before->text, *b = now->text;

        while (*a && *a == *b)
                a++, b++;
        if (!*a && !*b)
                return;
        while (a > before->text && a[-1] != '\n')
                a--, b--;
        victim_fail(v, "'%.*s' became '%.*s'", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

int main(int argc, char **argv)
{
        static struct tree before, now;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        start();
        build();
        enable();
        look(&before);
        unsigned at = *steps;
        nearly_full();

        victim_wait(&v);

        still_nearly_full(&v);
        look(&now);
        compare(&v, &before, &now);
        VICTIM_CHECK(&v, frozen(), "the busy process is not frozen");
        VICTIM_CHECK(&v, *steps == at, "it was at step %u, and is at %u", at, *steps);
        put(TOP "/ice", "cgroup.freeze", "0");
        for (int i = 0; i < 5000 && *steps == at; i++)
                usleep(1000);
        VICTIM_CHECK(&v, *steps != at, "it does not go on when it is thawed");
        return victim_end(&v);
}
