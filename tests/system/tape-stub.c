/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a restore does with the stub: exec, agent at a fixed place, everything else unmapped by tape, foreign memory and
 * foreign registers, calls that go on to their deadlines; the vdso and the stub's text are gone when the agent leaves.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

#include "tests/system/tape-common.h"

#define AGENT UINT64_C(0x100000000000)
#define CODE UINT64_C(0x500000)
#define DATA UINT64_C(0x600000)
#define TOP UINT64_C(0x7ffffffff000)

static pid_t stub_start(void)
{
        int fd = stub_open(NULL);
        CHECK(fd >= 0);
        pid_t p = fork();
        CHECK(p >= 0);
        if (p == 0) {
                char *none[] = { NULL };
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
                _exit(99);
        }
        close(fd);
        UNTIL(proc_state(p) == 'S');
        return p;
}

/* Leaves nothing but the agent, and maps a page of code and one of data. */
static struct tracee *emptied_stub(pid_t p, size_t tape_bytes)
{
        struct tracee *t = stop_flags(p, TRACEE_EXITKILL);
        struct tape *tape = tape_new((struct actor){ ACTOR_TASK, 0 });
        uint64_t start, len;

        DO(tracee_agent(t, NULL, AGENT, tape_bytes, &err));
        tracee_agent_range(t, &start, &len);
        CHECK(start == AGENT);
        tape_label(tape, "empty the stub");
        TAPE(tape, SYS_munmap, A_IMM(0), A_IMM(start));
        TAPE(tape, SYS_munmap, A_IMM(start + len), A_IMM(TOP - start - len));
        for (uint64_t at = CODE; at <= DATA; at += DATA - CODE) {
                uint32_t m = TAPE(tape, SYS_mmap, A_IMM(at), A_IMM(4096),
                                  A_IMM(at == CODE ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE),
                                  A_IMM(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE), A_IMM(-1), A_IMM(0));
                tape_expect(tape, m, (int64_t)at);
        }
        DO(play_one(t, tape, &err));
        tape_free(tape);
        return t;
}

/* The foreign program: a call, whatever its result is put at DATA, then exit_group(42). Entered at CODE + 4, behind a call
 * that it "sleeps" in, or at CODE to make it. */
static const uint8_t program[] = {
        0x90, 0x90, 0x0f, 0x05,                                  /* nop; nop; syscall */
        0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x60, 0x00,          /* mov [0x600000], rax */
        0xb8, 0xe7, 0x00, 0x00, 0x00,                            /* mov eax, exit_group */
        0xbf, 0x2a, 0x00, 0x00, 0x00,                            /* mov edi, 42 */
        0x0f, 0x05,
};

static void foreign_state(struct cpu_state *s, const struct tracee *t)
{
        memset(s, 0, sizeof(*s));
        DO(tracee_get((struct tracee *)(uintptr_t)t, s, &err));
        s->regs.rip = CODE + 4;
        s->regs.rsp = DATA + 4096;
        s->regs.rax = 5;
        s->regs.orig_rax = UINT64_MAX;
        s->sigmask = 0;
}

static void becomes_another(void)
{
        pid_t p = stub_start();
        struct tracee *t = emptied_stub(p, 16384);
        struct cpu_state s;

        DO(tracee_mem_write(t, CODE, program, sizeof(program), &err));
        exercise(t); /* has its agent: plays, and takes it away */
        foreign_state(&s, t);
        DO(tracee_set(t, &s, &err));
        DO(tracee_detach(t, &err));
        CHECK(victim_status(p) == 42 << 8);
}

