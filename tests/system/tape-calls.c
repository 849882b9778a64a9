/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks stopped in the middle of a system call: after stops and tapes the call goes on, no EINTR is seen, and deadlines
 * hold where the kernel lets them. Each case is one call that ends by its time limit or by what the test does.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "tests/system/tape-common.h"

#define LIMIT_MS 500

enum { RESULT = 0, ERRNO, TOOK, PHASE };

struct call {
        const char *name;
        int64_t (*make)(struct board *b);
        int64_t want;         /* result, or -errno */
        bool until_go;        /* ends by `go` instead of its own time */
        bool starts_anew;     /* its time begins again with each stop */
};

static const struct timespec limit = { 0, LIMIT_MS * 1000000L };

static int64_t got(long r)
{
        return r < 0 ? -errno : r;
}

static int64_t call_nanosleep(struct board *b)
{
        struct timespec left = { 0 };
        (void)b;
        return got(syscall(SYS_nanosleep, &limit, &left));
}

static int64_t call_nanosleep_bare(struct board *b)
{
        (void)b;
        return got(syscall(SYS_nanosleep, &limit, NULL));
}

static int64_t call_clock_rel(struct board *b)
{
        (void)b;
        return got(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &limit, NULL));
}

static int64_t call_clock_abs(struct board *b)
{
        struct timespec ts;
        (void)b;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        uint64_t ns = (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec + LIMIT_MS * MS;
        ts = (struct timespec){ (time_t)(ns / (1000 * MS)), (long)(ns % (1000 * MS)) };
        return got(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

static int64_t call_futex(struct board *b)
{
        (void)b;
        uint32_t word = 0;
        return got(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0));
}

static int64_t call_futex_bare(struct board *b)
{
        int64_t r;
        while ((r = got(syscall(SYS_futex, &b->go, FUTEX_WAIT, 0, NULL, NULL, 0))) == 0 && !b->go)
                ;
        return r == -EAGAIN ? 0 : r;
}

static int64_t call_poll(struct board *b)
{
        (void)b;
        return got(syscall(SYS_poll, NULL, 0, LIMIT_MS));
}

static int64_t call_ppoll(struct board *b)
{
        struct timespec ts = limit;
        sigset_t none;
        (void)b;
        sigemptyset(&none);
        return got(syscall(SYS_ppoll, NULL, 0, &ts, &none, 8));
}

static int64_t call_select(struct board *b)
{
        struct timeval tv = { 0, LIMIT_MS * 1000 };
        (void)b;
        return got(syscall(SYS_select, 0, NULL, NULL, NULL, &tv));
}

static int64_t call_epoll(struct board *b)
{
        struct epoll_event ev;
        (void)b;
        return got(syscall(SYS_epoll_wait, epoll_create1(0), &ev, 1, LIMIT_MS));
}

static int64_t call_epoll_pwait(struct board *b)
{
        struct epoll_event ev;
        sigset_t none;
        (void)b;
        sigemptyset(&none);
        return got(syscall(SYS_epoll_pwait, epoll_create1(0), &ev, 1, LIMIT_MS, &none, 8));
}

static int64_t call_epoll_pwait2(struct board *b)
{
        struct epoll_event ev;
        (void)b;
        return got(syscall(441, epoll_create1(0), &ev, 1, &limit, NULL, 8));
}

static int64_t call_sigtimedwait(struct board *b)
{
        sigset_t set;
        (void)b;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return got(syscall(SYS_rt_sigtimedwait, &set, NULL, &limit, 8));
}

static int64_t call_semtimedop(struct board *b)
{
        struct sembuf op = { 0, -1, 0 };
        (void)b;
        int id = semget(IPC_PRIVATE, 1, 0600);
        int64_t r = got(syscall(SYS_semtimedop, id, &op, 1, &limit));
        semctl(id, 0, IPC_RMID);
        return r;
}

static int64_t call_io_getevents(struct board *b)
{
        aio_context_t ctx = 0;
        struct io_event ev;
        (void)b;
        if (syscall(SYS_io_setup, 1, &ctx) < 0)
                return -ENOSYS;
        return got(syscall(SYS_io_getevents, ctx, 1, 1, &ev, &limit));
}

static int64_t receive(long nr)
{
        int sp[2];
        char buf[8];
        struct timeval tv = { 0, LIMIT_MS * 1000 };
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) < 0 || setsockopt(sp[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
                return -ENOSYS;
        return got(syscall(nr, sp[0], buf, sizeof(buf), 0, NULL, NULL));
}

static int64_t call_recv_timeo(struct board *b)
{
        (void)b;
        return receive(SYS_recvfrom);
}

static int64_t call_read_timeo(struct board *b)
{
        (void)b;
        return receive(SYS_read);
}

static int64_t call_accept_timeo(struct board *b)
{
        struct sockaddr_un a = { AF_UNIX, "" };
        struct timeval tv = { 0, LIMIT_MS * 1000 };
        (void)b;
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(s, (struct sockaddr *)&a, sizeof(sa_family_t)) < 0 || listen(s, 1) < 0 ||
            setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
                return -ENOSYS;
        return got(syscall(SYS_accept, s, NULL, NULL));
}

/* Ends when `go` is set: a helper child writes or exits then. */
static pid_t when_go(struct board *b, int fd)
{
        pid_t p = fork();
        if (p == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (!b->go)
                        usleep(1000);
                if (fd >= 0 && write(fd, "x", 1) != 1)
                        _exit(1);
                _exit(0);
        }
        return p;
}

static int64_t call_read(struct board *b)
{
        int p[2];
        char c;
        if (pipe(p) < 0)
                return -ENOSYS;
        when_go(b, p[1]);
        return got(syscall(SYS_read, p[0], &c, 1));
}

static int64_t call_epoll_event(struct board *b)
{
        int p[2], e = epoll_create1(0);
        struct epoll_event ev = { .events = EPOLLIN };
        if (pipe(p) < 0 || epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) < 0)
                return -ENOSYS;
        when_go(b, p[1]);
        return got(syscall(SYS_epoll_wait, e, &ev, 1, -1));
}

static int64_t call_wait4(struct board *b)
{
        pid_t p = when_go(b, -1);
        return got(syscall(SYS_wait4, p, NULL, 0, NULL)) == p ? 0 : -errno;
}

static int64_t call_flock(struct board *b)
{
        int a = memfd_create("lock", 0);
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", a);
        int c = open(path, O_RDWR);
        if (a < 0 || c < 0 || flock(a, LOCK_EX) < 0)
                return -ENOSYS;
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (!b->go)
                        usleep(1000);
                flock(a, LOCK_UN);
                _exit(0);
        }
        return got(syscall(SYS_flock, c, LOCK_EX));
}

static void none(int sig)
{
        (void)sig;
}

static int64_t call_pause(struct board *b)
{
        signal(SIGUSR1, none);
        pid_t us = getpid();
        if (fork() == 0) {
                int fd = pidfd_open_proc(us, NULL);
                while (!b->go)
                        usleep(1000);
                pidfd_signal(fd, SIGUSR1, NULL);
                _exit(0);
        }
        return got(syscall(SYS_pause));
}

static int64_t call_io_uring(struct board *b)
{
        struct io_uring_params prm = { 0 };
        (void)b;
        int fd = (int)syscall(SYS_io_uring_setup, 4, &prm);
        if (fd < 0)
                return -ENOSYS;
        struct { uint64_t mask; uint32_t size, pad; uint64_t ts; } arg = { 0, 8, 0, 0 };
        struct { int64_t s, ns; } ts = { 0, LIMIT_MS * 1000000L };
        arg.ts = (uint64_t)(uintptr_t)&ts;
        return got(syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)));
}

