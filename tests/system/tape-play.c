/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tapes in real tasks: results, data, errors, faults, growth, forked children, threads. Needs root and a pid namespace
 * of its own (tape.sh gives it).
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/system/tape-common.h"

static void sleeper(struct board *b)
{
        b->ready = 1;
        while (!b->go)
                sleep_ms(1);
        b->done = 1;
}

static void spinner(struct board *b)
{
        b->ready = 1;
        while (!b->go)
                b->v[0]++;
        b->done = 1;
}

static struct tracee *stopped_sleeper(struct board *b, pid_t *ret)
{
        *ret = victim(sleeper, b);
        UNTIL(b->ready);
        return stop(*ret);
}

static void let_end(struct board *b, struct tracee *t, pid_t p)
{
        DO(tracee_detach(t, &err));
        b->go = 1;
        CHECK_ENDED_WELL(p);
        CHECK(b->done);
}

static void hundred_entries(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        exercise(t);
        exercise(t);
        let_end(b, t, p);
}

static void spinning(void)
{
        struct board *b = board_new();
        pid_t p = victim(spinner, b);
        UNTIL(b->ready);
        for (int i = 0; i < 50; i++) {
                struct tracee *t = stop(p);
                exercise(t);
                DO(tracee_detach(t, &err));
        }
        int64_t v = b->v[0];
        UNTIL(b->v[0] > v);
        b->go = 1;
        CHECK_ENDED_WELL(p);
}

static void side_by_side(void)
{
        enum { N = 100 };
        struct board *b = board_new();
        struct tracee *t[N];
        struct tape *tapes[2 * N];
        pid_t p[N];
        struct crowd c = { t, N };
        struct executor x;

        for (int i = 0; i < N; i++)
                p[i] = victim(sleeper, b);
        UNTIL(b->ready);
        for (int i = 0; i < N; i++)
                DO(tracee_seize(p[i], 0, &t[i], &err));
        for (int i = 0; i < N; i++)
                DO(tracee_wait(t[i], 5000, &err));
        for (int i = 0; i < N; i++)
                DO(tracee_agent(t[i], NULL, 0, 8192, &err));
        for (uint64_t i = 0; i < 2 * N; i++)
                tapes[i] = numbers_tape(i % N, 100);
        DO(executor_ptrace(crowd_find, &c, &x, &err));
        DO(executor_play(&x, tapes, 2 * N, &err));
        for (int i = 0; i < 2 * N; i++) {
                for (uint32_t k = 0; k < 100; k++)
                        CHECK(tape_ret(tapes[i], k) == p[i % N]);
                tape_free(tapes[i]);
        }
        executor_done(&x);
        for (int i = 0; i < N; i++)
                DO(tracee_agent_drop(t[i], &err));
        for (int i = 0; i < N; i++)
                DO(tracee_detach(t[i], &err));
        b->go = 1;
        for (int i = 0; i < N; i++)
                CHECK_ENDED_WELL(p[i]);
}

static int count_lines(pid_t p, const char *file)
{
        size_t len, n = 0;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = proc_open(p, NULL);
        DO(proc_read(fd, file, &text, &len, &err));
        for (size_t i = 0; i < len; i++)
                n += text[i] == '\n';
        return (int)n;
}

static int count_fds(pid_t p)
{
        char path[64];
        unsigned *num = NULL;
        size_t n = 0;
        snprintf(path, sizeof(path), "/proc/%d/fd", p);
        DO(proc_numbers(AT_FDCWD, path, &num, &n, &err));
        free(num);
        return (int)n;
}

/* A pipe made, used and closed again; every entry failed once. */
static struct tape *pipe_tape(void)
{
        struct tape *t = tape_new((struct actor){ ACTOR_TASK, 0 });
        uint32_t ends = tape_data(t, NULL, 8), word = tape_data(t, "hello", 5), back = tape_data(t, NULL, 16);
        struct { uint64_t base, len; } iov = { 0, 16 };
        uint32_t v = tape_data(t, &iov, sizeof(iov));