/* A stub forks by tape, both are emptied and both go on as others; the fork's agent is the parent's. */
static void forks(void)
{
        pid_t p = stub_start();
        struct tracee *t = emptied_stub(p, 16384), *kid = NULL;
        struct tape *tape = tape_new((struct actor){ ACTOR_TASK, 0 });
        struct clone_args ca = { .flags = CLONE_PTRACE, .exit_signal = SIGCHLD };
        struct cpu_state s;

        DO(tracee_mem_write(t, CODE, program, sizeof(program), &err));
        TAPE(tape, SYS_clone3, A_DATA(tape_data(tape, &ca, sizeof(ca))), A_IMM(sizeof(ca)));
        DO(play_one(t, tape, &err));
        pid_t k = (pid_t)tape_ret(tape, 0);
        tape_free(tape);
        DO(tracee_adopt(k, TRACEE_EXITKILL, &kid, &err));
        DO(tracee_agent_inherit(kid, t, &err));
        exercise(kid);
        foreign_state(&s, kid);
        DO(tracee_set(kid, &s, &err));
        DO(tracee_detach(kid, &err));
        tape = numbers_tape(0, 1);
        uint32_t st = tape_data(tape, NULL, 4);
        TAPE(tape, SYS_wait4, A_IMM(k), A_DATA(st), A_IMM(__WALL), A_IMM(0));
        tape_expect(tape, 1, k);
        DO(play_one(t, tape, &err));
        int status;
        memcpy(&status, tape_out(tape, st), 4);
        CHECK(status == 42 << 8);
        tape_free(tape);
        exercise(t);
        foreign_state(&s, t);
        DO(tracee_set(t, &s, &err));
        DO(tracee_detach(t, &err));
        CHECK(victim_status(p) == 42 << 8);
}

/* A thread made by tape: it shares the agent's code and has its own area. */
static void makes_threads(void)
{
        pid_t p = stub_start();
        struct tracee *t = emptied_stub(p, 16384), *th = NULL;
        struct tape *tape = tape_new((struct actor){ ACTOR_TASK, 0 });
        struct clone_args ca = { .flags = CLONE_PTRACE | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                          CLONE_SYSVSEM,
                                 .stack = DATA, .stack_size = 4096 };
        struct cpu_state s;

        DO(tracee_mem_write(t, CODE, program, sizeof(program), &err));
        TAPE(tape, SYS_clone3, A_DATA(tape_data(tape, &ca, sizeof(ca))), A_IMM(sizeof(ca)));
        DO(play_one(t, tape, &err));
        DO(tracee_adopt((pid_t)tape_ret(tape, 0), TRACEE_EXITKILL, &th, &err));
        tape_free(tape);
        DO(tracee_agent(th, t, AGENT + (UINT64_C(1) << 30), 4096, &err));
        tape = numbers_tape(0, 1);
        uint32_t g = TAPE0(tape, SYS_gettid);
        DO(play_one(th, tape, &err));
        CHECK(tape_ret(tape, 0) == p && tape_ret(tape, g) == tracee_tid(th));
        tape_free(tape);
        DO(tracee_agent_drop(t, &err));
        DO(tracee_agent_drop(th, &err));
        foreign_state(&s, th);
        DO(tracee_set(th, &s, &err));
        foreign_state(&s, t);
        DO(tracee_set(t, &s, &err));
        DO(tracee_detach(th, &err)); /* ends the whole process, before or after the leader is let go */
        DO(tracee_detach(t, &err));
        CHECK(victim_status(p) == 42 << 8);
}

struct sleep_case { const char *name; long nr; uint64_t arg[6]; uint64_t memory_ns; int64_t want; };

