/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of a thread that never enters the kernel: vector registers, control words, segment base; sleeps of every kind that
 * must not end early, nor with EINTR; rseq that stays registered.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/rseq.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/victim/victim.h"

static volatile int stop, spinning;
static int bad_regs;
static int milli = 1500; /* of each sleep; for ever where nobody waits for the end */
static const double odd = 0.1234567890123;

/* Four values in registers only, checked against what they were, until `stop`. */
static void *spin(void *arg)
{
        uint64_t x[4] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444};
        uint64_t y[4] = {0};
        unsigned csr = 0x1f80 | 0x6000, csr_now = 0; /* round towards zero */
        unsigned short cw = 0x0f7f, cw_now = 0;
        double fp = 0;

        (void)arg;
        __asm__ volatile("ldmxcsr %[csr]\n\t"
                         "fldcw %[cw]\n\t"
                         "fldl %[odd]\n\t"
                         "movups %[x0], %%xmm3\n\t"
                         "movups %[x2], %%xmm14\n\t"
                         "movl $1, %[here]\n"
                         "1:\n\t"
                         "pause\n\t"
                         "cmpl $0, %[stop]\n\t"
                         "je 1b\n\t"
                         "movups %%xmm3, %[y0]\n\t"
                         "movups %%xmm14, %[y2]\n\t"
                         "fstpl %[fp]\n\t"
                         "stmxcsr %[csr_now]\n\t"
                         "fnstcw %[cw_now]\n\t"
                         : [here] "=m"(spinning), [y0] "=m"(y[0]), [y2] "=m"(y[2]), [fp] "=m"(fp), [csr_now] "=m"(csr_now),
                           [cw_now] "=m"(cw_now)
                         : [csr] "m"(csr), [cw] "m"(cw), [x0] "m"(x[0]), [x2] "m"(x[2]), [stop] "m"(stop), [odd] "m"(odd)
                         : "xmm3", "xmm14", "memory");
        bad_regs |= memcmp(x, y, sizeof(x)) != 0;
        bad_regs |= (csr_now & 0x6000) != 0x6000 ? 2 : 0;
        bad_regs |= cw_now != cw ? 4 : 0;
        bad_regs |= fp != odd ? 8 : 0;
        return NULL;
}

static bool has_avx512(void)
{
        return __builtin_cpu_supports("avx512f");
}

__attribute__((target("avx512f"))) static void *spin_wide(void *arg)
{
        uint64_t in[8], out[8] = {0};
        uint16_t mask = 0xa5c3, mask_now = 0;

        (void)arg;
        for (unsigned i = 0; i < 8; i++)
                in[i] = 0x0101010101010101u * (i + 1);
        __asm__ volatile("vmovdqu64 %[in], %%zmm17\n\t"
                         "kmovw %[mask], %%k3\n\t"
                         "movl $2, %[here]\n"
                         "1:\n\t"
                         "pause\n\t"
                         "cmpl $0, %[stop]\n\t"
                         "je 1b\n\t"
                         "vmovdqu64 %%zmm17, %[out]\n\t"
                         "kmovw %%k3, %[now]\n\t"
                         : [here] "=m"(spinning), [out] "=m"(out), [now] "=m"(mask_now)
                         : [in] "m"(in), [mask] "m"(mask), [stop] "m"(stop)
                         : "memory");
        bad_regs |= memcmp(in, out, sizeof(in)) != 0 ? 16 : 0;
        bad_regs |= mask != mask_now ? 32 : 0;
        return NULL;
}

struct sleeper { const char *name; int (*fn)(int fd); int fd, result, error; pthread_t thread; double took; };

static int by_nanosleep(int fd) { (void)fd; return nanosleep(&(struct timespec){milli / 1000, milli % 1000 * 1000000}, NULL); }
static int by_poll(int fd) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, milli); }
static int by_ppoll(int fd) { return ppoll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, &(struct timespec){milli / 1000, milli % 1000 * 1000000}, NULL); }

static int by_select(int fd)
{
        fd_set s;

        FD_ZERO(&s);
        FD_SET(fd, &s);
        return select(fd + 1, &s, NULL, NULL, &(struct timeval){milli / 1000, milli % 1000 * 1000});
}