        tape_reloc(t, v, 8, A_DATA(back));
        tape_label(t, "the pipe");
        tape_keep_out(t, TAPE(t, SYS_pipe2, A_DATA(ends), A_IMM(O_CLOEXEC)), ends, 1);
        uint32_t w = TAPE(t, SYS_write, A_OUT(ends + 4), A_DATA(word), A_IMM(5));
        tape_expect(t, w, 5);
        uint32_t r = TAPE(t, SYS_readv, A_OUT(ends), A_DATA(v), A_IMM(1));
        TAPE(t, SYS_lseek, A_OUT(ends), A_RET(r), A_IMM(0));
        tape_may_fail(t, 3, ESPIPE);
        TAPE(t, SYS_close, A_OUT(ends));
        TAPE(t, SYS_close, A_OUT(ends + 4));
        return t;
}

static void data_and_results(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        int maps = count_lines(p, "maps");
        struct tape *tape = pipe_tape();
        const struct tape_fd *keep;

        DO(tracee_agent(t, NULL, 0, 4096, &err));
        CHECK(count_lines(p, "maps") > maps);
        DO(play_one(t, tape, &err));
        CHECK(memcmp(tape_out(tape, 32), "hello\0", 6) == 0);
        CHECK(tape_ret(tape, 3) == -ESPIPE);
        CHECK(tape_keeps(tape, &keep) == 1 && keep[0].fd > 2);
        tape_free(tape);
        DO(tracee_agent_drop(t, &err));
        DO(tracee_agent_drop(t, &err));
        CHECK(count_lines(p, "maps") == maps);
        let_end(b, t, p);
}

/* Tapes of one thread go together as far as its area holds them: each has its own results, references and data all the same. */
static void in_one_go(void)
{
        enum { N = 6 };
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        struct tape *tapes[N];
        struct crowd c = { &t, 1 };
        struct executor x;
        struct err e = { 0 };
        int fds = count_fds(p);

        DO(tracee_agent(t, NULL, 0, 4096, &err));
        for (int i = 0; i < N; i++)
                tapes[i] = i % 2 ? numbers_tape(0, i == 3 ? 90 : 2) : pipe_tape(); /* the long one alone fills an area */
        for (int i = 1; i < N; i += 2)
                TAPE(tapes[i], SYS_close, A_RET(TAPE(tapes[i], SYS_dup, A_IMM(0)))); /* of its own entries */
        DO(executor_ptrace(crowd_find, &c, &x, &err));
        for (int k = 0; k < 2; k++) {
                DO(executor_play(&x, tapes, N, &err));
                for (int i = 0; i < N; i++) {
                        CHECK(i % 2 == 0 || (tape_ret(tapes[i], 0) == p && tape_ret(tapes[i], 1) == p));
                        CHECK(i % 2 || (memcmp(tape_out(tapes[i], 32), "hello\0", 6) == 0 && tape_ret(tapes[i], 3) == -ESPIPE));
                }
                CHECK(count_fds(p) == fds);
        }
        tape_label(tapes[1], "the one that fails");
        uint32_t bad = TAPE(tapes[1], SYS_close, A_IMM(-1));
        CHECK(executor_play(&x, tapes, 3, &e) < 0 && e.sys == EBADF && strstr(e.on, "the one that fails: close"));
        CHECK(tape_ret(tapes[0], 1) == 5 && tape_ret(tapes[1], 1) == p && tape_ret(tapes[1], bad) == -EBADF);
        CHECK(tape_ret(tapes[2], 0) == INT64_MIN && count_fds(p) == fds);
        for (int i = 0; i < N; i++)
                tape_free(tapes[i]);
        executor_done(&x);
        DO(tracee_agent_drop(t, &err));
        let_end(b, t, p);
}

