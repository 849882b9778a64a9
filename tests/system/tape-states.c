/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks in awkward states: stopped by job control, with signals pending or streaming in, under seccomp and syscall user
 * dispatch, out of descriptors, with SIGTRAP ignored, in a restartable sequence; and engines that die.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>

#include "base/uapi.h"
#include "tests/system/tape-common.h"

static _Atomic int hits[65];

static void count(int sig)
{
        hits[sig]++;
}

static void sig_to(pid_t p, int sig)
{
        int fd = pidfd_open_proc(p, NULL);
        CHECK(fd >= 0);
        DO(pidfd_signal(fd, sig, &err));
        close(fd);
}

static void spinner(struct board *b)
{
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        b->done = 1;
}

static void goes_on_and_ends(struct board *b, pid_t p)
{
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        CHECK_ENDED_WELL(p);
        CHECK(b->done);
}

static void group_stop(void)
{
        for (int cont_inside = 0; cont_inside < 2; cont_inside++) {
                struct board *b = board_new();
                pid_t p = victim(spinner, b);
                UNTIL(b->ready);
                sig_to(p, SIGSTOP);
                UNTIL(proc_state(p) == 'T');
                struct tracee *t = stop(p);
                CHECK(tracee_group_stopped(t));
                exercise(t);
                if (cont_inside)
                        sig_to(p, SIGCONT);
                exercise(t);
                DO(tracee_detach(t, &err));
                if (!cont_inside) {
                        UNTIL(proc_state(p) == 'T');
                        int64_t v = b->v[0];
                        sleep_ms(20);
                        CHECK(b->v[0] == v);
                        sig_to(p, SIGCONT);
                }
                goes_on_and_ends(b, p);
        }
}

/* SIGSTOP that arrives while we hold it takes effect when it is let go. */
static void stopped_while_held(void)
{
        struct board *b = board_new();
        pid_t p = victim(spinner, b);
        UNTIL(b->ready);
        struct tracee *t = stop(p);
        CHECK(!tracee_group_stopped(t));
        sig_to(p, SIGSTOP);
        exercise(t);
        exercise(t);
        DO(tracee_detach(t, &err));
        UNTIL(proc_state(p) == 'T');
        sig_to(p, SIGCONT);
        goes_on_and_ends(b, p);
}

static void with_handlers(struct board *b)
{
        const int sigs[] = { SIGUSR1, SIGUSR2, 34, 35 };
        for (int i = 0; i < 4; i++)
                signal(sigs[i], count);
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        b->v[1] = hits[SIGUSR1] * 1000 + hits[SIGUSR2] * 100 + hits[34] * 10 + hits[35];
        b->done = 1;
}

static void pending_signals(void)
{
        struct board *b = board_new();
        pid_t p = victim(with_handlers, b);
        siginfo_t *si = NULL;
        size_t n = 0;

        UNTIL(b->ready);
        struct tracee *t = stop(p);
        sig_to(p, SIGUSR1);
        for (int i = 0; i < 3; i++) {
                union sigval v = { .sival_int = 7 + i };
                CHECK(sigqueue(p, 34, v) == 0);
        }
        int thread = sys_pidfd_open(p, PIDFD_THREAD); /* a signal of the thread's own */
        if (thread < 0)
                SKIP("no descriptors of threads");
        CHECK(sys_pidfd_send_signal(thread, SIGUSR2, 0) == 0);
        close(thread);
        exercise(t);
        DO(tracee_pending(t, true, &si, &n, &err));
        CHECK(n == 4 && si[0].si_signo == SIGUSR1 && si[1].si_value.sival_int == 7 && si[3].si_value.sival_int == 9);
        free(si);
        DO(tracee_pending(t, false, &si, &n, &err));
        CHECK(n == 1 && si[0].si_signo == SIGUSR2);
        free(si);
        exercise(t);
        DO(tracee_detach(t, &err));
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        CHECK_ENDED_WELL(p);
        CHECK(b->v[1] == 1130);
}