static int by_epoll(int fd)
{
        struct epoll_event e;

        return epoll_wait(fd, &e, 1, milli);
}

static int by_futex(int fd)
{
        static int word;

        (void)fd;
        int r = (int)syscall(SYS_futex, &word, 128 /* FUTEX_WAIT_PRIVATE */, 0, &(struct timespec){milli / 1000, milli % 1000 * 1000000}, NULL, 0);
        return r < 0 && errno == ETIMEDOUT ? 0 : -1;
}

static int by_clock(int fd)
{
        (void)fd;
        int e = clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){milli / 1000, milli % 1000 * 1000000}, NULL);
        errno = e;
        return e ? -1 : 0;
}

static int by_sigwait(int fd)
{
        sigset_t s;

        (void)fd;
        sigemptyset(&s);
        sigaddset(&s, SIGUSR2);
        int r = sigtimedwait(&s, NULL, &(struct timespec){milli / 1000, milli % 1000 * 1000000});
        return r < 0 && errno == EAGAIN ? 0 : -1;
}

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *sleeper(void *arg)
{
        struct sleeper *s = arg;
        double start = now();

        s->result = s->fn(s->fd);
        s->error = errno;
        s->took = now() - start;
        return NULL;
}

static bool rseq_there(void)
{
        return __rseq_size == 0 || ((volatile struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset))->cpu_id < 4096;
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_t a, b;
        int pipefd[2];
        uintptr_t fs_before = (uintptr_t)__builtin_thread_pointer();

        victim_begin(&v, argc, argv);
        if (victim_calm())
                milli = 3600000;
        VICTIM_MUST(pipe2(pipefd, O_CLOEXEC) == 0);
        int ep = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event e = {.events = EPOLLIN};
        VICTIM_MUST(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, pipefd[0], &e) == 0);
        struct sleeper s[] = {
                {"nanosleep", by_nanosleep, -1, -2, 0, 0, 0}, {"poll", by_poll, pipefd[0], -2, 0, 0, 0},
                {"epoll_wait", by_epoll, ep, -2, 0, 0, 0},    {"futex", by_futex, -1, -2, 0, 0, 0},
                {"clock_nanosleep", by_clock, -1, -2, 0, 0, 0}, {"sigtimedwait", by_sigwait, -1, -2, 0, 0, 0},
                {"ppoll", by_ppoll, pipefd[0], -2, 0, 0, 0},  {"select", by_select, pipefd[0], -2, 0, 0, 0},
        };
        /* The last two have the kernel write what is left of their time into memory when they are interrupted. */
        const size_t n = sizeof(s) / sizeof(s[0]) - (milli > 1500 ? 2 : 0);
        VICTIM_MUST(pthread_create(&a, NULL, spin, NULL) == 0);
        while (spinning != 1)
                usleep(1000);
        if (has_avx512()) {
                VICTIM_MUST(pthread_create(&b, NULL, spin_wide, NULL) == 0);
                while (spinning != 2)
                        usleep(1000);
        }
        for (size_t i = 0; i < n; i++)
                VICTIM_MUST(pthread_create(&s[i].thread, NULL, sleeper, &s[i]) == 0);
        usleep(200000);

        victim_wait(&v);

        VICTIM_CHECK(&v, (uintptr_t)__builtin_thread_pointer() == fs_before, "the thread pointer moved");
        VICTIM_CHECK(&v, rseq_there(), "rseq is not registered any more");
        stop = 1;
        pthread_join(a, NULL);
        if (has_avx512())
                pthread_join(b, NULL);
        VICTIM_CHECK(&v, bad_regs == 0, "registers differ: %x", (unsigned)bad_regs);
        for (size_t i = 0; i < n; i++) {
                pthread_join(s[i].thread, NULL);
                VICTIM_CHECK(&v, s[i].result == 0, "%s returned %d: %s", s[i].name, s[i].result, strerror(s[i].error));
                VICTIM_CHECK(&v, s[i].took > 1.45, "%s ended after %.2f s", s[i].name, s[i].took);
        }
        return victim_end(&v);
}