static const struct call calls[] = {
        { "nanosleep", call_nanosleep, 0, false, false },
        { "nanosleep_bare", call_nanosleep_bare, 0, false, false },
        { "clock_nanosleep", call_clock_rel, 0, false, false },
        { "clock_nanosleep_abs", call_clock_abs, 0, false, false },
        { "futex", call_futex, -ETIMEDOUT, false, false },
        { "futex_bare", call_futex_bare, 0, true, false },
        { "poll", call_poll, 0, false, false },
        { "ppoll", call_ppoll, 0, false, true },
        { "select", call_select, 0, false, true },
        { "epoll_wait", call_epoll, 0, false, true },
        { "epoll_pwait", call_epoll_pwait, 0, false, true },
        { "epoll_pwait2", call_epoll_pwait2, 0, false, true },
        { "epoll_event", call_epoll_event, 1, true, false },
        { "sigtimedwait", call_sigtimedwait, -EAGAIN, false, true },
        { "semtimedop", call_semtimedop, -EAGAIN, false, true },
        { "io_getevents", call_io_getevents, 0, false, true },
        { "io_uring_enter", call_io_uring, -ETIME, false, true },
        { "recv_timeo", call_recv_timeo, -EAGAIN, false, true },
        { "read_timeo", call_read_timeo, -EAGAIN, false, true },
        { "accept_timeo", call_accept_timeo, -EAGAIN, false, true },
        { "read", call_read, 1, true, false },
        { "wait4", call_wait4, 0, true, false },
        { "flock", call_flock, 0, true, false },
        { "pause", call_pause, -EINTR, true, false },
};