static void many_pending(void)
{
        struct board *b = board_new();
        pid_t p = victim(with_handlers, b);
        siginfo_t *si = NULL;
        size_t n = 0;

        UNTIL(b->ready);
        struct tracee *t = stop(p);
        for (int i = 0; i < 200; i++) {
                union sigval v = { .sival_int = i };
                CHECK(sigqueue(p, 35, v) == 0);
        }
        DO(tracee_pending(t, true, &si, &n, &err));
        CHECK(n == 200);
        for (int i = 0; i < 200; i++)
                CHECK(si[i].si_value.sival_int == i);
        free(si);
        DO(tracee_detach(t, &err));
        UNTIL(proc_state(p) == 'R');
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

/* 20 kHz of SIGALRM: many stops are preceded by a delivery, and the program's own counting goes on right. */
static void alarmed(struct board *b)
{
        struct itimerval iv = { { 0, 50 }, { 0, 50 } };
        struct sigaction sa = { .sa_handler = count, .sa_flags = SA_RESTART };
        sigaction(SIGALRM, &sa, NULL);
        setitimer(ITIMER_REAL, &iv, NULL);
        b->ready = 1;
        uint64_t x = 1, y = 1;
        while (!b->go) {
                x = x * 7 + 1;
                b->v[1] = hits[SIGALRM];
                b->v[0]++;
        }
        memset(&iv, 0, sizeof(iv));
        setitimer(ITIMER_REAL, &iv, NULL);
        for (int64_t i = b->v[0]; i > 0; i--)
                y = y * 7 + 1;
        b->bad = x != y;
        b->done = 1;
}

static void signal_storm(void)
{
        struct board *b = board_new();
        pid_t p = victim(alarmed, b);
        UNTIL(b->ready && b->v[1] > 10);
        for (int i = 0; i < 300; i++) {
                struct tracee *t = stop(p);
                if (i % 4 == 0)
                        exercise(t);
                DO(tracee_detach(t, &err));
        }
        int64_t n = b->v[1];
        UNTIL(b->v[1] > n);
        goes_on_and_ends(b, p);
}

/* Two filters; the second (newest) kills every getpid and memfd_create. */
static void filtered(struct board *b)
{
        struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_filter deny[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog one = { ELEMENTSOF(allow), allow }, two = { ELEMENTSOF(deny), deny };
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &one) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &two))
                b->bad = 1;
        spinner(b);
        syscall(SYS_getpid); /* the filter must be on again */
        b->v[3] = 1;
}

static void strict(struct board *b)
{
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        syscall(SYS_exit, 0);
}

static void seccomp_filter(void)
{
        struct board *b = board_new();
        pid_t p = victim(filtered, b);
        size_t n = 0, len = 0;
        void *f = NULL;

        UNTIL(b->ready);
        struct tracee *t = stop(p);
        DO(tracee_filters(t, &n, &err));
        CHECK(n == 2);
        DO(tracee_filter(t, 0, &f, &len, &err));
        CHECK(len == 5 && ((struct sock_filter *)f)[4].k == SECCOMP_RET_KILL_PROCESS);
        free(f);
        DO(tracee_filter(t, 1, &f, &len, &err));
        CHECK(len == 1);
        free(f);
        CHECK(tracee_filter(t, 2, &f, &len, NULL) < 0);
        exercise(t);
        DO(tracee_detach(t, &err));
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        int st = victim_status(p);
        CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS && !b->v[3]);
}