static void errors_are_named(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        struct tape *tape = numbers_tape(0, 3);
        struct err e = { 0 };

        tape_label(tape, "close nothing (fd-file 3)");
        uint32_t bad = TAPE(tape, SYS_close, A_IMM(-1));
        tape_may_fail(tape, bad, EIO);
        uint32_t after = TAPE0(tape, SYS_getpid);
        CHECK(play_one(t, tape, &e) < 0); /* no agent yet */
        DO(tracee_agent(t, NULL, 0, 4096, &err));
        CHECK(play_one(t, tape, &e) < 0);
        CHECK(e.sys == EBADF && strstr(e.on, "close nothing (fd-file 3): close"));
        CHECK(tape_ret(tape, 2) == p && tape_ret(tape, bad) == -EBADF && tape_ret(tape, after) == INT64_MIN);
        tape_free(tape);

        tape = numbers_tape(0, 2);
        tape_expect(tape, 0, 77777);
        CHECK(play_one(t, tape, &e) < 0 && tape_ret(tape, 0) == p && tape_ret(tape, 1) == INT64_MIN);
        tape_expect(tape, 0, p);
        DO(play_one(t, tape, &err));
        tape_free(tape);

        /* A bad pointer of the tape's is EFAULT, not the end of the task. */
        tape = numbers_tape(0, 1);
        TAPE(tape, SYS_uname, A_IMM(8));
        CHECK(play_one(t, tape, &e) < 0 && e.sys == EFAULT);
        tape_free(tape);
        DO(tracee_agent_drop(t, &err));
        let_end(b, t, p);
}

static void fault_sweep(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        struct crowd c = { &t, 1 };
        struct executor inner;
        int fds = count_fds(p), k;

        DO(tracee_agent(t, NULL, 0, 4096, &err));
        DO(executor_ptrace(crowd_find, &c, &inner, &err));
        for (k = 1;; k++) {
                struct executor x;
                struct tape *tape = pipe_tape();
                struct err e = { 0 };
                DO(executor_fault(&inner, (uint64_t)k, EIO, &x, &err));
                int r = executor_play(&x, &tape, 1, &e);
                bool clean = executor_fault_count(&x) < (uint64_t)k;
                CHECK((r == 0) == clean);
                CHECK(r == 0 || e.sys == EIO);
                /* What the tape had open is closed as the session would: a failed play leaves its results to go by. */
                struct tape *undo = numbers_tape(0, 1);
                const int *ends = tape_out(tape, 0);
                for (int i = 0; i < 2; i++)
                        if (ends[1])
                                tape_may_fail(undo, TAPE(undo, SYS_close, A_IMM(ends[i])), EBADF);
                DO(play_one(t, undo, &err));
                CHECK(count_fds(p) == fds);
                tape_free(undo);
                tape_free(tape);
                executor_done(&x);
                if (clean)
                        break;
        }
        CHECK(k == 7);
        /* A failure that may happen is passed over, in the real target too. */
        struct executor x;
        struct tape *tape = numbers_tape(0, 3);
        tape_may_fail(tape, 1, ENOMEM);
        DO(executor_fault(&inner, 2, ENOMEM, &x, &err));
        DO(executor_play(&x, &tape, 1, &err));
        CHECK(tape_ret(tape, 1) == -ENOMEM && tape_ret(tape, 2) == p);
        tape_free(tape);
        executor_done(&x);
        executor_done(&inner);
        DO(tracee_agent_drop(t, &err));
        let_end(b, t, p);
}

static void growth(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        int maps = count_lines(p, "maps");
        uint64_t start, len;

        DO(tracee_agent(t, NULL, 0, 4096, &err));
        for (unsigned n = 50; n <= 20000; n *= 20) {
                struct tape *tape = numbers_tape(0, n);
                DO(play_one(t, tape, &err));
                CHECK(tape_ret(tape, n - 1) == p);
                tracee_agent_range(t, &start, &len);
                CHECK(len >= n * 64 + 4096);
                tape_free(tape);
        }
        DO(tracee_agent_drop(t, &err));
        tracee_agent_range(t, &start, &len);
        CHECK(len == 0);
        CHECK(count_lines(p, "maps") == maps);
        /* A fixed place grows in place. */
        DO(tracee_agent(t, NULL, UINT64_C(0x200000000000), 4096, &err));
        struct tape *tape = numbers_tape(0, 5000);
        DO(play_one(t, tape, &err));
        tape_free(tape);
        tracee_agent_range(t, &start, &len);
        CHECK(start == UINT64_C(0x200000000000) && len >= 5000 * 64 + 4096);
        DO(tracee_agent_drop(t, &err));
        CHECK(count_lines(p, "maps") == maps);
        let_end(b, t, p);
}