static const struct call *chosen;

static void caller(struct board *b)
{
        b->ready = 1;
        uint64_t start = now_ns();
        int64_t r = chosen->make(b);
        b->v[TOOK] = (int64_t)(now_ns() - start);
        b->v[RESULT] = r;
        b->done = 1;
}

/* Stops it three times on its way, once without and twice with tapes. */
static void stop_in_call(void)
{
        struct board *b = board_new();
        pid_t p = victim(caller, b);
        uint64_t begin = now_ns(), nr = 0;
        static struct cpu_state s;

        UNTIL(b->ready && proc_state(p) == 'S');
        sleep_ms(20); /* into the call: its children are started before */
        for (int i = 0; i < 3; i++) {
                sleep_ms(60);
                struct tracee *t = stop(p);
                DO(tracee_get(t, &s, &err));
                if (i == 0)
                        nr = s.regs.orig_rax;
                CHECK(nr == s.regs.orig_rax); /* not restart_syscall's */
                if (i)
                        exercise(t);
                DO(tracee_detach(t, &err));
        }
        uint64_t last = now_ns() - begin;
        CHECK(!b->done);
        if (chosen->until_go) {
                b->go = 1;
                syscall(SYS_futex, &b->go, FUTEX_WAKE, 1, NULL, NULL, 0);
        }
        UNTIL(b->done);
        CHECK_ENDED_WELL(p);
        if (b->v[RESULT] == -ENOSYS)
                SKIP("this kernel cannot");
        if (b->v[RESULT] != chosen->want)
                FAIL("the call gave %" PRId64 ", not %" PRId64, b->v[RESULT], chosen->want);
        if (chosen->until_go)
                return;
        uint64_t most = LIMIT_MS * MS + (chosen->starts_anew ? last : 0) + 150 * MS, took = (uint64_t)b->v[TOOK];
        if (took < (LIMIT_MS - 1) * MS || took > most)
                FAIL("it took %llu ms of %d", (unsigned long long)(took / MS), LIMIT_MS);
}

int main(int argc, char **argv)
{
        struct test tests[ELEMENTSOF(calls)];
        const char *only = argc > 1 ? argv[1] : NULL;
        int bad = 0;

        if (!only) { /* one process per call: the call under test is the only state */
                for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                        pid_t p = fork();
                        int st;
                        if (p == 0)
                                execl("/proc/self/exe", argv[0], calls[i].name, NULL);
                        if (p < 0 || waitpid(p, &st, 0) != p)
                                return 1;
                        if (st == 77 << 8)
                                return 77;
                        bad |= st != 0;
                }
                return bad;
        }
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                tests[i] = (struct test){ calls[i].name, stop_in_call };
                if (strcmp(calls[i].name, only) == 0)
                        chosen = &calls[i];
        }
        return chosen ? run_tests(tests, ELEMENTSOF(tests), only) : 2;
}