/* A sleep of 700 ms of which `left` remain goes on to its end and gives its own result. */
static void sleeps_on(const struct sleep_case *c, uint64_t left)
{
        pid_t p = stub_start();
        struct tracee *t = emptied_stub(p, 16384);
        struct cpu_state s;
        struct restart plan;
        struct timespec ts = { (time_t)(c->memory_ns / (1000 * MS)), (long)(c->memory_ns % (1000 * MS)) };

        DO(tracee_mem_write(t, CODE, program, sizeof(program), &err));
        DO(tracee_mem_write(t, DATA + 64, &ts, sizeof(ts), &err));
        foreign_state(&s, t);
        s.regs.rax = (unsigned long long)-516;
        s.regs.orig_rax = (unsigned long long)c->nr;
        s.regs.rdi = c->arg[0];
        s.regs.rsi = c->arg[1];
        s.regs.rdx = c->arg[2];
        s.regs.r10 = c->arg[3];
        restart_plan(&s, false, 0, &plan);
        CHECK(plan.rebuild);
        if (plan.remaining_ns != RESTART_IN_MEMORY)
                plan.remaining_ns = left;
        DO(tracee_rebuild(t, &plan, &err));
        uint64_t start = now_ns();
        DO(tracee_agent_drop(t, &err));
        DO(tracee_set(t, &s, &err));
        DO(tracee_detach(t, &err));
        while (proc_state(p) != 'Z') {
                if (now_ns() - start > 3000 * MS)
                        FAIL("%s does not end", c->name);
                sleep_ms(1);
        }
        uint64_t took = now_ns() - start;
        CHECK(victim_status(p) == 42 << 8);
        if (took < left - 30 * MS || took > left + 150 * MS)
                FAIL("%s took %llu ms, not %llu", c->name, (unsigned long long)(took / MS), (unsigned long long)(left / MS));
}

static void restart_blocks(void)
{
        const struct sleep_case cases[] = {
                { "nanosleep with remainder", SYS_nanosleep, { DATA + 128, DATA + 64 }, 300 * MS, 0 },
                { "nanosleep", SYS_nanosleep, { DATA + 64, 0 }, 300 * MS, 0 },
                { "clock_nanosleep", SYS_clock_nanosleep, { CLOCK_MONOTONIC, 0, DATA + 64, 0 }, 300 * MS, 0 },
                { "futex", SYS_futex, { DATA + 256, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, DATA + 64 }, 300 * MS, -ETIMEDOUT },
                { "poll", SYS_poll, { 0, 0, 700 }, 0, 0 },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                sleeps_on(&cases[i], 300 * MS);
}

/* A rebuilt call that ends at once (futex: the word has changed) hands its result over. */
static void ended_at_once(void)
{
        pid_t p = stub_start();
        struct tracee *t = emptied_stub(p, 16384);
        struct cpu_state s;
        struct restart plan = { .rebuild = true, .nr = SYS_futex, .remaining_ns = 300 * MS,
                                .arg = { DATA + 256, FUTEX_WAIT, 7 } };

        DO(tracee_mem_write(t, CODE, program, sizeof(program), &err));
        DO(tracee_rebuild(t, &plan, &err));
        foreign_state(&s, t);
        s.regs.rax = (unsigned long long)-516;
        s.regs.orig_rax = SYS_futex;
        DO(tracee_set(t, &s, &err));
        DO(tracee_get(t, &s, &err));
        CHECK((int64_t)s.regs.rax == -EAGAIN);
        DO(tracee_agent_drop(t, &err));
        DO(tracee_detach(t, &err));
        CHECK(victim_status(p) == 42 << 8);
}

static void engine_dies(void)
{
        pid_t p = stub_start();
        pid_t engine = fork();
        if (engine == 0) {
                struct tracee *t = emptied_stub(p, 16384);
                (void)t;
                _exit(0);
        }
        int st;
        waitpid(engine, &st, 0);
        CHECK(st == 0);
        st = victim_status(p);
        CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL); /* TRACEE_EXITKILL */
}

int main(int argc, char **argv)
{
        static const struct test tests[] = {
                { "becomes_another", becomes_another }, { "forks", forks }, { "makes_threads", makes_threads },
                { "restart_blocks", restart_blocks }, { "ended_at_once", ended_at_once }, { "engine_dies", engine_dies },
        };
        return run_tests(tests, ELEMENTSOF(tests), argc > 1 ? argv[1] : NULL);
}