static uint32_t clone_entry(struct tape *t, uint64_t flags, uint64_t exit_signal)
{
        struct clone_args ca = { .flags = flags, .exit_signal = exit_signal };
        return TAPE(t, SYS_clone3, A_DATA(tape_data(t, &ca, sizeof(ca))), A_IMM(sizeof(ca)));
}

/* A tape forks; the child has the agent and plays by itself; the parent goes on with its tape. */
static void forked_child(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p), *child = NULL;
        struct tape *tape = numbers_tape(0, 2);

        uint32_t c = clone_entry(tape, CLONE_PTRACE, SIGCHLD);
        uint32_t after = TAPE0(tape, SYS_getpid);
        DO(tracee_agent(t, NULL, 0, 4096, &err));
        DO(play_one(t, tape, &err));
        pid_t kid = (pid_t)tape_ret(tape, c);
        CHECK(kid > 0 && tape_ret(tape, after) == p);
        tape_free(tape);
        DO(tracee_adopt(kid, TRACEE_EXITKILL, &child, &err));
        DO(tracee_agent_inherit(child, t, &err));
        tape = numbers_tape(0, 1);
        uint32_t pp = TAPE0(tape, SYS_getppid);
        DO(play_one(child, tape, &err));
        CHECK(tape_ret(tape, 0) == kid && tape_ret(tape, pp) == p);
        tape_free(tape);

        /* It ends by its own tape, and its parent reaps it by one. */
        tape = numbers_tape(0, 1);
        TAPE(tape, SYS_exit_group, A_IMM(7));
        DO(play_one(child, tape, &err));
        tape_free(tape);
        DO(tracee_detach(child, &err));
        tape = numbers_tape(0, 1);
        uint32_t st = tape_data(tape, NULL, 4);
        TAPE(tape, SYS_wait4, A_IMM(kid), A_DATA(st), A_IMM(__WALL), A_IMM(0));
        tape_expect(tape, 1, kid);
        DO(play_one(t, tape, &err));
        int status;
        memcpy(&status, tape_out(tape, st), sizeof(status));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        tape_free(tape);
        DO(tracee_agent_drop(t, &err));
        let_end(b, t, p);
}

static void *thread_main(void *arg)
{
        struct board *b = arg;
        int64_t i = b->ready++;
        b->v[i] = syscall(SYS_gettid);
        while (!b->go)
                sleep_ms(1);
        b->done++;
        return NULL;
}

static void threaded(struct board *b)
{
        pthread_t th[4];
        for (int i = 0; i < 4; i++)
                if (pthread_create(&th[i], NULL, thread_main, b))
                        b->bad = 1;
        while (b->ready < 4)
                sleep_ms(1);
        b->ready = 5;
        for (int i = 0; i < 4; i++)
                pthread_join(th[i], NULL);
}