static void seccomp_strict(void)
{
        struct board *b = board_new();
        pid_t p = victim(strict, b);
        size_t n = 9;
        UNTIL(b->ready);
        struct tracee *t = stop(p);
        DO(tracee_filters(t, &n, &err));
        CHECK(n == 0);
        exercise(t);
        DO(tracee_detach(t, &err));
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

/* Syscall user dispatch with every call blocked outside of one range. */
static _Atomic char sud_selector = 0;
static void on_sys(int sig)
{
        (void)sig;
        sud_selector = 0; /* SYSCALL_DISPATCH_FILTER_ALLOW */
        hits[SIGSYS]++;
}

static void dispatched(struct board *b)
{
        signal(SIGSYS, on_sys);
        if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &sud_selector) < 0) {
                b->v[5] = 1;
                b->ready = 1;
                return;
        }
        sud_selector = 1; /* BLOCK */
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        syscall(SYS_getppid);
        b->bad = hits[SIGSYS] != 1;
        b->done = 1;
}

static void user_dispatch(void)
{
        struct board *b = board_new();
        pid_t p = victim(dispatched, b);
        UNTIL(b->ready);
        if (b->v[5])
                SKIP("no syscall user dispatch");
        struct tracee *t = stop(p);
        exercise(t);
        DO(tracee_detach(t, &err));
        goes_on_and_ends(b, p);
}

static void mdwe_main(struct board *b)
{
        b->v[5] = prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0) < 0;
        if (!b->v[5] && mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                b->bad = 1;
        spinner(b);
}

static void mdwe(void)
{
        struct board *b = board_new();
        pid_t p = victim(mdwe_main, b);
        UNTIL(b->ready);
        if (b->v[5])
                SKIP("no PR_SET_MDWE");
        struct tracee *t = stop(p);
        exercise(t);
        DO(tracee_detach(t, &err));
        goes_on_and_ends(b, p);
}

static void no_fds(struct board *b)
{
        struct rlimit l = { 0, 0 };
        setrlimit(RLIMIT_NOFILE, &l);
        b->bad = dup(0) >= 0;
        spinner(b);
}

static void no_space(struct board *b)
{
        struct rlimit l = { 1 << 20, RLIM_INFINITY };
        setrlimit(RLIMIT_AS, &l);
        b->bad = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
        spinner(b);
        getrlimit(RLIMIT_AS, &l);
        b->bad = l.rlim_cur != 1 << 20;
}

static void locked(struct board *b)
{
        struct rlimit l = { 0, 0 };
        size_t len, kb = 0;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = proc_open(getpid(), NULL);

        if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 || proc_read(fd, "status", &text, &len, NULL) < 0) {
                b->v[5] = 1;
        } else {
                const char *s = strstr(text, "VmLck:");
                kb = s ? strtoul(s + 6, NULL, 10) : 0;
                l.rlim_cur = l.rlim_max = kb * 1024 + 24576; /* room for a few pages more */
                setrlimit(RLIMIT_MEMLOCK, &l);
        }
        if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
                b->bad = 1;
        spinner(b);
}

static void limits(void)
{
        const victim_fn mains[] = { no_fds, no_space, locked };
        for (size_t i = 0; i < ELEMENTSOF(mains); i++) {
                struct board *b = board_new();
                pid_t p = victim(mains[i], b);
                UNTIL(b->ready);
                if (b->v[5])
                        SKIP("memory cannot be locked here");
                CHECK(!b->bad);
                struct tracee *t = stop(p);
                if (i == 2) { /* asks for more than may be locked: a smaller area does */
                        DO(tracee_agent(t, NULL, 0, 1 << 16, &err));
                        struct tape *tape = numbers_tape(0, 20);
                        DO(play_one(t, tape, &err));
                        tape_free(tape);
                        DO(tracee_agent_drop(t, &err));
                } else {
                        exercise(t);
                }
                DO(tracee_detach(t, &err));
                goes_on_and_ends(b, p);
        }
}

struct ksigaction { uint64_t handler, flags, restorer, mask; };

