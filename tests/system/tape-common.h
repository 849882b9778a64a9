/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the tape in real tasks: each runs in a process of its own, makes victims by fork, and says ok or why not. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mountapi.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/timer.h"
#include "checkpoint/tape/tape.h"
#include "checkpoint/tape/tracee.h"

#define MS UINT64_C(1000000)

/* Between a victim and its test. */
struct board {
        _Atomic int ready, go, done, bad;
        _Atomic int64_t v[24];
};

static inline struct board *board_new(void)
{
        return mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#define FAIL(...)                                                                                            \
        do {                                                                                                 \
                fprintf(stderr, "line %d: ", __LINE__);                                                      \
                fprintf(stderr, __VA_ARGS__);                                                                \
                fputc('\n', stderr);                                                                         \
                exit(1);                                                                                     \
        } while (0)
#define CHECK(cond)                                                                                          \
        do {                                                                                                 \
                if (!(cond))                                                                                 \
                        FAIL("%s", #cond);                                                                   \
        } while (0)
#define DO(call)                                                                                             \
        do {                                                                                                 \
                struct err err = { 0 };                                                                      \
                int _r = (call);                                                                             \
                char _text[700];                                                                             \
                if (_r < 0)                                                                                  \
                        FAIL("%s: %s", #call, err_format(&err, _text, sizeof(_text)));                       \
                if (_r > 0)                                                                                  \
                        FAIL("%s: %d", #call, _r);                                                           \
        } while (0)

static inline void sleep_ms(unsigned ms)
{
        struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };
        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}

/* Waits for a condition on a board; a test must not sleep blindly. */
#define UNTIL(cond)                                                                                          \
        do {                                                                                                 \
                uint64_t _end = now_ns() + 10000 * MS;                                                       \
                while (!(cond)) {                                                                            \
                        if (now_ns() > _end)                                                                 \
                                FAIL("waited too long for %s", #cond);                                       \
                        sched_yield();                                                                       \
                }                                                                                            \
        } while (0)

static inline char proc_state(pid_t tid)
{
        struct proc_stat st = { 0 };
        _cleanup_close_ int fd = proc_open(tid, NULL);
        return fd >= 0 && proc_stat_read(fd, &st, NULL) == 0 ? st.state : '?';
}

typedef void (*victim_fn)(struct board *b);

/* A child that dies with us. */
static inline pid_t victim(victim_fn fn, struct board *b)
{
        pid_t p = fork();
        CHECK(p >= 0);
        if (p == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fn(b);
                _exit(b->bad ? 1 : 0);
        }
        return p;
}

static inline int victim_status(pid_t p)
{
        int st = 0;
        uint64_t end = now_ns() + 10000 * MS;
        while (waitpid(p, &st, WNOHANG) != p) {
                if (now_ns() > end)
                        FAIL("the victim does not end (state %c)", proc_state(p));
                sleep_ms(1);
        }
        return st;
}
#define CHECK_ENDED_WELL(p)                                                                                  \
        do {                                                                                                 \
                int _st = victim_status(p);                                                                  \
                if (_st != 0)                                                                                \
                        FAIL("the victim's status is 0x%x", (unsigned)_st);                                  \
        } while (0)

static inline struct tracee *stop_flags(pid_t tid, unsigned flags)
{
        struct tracee *t = NULL;
        DO(tracee_seize(tid, flags, &t, &err));
        DO(tracee_wait(t, 5000, &err));
        return t;
}

static inline struct tracee *stop(pid_t tid)
{
        return stop_flags(tid, 0);
}

/* Actors are indices into an array of tracees. */
struct crowd { struct tracee **t; size_t n; };
static inline struct tracee *crowd_find(void *ctx, struct actor who)
{
        struct crowd *c = ctx;
        return who.id < c->n ? c->t[who.id] : NULL;
}

static inline int play_one(struct tracee *t, struct tape *tape, struct err *err)
{
        struct crowd c = { &t, 1 };
        struct executor x;
        int r = executor_ptrace(crowd_find, &c, &x, err);
        if (r == 0) {
                r = executor_play(&x, &tape, 1, err);
                executor_done(&x);
        }
        return r;
}

static inline struct tape *numbers_tape(uint64_t actor, unsigned n)
{
        struct tape *t = tape_new((struct actor){ ACTOR_TASK, actor });
        for (unsigned i = 0; i < n; i++)
                TAPE0(t, SYS_getpid);
        return t;
}

/* Brings the agent, plays 100 calls and a call with data, takes the agent away. */
static inline void exercise(struct tracee *t)
{
        struct tape *tape = numbers_tape(0, 100);
        uint32_t out = tape_data(tape, NULL, 512);
        TAPE(tape, SYS_uname, A_DATA(out));
        DO(tracee_agent(t, NULL, 0, 4096, &err));
        DO(play_one(t, tape, &err));
        for (unsigned i = 0; i < 100; i++)
                CHECK(tape_ret(tape, i) == tape_ret(tape, 0) && tape_ret(tape, i) > 0);
        CHECK(strcmp(tape_out(tape, out), "Linux") == 0);
        DO(tracee_agent_drop(t, &err));
        tape_free(tape);
}

struct test { const char *name; void (*run)(void); };

/* Each in a child, whose standard error is the reason. `only`: a name or NULL. */
static inline int run_here(const struct test *tests, size_t n, const char *only)
{
        int failed = 0;
        setvbuf(stdout, NULL, _IOLBF, 0);
        for (size_t i = 0; i < n; i++) {
                int st = 0, log = memfd_create("why", MFD_CLOEXEC);
                char why[900] = { 0 };
                if (only && strcmp(only, tests[i].name) != 0) {
                        close(log);
                        continue;
                }
                CHECK(log >= 0);
                pid_t p = fork();
                CHECK(p >= 0);
                if (p == 0) {
                        dup2(log, 2);
                        alarm(60);
                        tests[i].run();
                        exit(0);
                }
                for (pid_t w = 0; w != p;) /* init of its namespace: reaps what comes */
                        if ((w = waitpid(-1, &st, 0)) < 0 && errno != EINTR)
                                FAIL("wait: %s", strerror(errno));
                ssize_t got = pread(log, why, sizeof(why) - 1, 0);
                CHECK(got >= 0);
                close(log);
                why[strcspn(why, "\n")] = '\0';
                if (st == 0)
                        printf("ok %s\n", tests[i].name);
                else if (WIFEXITED(st) && WEXITSTATUS(st) == 77)
                        printf("skip %s: %s\n", tests[i].name, why);
                else
                        printf("not ok %s: %s (status 0x%x)\n", tests[i].name, why, (unsigned)st), failed++;
        }
        return failed ? 1 : 0;
}

/* The same as init of a pid namespace with its own /proc, where the worst mistake cannot leave it. */
static inline int run_tests(const struct test *tests, size_t n, const char *only)
{
        int st = 0;

        if (geteuid() != 0) {
                fprintf(stderr, "needs root\n");
                return 77;
        }
        CHECK(unshare(CLONE_NEWPID) == 0);
        DO(mount_own_namespace(&err));
        pid_t p = fork();
        CHECK(p >= 0);
        if (p == 0) {
                struct err e;
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                int proc = mount_new("proc", NULL, NULL, 0, &e);
                CHECK(proc >= 0);
                DO(mount_attach(proc, AT_FDCWD, "/proc", &err));
                close(proc);
                exit(run_here(tests, n, only));
        }
        CHECK(waitpid(p, &st, 0) == p);
        _exit(WIFEXITED(st) ? WEXITSTATUS(st) : 1); /* no thread can be made any more, not LeakSanitizer's either */
}

#define SKIP(...) (fprintf(stderr, __VA_ARGS__), exit(77))