/* Threads of one mm share the code, play at once, and the last one takes it away, in whatever order they are dropped. */
static void threads(void)
{
        for (int order = 0; order < 2; order++) {
                struct board *b = board_new();
                pid_t p = victim(threaded, b);
                struct tracee *t[5];
                struct tape *tapes[5];
                struct crowd c = { t, 5 };
                struct executor x;

                UNTIL(b->ready == 5);
                for (int i = 0; i < 5; i++)
                        t[i] = stop(i ? (pid_t)b->v[i - 1] : p);
                int maps = count_lines(p, "maps");
                for (int i = 0; i < 5; i++)
                        DO(tracee_agent(t[i], i ? t[0] : NULL, 0, 4096, &err));
                for (uint64_t i = 0; i < 5; i++) {
                        tapes[i] = numbers_tape(i, 900); /* each area must grow */
                        TAPE0(tapes[i], SYS_gettid);
                }
                DO(executor_ptrace(crowd_find, &c, &x, &err));
                DO(executor_play(&x, tapes, 5, &err));
                for (int i = 0; i < 5; i++) {
                        CHECK(tape_ret(tapes[i], 900) == (i ? b->v[i - 1] : p) && tape_ret(tapes[i], 7) == p);
                        tape_free(tapes[i]);
                }
                executor_done(&x);
                for (int i = 0; i < 5; i++)
                        DO(tracee_agent_drop(t[order ? 4 - i : i], &err));
                CHECK(count_lines(p, "maps") == maps);
                for (int i = 0; i < 5; i++)
                        DO(tracee_detach(t[i], &err));
                b->go = 1;
                CHECK_ENDED_WELL(p);
                CHECK(b->done == 4);
        }
}

/* Agents of many at a time, a process with threads among them; nothing of them is left. One that was killed is named, and the others
 * have theirs. */
static void agents_together(void)
{
        enum { N = 70, ALL = N + 5 };
        struct board *b = board_new(), *tb = board_new();
        struct tracee *t[ALL];
        struct tape *tapes[ALL];
        size_t share[ALL], which = 0;
        struct crowd c = { t, ALL };
        struct executor x;
        struct err e = { 0 };
        pid_t p[N], many = victim(threaded, tb);

        for (int i = 0; i < N; i++)
                p[i] = victim(sleeper, b);
        UNTIL(b->ready && tb->ready == 5);
        for (int i = 0; i < ALL; i++) {
                t[i] = stop(i < N ? p[i] : i == N ? many : (pid_t)tb->v[i - N - 1]);
                share[i] = (size_t)(i < N ? i : N);
        }
        int maps = count_lines(p[0], "maps"), maps_many = count_lines(many, "maps");
        tracee_trap_known(t[0], false);
        for (int round = 0; round < 2; round++) {
                DO(tracee_agents(t, share, ALL, &which, &err));
                DO(tracee_agents(t, share, ALL, &which, &err));
                for (uint64_t i = 0; i < ALL; i++)
                        tapes[i] = numbers_tape(i, 100);
                DO(executor_ptrace(crowd_find, &c, &x, &err));
                DO(executor_play(&x, tapes, ALL, &err));
                for (int i = 0; i < ALL; i++) {
                        CHECK(tape_ret(tapes[i], 99) == (i < N ? p[i] : many));
                        tape_free(tapes[i]);
                }
                executor_done(&x);
                DO(tracee_agents_drop(t, ALL, &err));
                for (int i = 0; i < N; i++)
                        CHECK(count_lines(p[i], "maps") == maps);
                CHECK(count_lines(many, "maps") == maps_many);
        }
        _cleanup_close_ int pidfd = pidfd_open_proc(p[66], NULL);
        CHECK(pidfd_signal(pidfd, SIGKILL, NULL) == 0);
        CHECK(tracee_agents(t, share, ALL, &which, &e) < 0 && which == 66);
        CHECK(count_lines(p[65], "maps") > maps && count_lines(p[67], "maps") > maps && count_lines(many, "maps") > maps_many);
        DO(tracee_agents_drop(t, ALL, &err));
        CHECK(count_lines(p[67], "maps") == maps && count_lines(many, "maps") == maps_many);
        DO(tracee_detach_all(t, ALL, &err));
        b->go = tb->go = 1;
        for (int i = 0; i < N; i++) {
                int status = victim_status(p[i]);
                CHECK(i == 66 ? WIFSIGNALED(status) : status == 0);
        }
        CHECK_ENDED_WELL(many);
}