static void trap_main(struct board *b)
{
        struct sigaction sa = { .sa_flags = SA_RESTART };
        sa.sa_handler = b->v[4] == 0 ? SIG_IGN : count;
        sigaddset(&sa.sa_mask, SIGUSR2);
        sigaction(SIGTRAP, &sa, NULL);
        if (b->v[4] == 2) {
                sigset_t set;
                sigemptyset(&set);
                sigaddset(&set, SIGTRAP);
                sigprocmask(SIG_BLOCK, &set, NULL);
        }
        struct sigaction first, now;
        sigaction(SIGTRAP, NULL, &first);
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        sigaction(SIGTRAP, NULL, &now);
        b->bad = now.sa_handler != first.sa_handler || now.sa_flags != first.sa_flags ||
                 memcmp(&now.sa_mask, &first.sa_mask, 8) != 0;
        sigset_t set;
        sigprocmask(SIG_SETMASK, NULL, &set);
        b->bad |= sigismember(&set, SIGTRAP) != (b->v[4] == 2);
        b->v[1] = hits[SIGTRAP];
        b->done = 1;
}

/* SIGTRAP ignored, handled, handled but blocked: int3 must change none of them. */
static void trap_disposition(void)
{
        for (int i = 0; i < 3; i++) {
                struct board *b = board_new();
                b->v[4] = i;
                pid_t p = victim(trap_main, b);
                UNTIL(b->ready);
                struct tracee *t = stop(p);
                exercise(t);
                exercise(t);
                DO(tracee_detach(t, &err));
                int64_t v = b->v[0];
                UNTIL(b->v[0] > v);
                b->go = 1;
                if (victim_status(p) != 0 || !b->done)
                        FAIL("variant %d: its SIGTRAP has changed", i);
                CHECK(b->v[1] == 0);
        }
}

/* A tape that makes SIGTRAP ignored (restore) is not undone by its own int3. */
static void trap_by_tape(void)
{
        struct board *b = board_new();
        pid_t p = victim(spinner, b);
        UNTIL(b->ready);
        struct tracee *t = stop(p);
        struct tape *tape = numbers_tape(0, 1);
        struct ksigaction ign = { 1, 0, 0, 0x10 }, now;
        TAPE(tape, SYS_rt_sigaction, A_IMM(SIGTRAP), A_DATA(tape_data(tape, &ign, sizeof(ign))), A_IMM(0), A_IMM(8));
        DO(tracee_agent(t, NULL, 0, 4096, &err));
        DO(play_one(t, tape, &err));
        tape_free(tape);
        for (int i = 0; i < 2; i++) {
                tape = numbers_tape(0, 1);
                uint32_t out = tape_data(tape, NULL, sizeof(now));
                TAPE(tape, SYS_rt_sigaction, A_IMM(SIGTRAP), A_IMM(0), A_DATA(out), A_IMM(8));
                DO(play_one(t, tape, &err));
                memcpy(&now, tape_out(tape, out), sizeof(now));
                CHECK(now.handler == 1 && now.mask == 0x10);
                tape_free(tape);
        }
        DO(tracee_agent_drop(t, &err));
        DO(tracee_detach(t, &err));
        goes_on_and_ends(b, p);
}

static void *trap_thread(void *arg)
{
        struct board *b = arg;
        b->v[1] = syscall(SYS_gettid);
        while (!b->go)
                usleep(1000);
        return NULL;
}

static void trap_threads_main(struct board *b)
{
        pthread_t th;
        signal(SIGTRAP, SIG_IGN);
        if (pthread_create(&th, NULL, trap_thread, b))
                b->bad = 1;
        spinner(b);
        pthread_join(th, NULL);
        b->bad = signal(SIGTRAP, SIG_DFL) != SIG_IGN;
}