/* A call that never ends is interrupted and named; 30 s would be long here, so the task is killed in the middle. */
static void killed_in_play(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p);
        struct tape *tape = numbers_tape(0, 1);
        struct err e = { 0 };
        int pidfd = pidfd_open_proc(p, NULL);

        TAPE0(tape, SYS_pause);
        DO(tracee_agent(t, NULL, 0, 4096, &err));
        pid_t killer = fork();
        if (killer == 0) {
                while (proc_state(p) != 'S')
                        sleep_ms(1);
                pidfd_signal(pidfd, SIGKILL, NULL);
                _exit(0);
        }
        CHECK(play_one(t, tape, &e) < 0 && e.sys == ESRCH);
        CHECK(play_one(t, tape, &e) < 0);
        tape_free(tape);
        DO(tracee_agent_drop(t, &err));
        DO(tracee_detach(t, &err));
        waitpid(killer, NULL, 0);
        close(pidfd);
}

static void heavy(struct board *b)
{
        char *p = mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                b->bad = 1;
        for (size_t i = 0; i < 256 << 20; i += 4096)
                p[i] = 1;
        threaded(b);
}

/* Its parent is not the tracer. */
static void heavy_child(struct board *b)
{
        pid_t k = fork();
        if (k == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                b->v[10] = getpid();
                heavy(b);
                _exit(0);
        }
        int st;
        b->bad = waitpid(k, &st, 0) != k || !WIFSIGNALED(st);
        b->done = 100;
}

/* Killed while we hold all its threads: it can be reaped by its parent once we have let go, in whatever order; its last
 * thread takes its time to free the memory. */
static void killed_while_held(void)
{
        for (int k = 0; k < 4; k++) {
                struct board *b = board_new();
                pid_t p = victim(k & 1 ? heavy_child : heavy, b), v = p;
                struct tracee *t[5];
                int st = 0;

                UNTIL(b->ready == 5);
                if (k & 1)
                        v = (pid_t)b->v[10];
                int pidfd = pidfd_open_proc(v, NULL);
                CHECK(pidfd >= 0);
                for (int i = 0; i < 5; i++)
                        t[i] = stop(i ? (pid_t)b->v[i - 1] : v);
                DO(pidfd_signal(pidfd, SIGKILL, &err));
                for (int i = 0; i < 5; i++)
                        DO(tracee_detach(t[k & 2 ? i : 4 - i], &err));
                if (k & 1) {
                        CHECK_ENDED_WELL(p);
                        CHECK(b->done == 100);
                } else {
                        st = victim_status(p);
                        CHECK(WIFSIGNALED(st));
                }
                close(pidfd);
        }
}

static void refusals(void)
{
        struct board *b = board_new();
        pid_t p;
        struct tracee *t = stopped_sleeper(b, &p), *u = NULL;
        struct err e = { 0 };

        /* Another tracer: a child of ours cannot take it. */
        pid_t kid = fork();
        if (kid == 0)
                _exit(tracee_seize(p, 0, &u, &e) == -EX_BUSY && strstr(e.why, "traces it") ? 0 : 1);
        int st;
        waitpid(kid, &st, 0);
        CHECK(st == 0);
        CHECK(tracee_seize(0, 0, &u, &e) < 0);
        CHECK(tracee_seize(-1, 0, &u, &e) < 0);
        CHECK(tracee_seize(4000000, 0, &u, &e) == 1);
        let_end(b, t, p);
        kid = fork();
        if (kid == 0)
                _exit(0);
        UNTIL(proc_state(kid) == 'Z');
        CHECK(tracee_seize(kid, 0, &u, &e) == 1);
        waitpid(kid, NULL, 0);
}

int main(int argc, char **argv)
{
        static const struct test tests[] = {
                { "hundred_entries", hundred_entries }, { "spinning", spinning }, { "side_by_side", side_by_side },
                { "data_and_results", data_and_results }, { "in_one_go", in_one_go }, { "errors_are_named", errors_are_named },
                { "fault_sweep", fault_sweep }, { "growth", growth }, { "forked_child", forked_child },
                { "threads", threads }, { "agents_together", agents_together }, { "killed_in_play", killed_in_play },
                { "killed_while_held", killed_while_held }, { "refusals", refusals },
        };
        return run_tests(tests, ELEMENTSOF(tests), argc > 1 ? argv[1] : NULL);
}