/* Two threads' tapes end in int3 while one of them asks: the answer is the program's own disposition all the same. */
static void trap_of_threads(void)
{
        struct board *b = board_new();
        pid_t p = victim(trap_threads_main, b);
        struct tracee *t[2];
        struct crowd c = { t, 2 };
        struct executor x;
        struct ksigaction now;

        UNTIL(b->ready && b->v[1]);
        t[0] = stop(p);
        t[1] = stop((pid_t)b->v[1]);
        for (int i = 0; i < 2; i++)
                DO(tracee_agent(t[i], i ? t[0] : NULL, 0, 4096, &err));
        DO(executor_ptrace(crowd_find, &c, &x, &err));
        for (int k = 0; k < 20; k++) {
                struct tape *tapes[2] = { numbers_tape(0, 3000), numbers_tape(1, 1) };
                uint32_t out = tape_data(tapes[0], NULL, sizeof(now));
                TAPE(tapes[0], SYS_rt_sigaction, A_IMM(SIGTRAP), A_IMM(0), A_DATA(out), A_IMM(8));
                DO(executor_play(&x, tapes, 2, &err));
                memcpy(&now, tape_out(tapes[0], out), sizeof(now));
                CHECK(now.handler == 1);
                for (int i = 0; i < 2; i++)
                        tape_free(tapes[i]);
        }
        executor_done(&x);
        for (int i = 0; i < 2; i++)
                DO(tracee_agent_drop(t[i], &err));
        for (int i = 0; i < 2; i++)
                DO(tracee_detach(t[i], &err));
        goes_on_and_ends(b, p);
}

/* Somebody's SIGTRAP that comes while a tape plays still reaches the program. */
static void trap_sent(void)
{
        struct board *b = board_new();
        b->v[4] = 1;
        pid_t p = victim(trap_main, b);
        UNTIL(b->ready);
        struct tracee *t = stop(p);
        sig_to(p, SIGTRAP);
        exercise(t);
        DO(tracee_detach(t, &err));
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        CHECK_ENDED_WELL(p);
        CHECK(b->v[1] == 1);
}

/* Patterns in registers that no system call may change. */
static void registers(struct board *b)
{
        uint64_t in[4] = { 0x1111222233334444, 0x5555666677778888, 0, 0 }, out[4] = { 0 };
        uint32_t csr = 0x7f80, csr2 = 0;
        uint16_t cw = 0x27f, cw2 = 0;
        double pi = 0, back = 0;
        b->ready = 1;
        __asm__ volatile("ldmxcsr %[csr]\n\t"
                         "fldcw %[cw]\n\t"
                         "fldpi\n\t"
                         "movdqu %[in], %%xmm7\n\t"
                         "movdqu %[in], %%xmm15\n\t"
                         "1: incq %[n]\n\t"
                         "cmpl $0, %[go]\n\t"
                         "je 1b\n\t"
                         "pxor %%xmm15, %%xmm7\n\t"
                         "movdqu %%xmm15, %[out]\n\t"
                         "movdqu %%xmm7, %[rest]\n\t"
                         "fstpl %[back]\n\t"
                         "fnstcw %[cw2]\n\t"
                         "stmxcsr %[csr2]\n\t"
                         : [n] "+m"(b->v[0]), [out] "=m"(*(char(*)[16])out),
                           [rest] "=m"(*(char(*)[16])(out + 2)), [back] "=m"(back), [cw2] "=m"(cw2), [csr2] "=m"(csr2)
                         : [go] "m"(b->go), [in] "m"(*(char(*)[16])in), [csr] "m"(csr), [cw] "m"(cw)
                         : "xmm7", "xmm15", "memory", "st");
        pi = 3.14159265358979;
        b->bad = out[0] != in[0] || out[1] != in[1] || out[2] || out[3] || cw2 != 0x27f || csr2 != 0x7f80 ||
                 back - pi > 1e-9 || pi - back > 1e-9;
        b->done = 1;
}

static void extended_state(void)
{
        static struct cpu_state before, after;
        struct board *b = board_new();
        pid_t p = victim(registers, b);
        UNTIL(b->ready && b->v[0] > 1000);
        for (int i = 0; i < 20; i++) {
                struct tracee *t = stop(p);
                DO(tracee_get(t, &before, &err));
                exercise(t);
                DO(tracee_get(t, &after, &err));
                CHECK(before.xstate_len >= 576 && memcmp(&before, &after, sizeof(before)) == 0);
                memset(after.xstate + 160, 0, 256); /* every xmm register */
                DO(tracee_set(t, &after, &err));
                DO(tracee_set(t, &before, &err));
                DO(tracee_detach(t, &err));
        }
        goes_on_and_ends(b, p);
}

/* A restartable sequence that never commits by itself: after a stop inside and a tape, it goes to its abort address. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
static struct { uint32_t version, flags; uint64_t start, length, abort; } section __attribute__((aligned(32)));

static void sequence(struct board *b)
{
        uint64_t tp;
        if (!&__rseq_size || !__rseq_size) {
                b->v[5] = 1;
                b->ready = 1;
                return;
        }
        __asm__("mov %%fs:0, %0" : "=r"(tp));
        uint64_t *cs = (uint64_t *)(tp + (uint64_t)__rseq_offset + 8); // NOLINT: the thread's area lies there
        uint64_t aborted = 0;
        b->ready = 1;
        __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                         "mov %%rax, 8+%[s]\n\t"
                         "lea 3f(%%rip), %%rcx\n\t"
                         "sub %%rax, %%rcx\n\t"
                         "mov %%rcx, 16+%[s]\n\t"
                         "lea 4f(%%rip), %%rcx\n\t"
                         "mov %%rcx, 24+%[s]\n\t"
                         "lea %[s], %%rcx\n\t"
                         "5: mov %%rcx, (%[cs])\n\t"
                         "1: movl $1, %[in]\n\t"
                         "2: incq %[n]\n\t"
                         "cmpl $0, %[go]\n\t"
                         "je 2b\n\t"
                         "3: jmp 6f\n\t"
                         ".long 0x53053053\n\t"
                         "4: incq %[aborted]\n\t"
                         "cmpl $0, %[go]\n\t"
                         "je 5b\n\t"
                         "6: movq $0, (%[cs])\n\t"
                         : [s] "+m"(section), [n] "+m"(b->v[0]), [in] "+m"(b->v[6]),
                           [aborted] "+m"(b->v[1])
                         : [cs] "r"(cs), [go] "m"(b->go)
                         : "rax", "rcx", "memory");
        (void)aborted;
        b->done = 1;
}

static void rseq_section(void)
{
        static struct cpu_state s;
        struct board *b = board_new();
        pid_t p = victim(sequence, b);
        int inside = 0;

        UNTIL(b->ready);
        if (b->v[5])
                SKIP("the C library registers no rseq");
        UNTIL(b->v[6]);
        for (int i = 0; i < 50; i++) {
                int64_t v = b->v[0];
                UNTIL(b->v[0] > v); /* in the section again */
                struct tracee *t = stop(p);
                int64_t aborted = b->v[1];
                DO(tracee_get(t, &s, &err));
                CHECK(s.rseq_ptr && s.rseq_size >= 32);
                exercise(t);
                DO(tracee_detach(t, &err));
                UNTIL(b->v[1] > aborted);
                inside++;
        }
        CHECK(inside == 50);
        b->go = 1;
        CHECK_ENDED_WELL(p);
        CHECK(b->done);
}

/* A vfork parent does not come to a stop before its child is done; the child plays. */
static void vforker(struct board *b)
{
        static struct board *bb;
        bb = b;
        pid_t k = vfork();
        if (k == 0) {
                bb->v[1] = syscall(SYS_getpid);
                bb->ready = 1;
                while (!bb->go)
                        ;
                _exit(0);
        }
        b->done = 1;
}

static void vfork_parent(void)
{
        struct board *b = board_new();
        pid_t p = victim(vforker, b);
        struct tracee *t = NULL;
        UNTIL(b->ready);
        DO(tracee_seize(p, 0, &t, &err));
        CHECK(tracee_wait(t, 100, NULL) == 1);
        struct tracee *kid = stop((pid_t)b->v[1]);
        exercise(kid);
        DO(tracee_detach(kid, &err));
        CHECK(tracee_wait(t, 50, NULL) == 1);
        b->go = 1;
        DO(tracee_wait(t, 5000, &err));
        exercise(t);
        DO(tracee_detach(t, &err));
        CHECK_ENDED_WELL(p);
        CHECK(b->done);
}

static void *survivor(void *arg)
{
        struct board *b = arg;
        b->v[1] = syscall(SYS_gettid);
        while (proc_state(getpid()) != 'Z')
                usleep(1000);
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        _exit(0);
}

static void dead_leader_main(struct board *b)
{
        pthread_t th;
        if (pthread_create(&th, NULL, survivor, b) == 0)
                syscall(SYS_exit, 0);
}

static void dead_leader(void)
{
        struct board *b = board_new();
        pid_t p = victim(dead_leader_main, b);
        struct tracee *t = NULL;
        UNTIL(b->ready);
        CHECK(tracee_seize(p, 0, &t, NULL) == 1);
        t = stop((pid_t)b->v[1]);
        exercise(t);
        DO(tracee_detach(t, &err));
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

/* The engine is killed between two plays, with the agent in: the program goes on, in a call and out of one. */
static void engine_dies(void)
{
        for (int i = 0; i < 5; i++) {
                struct board *b = board_new();
                pid_t p = victim(spinner, b);
                UNTIL(b->ready);
                pid_t engine = fork();
                if (engine == 0) {
                        struct tracee *t = stop(p);
                        struct tape *tape = numbers_tape(0, 50);
                        DO(tracee_agent(t, NULL, 0, 4096, &err));
                        DO(play_one(t, tape, &err));
                        b->v[2] = 1;
                        for (;;)
                                pause();
                }
                UNTIL(b->v[2]);
                CHECK(proc_state(p) == 't');
                sig_to(engine, SIGKILL);
                waitpid(engine, NULL, 0);
                goes_on_and_ends(b, p);
        }
}

/* Killed anywhere, also amid its calls on the target: the program goes on, or is ended; it never goes on with registers that are not
 * its own, and never stays stopped. */
static void engine_killed_anywhere(void)
{
        int lived = 0;

        for (int i = 0; i < 100; i++) {
                struct board *b = board_new();
                pid_t p = victim(spinner, b);
                UNTIL(b->ready);
                pid_t engine = fork();
                if (engine == 0) {
                        for (;;) {
                                struct tracee *t = stop(p);
                                exercise(t);
                                DO(tracee_detach(t, &err));
                        }
                }
                usleep((unsigned)(500 + 37 * i));
                sig_to(engine, SIGKILL);
                waitpid(engine, NULL, 0);
                b->go = 1;
                int st = victim_status(p);
                CHECK(st == 0 || (WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL)); /* never a corrupt program */
                lived += st == 0;
        }
        CHECK(lived > 0);
}

int main(int argc, char **argv)
{
        static const struct test tests[] = {
                { "group_stop", group_stop }, { "stopped_while_held", stopped_while_held },
                { "pending_signals", pending_signals }, { "many_pending", many_pending },
                { "signal_storm", signal_storm }, { "seccomp_filter", seccomp_filter },
                { "seccomp_strict", seccomp_strict }, { "user_dispatch", user_dispatch }, { "mdwe", mdwe },
                { "limits", limits }, { "trap_disposition", trap_disposition }, { "trap_by_tape", trap_by_tape },
                { "trap_of_threads", trap_of_threads },
                { "trap_sent", trap_sent }, { "extended_state", extended_state }, { "rseq_section", rseq_section },
                { "vfork_parent", vfork_parent }, { "dead_leader", dead_leader }, { "engine_dies", engine_dies },
                { "engine_killed_anywhere", engine_killed_anywhere },
        };
        return run_tests(tests, ELEMENTSOF(tests), argc > 1 ? argv[1] : NULL);
}
