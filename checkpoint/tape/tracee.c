/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread under PTRACE_SEIZE: stopping it, its registers, single calls, letting it go. The only file that calls ptrace.
 *
 *      running --seize--> asked --wait--> EVENT_STOP --detach--> running
 *                                          |     ^
 *                        inject, play      v     | settle
 *                                       syscall and signal stops
 *
 * Invariants: (1) between two functions of tracee.h a stopped tracee has its own registers and mask, so that our death
 * lets it go on as if nothing had been, and our death in between ends it; (2) it rests in a stop from which raw registers with rax -512…-516 work:
 * EVENT_STOP or a signal stop, never a syscall-exit stop (CONT from there shows -516 to the program);
 * (3) injected registers have orig_rax -1, or the kernel moves rip back by two.
 *
 * Kernel facts (6.18, observed): INTERRUPT of a group-stopped task, and SIGCONT, leave one more EVENT_STOP that arrives in
 * the middle of the next run and is swallowed; a signal may be delivered before the EVENT_STOP and is passed on; a stop
 * in a restartable critical section loses rseq_cs while rip is elsewhere, so rip becomes the abort address; a few calls
 * answer EINTR to a mere stop (restart.c), which is hidden at once.
 *
 * Not here: where a `syscall` instruction is found (insn.c), the agent (agent.c), what is played (exec_ptrace.c), which call goes on how (restart.c).
 */
#include "checkpoint/tape/tracee.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/timer.h"
#include "base/uapi.h"
#include "checkpoint/tape/tracee-int.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define PTRACE_SET_SUD 0x4210  /* PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */
#define PTRACE_GET_SUD 0x4211
#define PTRACE_RSEQ_CONF 0x420f
#define PTRACE_GET_FILTER 0x420c /* PTRACE_SECCOMP_GET_FILTER, 4.4 */

#define SPIN_NS 100000         /* a stop takes 8–50 us: yielding that long beats sleeping */
#define SLEEP_MAX_NS 1000000
#define CALL_MS 10000          /* an injected call that has not ended by then will not */
#define DETACH_MS 200
#define KILLED_MS 10000
#define X86_TF 0x100u
#define PEEK_BATCH 32

/* Result of ptrace, or -errno. */
static long pt(struct tracee *t, int req, uintptr_t addr, void *data)
{
        long r = ptrace((enum __ptrace_request)req, t->tid, (void *)addr, data);

        return r < 0 ? -errno : r;
}

static int pt_err(struct tracee *t, long r, const char *what, struct err *err)
{
        if (r == -ESRCH)
                return err_sys(err, EX_FAIL, ESRCH, what, "thread %d has ended or is not stopped", (int)t->tid);
        return err_sys(err, EX_FAIL, (int)r, what, "thread %d", (int)t->tid);
}

static unsigned long options(unsigned flags)
{
        return PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP | (flags & TRACEE_EXITKILL ? PTRACE_O_EXITKILL : 0ul);
}

/* A refused SEIZE: 1 for a zombie, else who is in the way. */
static int seize_refused(pid_t tid, struct err *err)
{
        struct proc_kv kv[128];
        size_t n = 0, len;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int procfd = proc_open(tid, NULL);

        if (procfd < 0 || proc_read(procfd, "status", &text, &len, NULL) < 0)
                return 1;
        if (proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, NULL) < 0)
                n = 0;
        const char *state = proc_kv_get(kv, n, "State"), *tracer = proc_kv_get(kv, n, "TracerPid");
        if (state && (state[0] == 'Z' || state[0] == 'X'))
                return 1;
        if (tracer && strcmp(tracer, "0") != 0) {
                err_set(err, EX_BUSY, "cannot stop a thread", "another program traces it", "thread %d", (int)tid);
                return err_remedy(err, "End the debugger with pid %s", tracer);
        }
        err_sys(err, EX_FAIL, EPERM, "cannot stop a thread", "thread %d", (int)tid);
        return err_remedy(err, "This needs CAP_SYS_PTRACE, CAP_SYS_ADMIN and no seccomp filter on the engine itself");
}

static struct tracee *tracee_new(pid_t tid, unsigned flags)
{
        struct tracee *t = calloc(1, sizeof(*t));

        if (t) {
                t->tid = tid;
                t->flags = flags;
        }
        return t;
}

int tracee_seize(pid_t tid, unsigned flags, struct tracee **ret, struct err *err)
{
        _cleanup_free_ struct tracee *t = tracee_new(tid, flags);

        if (!t)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot stop a thread", "thread %d", (int)tid);
        if (tid <= 0)
                return err_set(err, EX_FAIL, "cannot stop a thread", "not a thread's number", "%d", (int)tid);
        long p = pt(t, PTRACE_SEIZE, 0, (void *)options(flags)); // NOLINT: the ABI passes a number here
        if (p == -ESRCH)
                return 1;
        if (p == -EPERM)
                return seize_refused(tid, err);
        if (p < 0)
                return pt_err(t, p, "cannot stop a thread", err);
        t->seized = true;
        p = tracee_interrupt(t);
        if (p < 0)
                t->gone = true; /* ended in between: the wait tells */
        *ret = TAKE_PTR(t);
        return 0;
}

int tracee_adopt(pid_t tid, unsigned flags, struct tracee **ret, struct err *err)
{
        _cleanup_free_ struct tracee *t = tracee_new(tid, flags);

        if (!t)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot adopt a thread", "thread %d", (int)tid);
        if (tid <= 0)
                return err_set(err, EX_FAIL, "cannot adopt a thread", "not a thread's number", "%d", (int)tid);
        t->seized = t->adopted = true;
        int r = tracee_wait(t, CALL_MS, err);
        if (r == 0) {
                long p = pt(t, PTRACE_SETOPTIONS, 0, (void *)options(flags)); // NOLINT
                if (p < 0)
                        r = pt_err(t, p, "cannot adopt a thread", err);
        } else if (r > 0) {
                r = err_set(err, EX_FAIL, "cannot adopt a thread", "it did not come to its first stop", "thread %d",
                            (int)tid);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static void pace(uint64_t waited)
{
        struct timespec ts = { 0 };

        if (waited < SPIN_NS) {
                sched_yield();
                return;
        }
        uint64_t ns = waited / 8;
        ts.tv_nsec = (long)(ns > SLEEP_MAX_NS ? SLEEP_MAX_NS : ns);
        nanosleep(&ts, NULL);
}

static enum stop classify(struct tracee *t, int status, int *ret_sig)
{
        int sig = status & 0xff, event = status >> 8;

        t->stopped = true;
        *ret_sig = sig;
        if (event == PTRACE_EVENT_STOP) {
                t->group_stopped = sig == SIGTRAP ? 0 : sig;
                return STOP_EVENT;
        }
        if (event)
                return STOP_OTHER;
        return sig == (SIGTRAP | 0x80) ? STOP_SYSCALL : STOP_SIGNAL;
}

struct family { pid_t tgid, ppid; };

static bool family_of(pid_t tid, struct family *ret)
{
        struct proc_kv kv[128];
        size_t n = 0, len;
        uint64_t tgid = 0, ppid = 0;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int procfd = proc_open(tid, NULL);

        if (procfd < 0 || proc_read(procfd, "status", &text, &len, NULL) < 0 ||
            proc_status_parse(text, len, kv, ELEMENTSOF(kv), &n, NULL) < 0)
                return false;
        const char *a = proc_kv_get(kv, n, "Tgid"), *b = proc_kv_get(kv, n, "PPid");
        if (!a || !b || parse_u64(a, 0, INT32_MAX, &tgid, NULL) < 0 ||
            parse_u64(b, 0, INT32_MAX, &ppid, NULL) < 0)
                return false;
        *ret = (struct family){ (pid_t)tgid, (pid_t)ppid };
        return true;
}

/* What has ended has to be reaped by its tracer, or its parent cannot: threads, and processes of other parents. A child of ours is
 * left to whoever made it, who wants its status. A leader is not seen before its last thread is reaped, so that looks
 * after it. */
static enum stop ended(struct tracee *t, bool known)
{
        struct family f = { 0, 0 };
        siginfo_t si;

        t->gone = true;
        t->stopped = false;
        if (!known)
                return STOP_GONE;
        bool told = family_of(t->tid, &f), ours = told && f.ppid == getpid();
        if (!ours || f.tgid != t->tid)
                (void)waitid(P_PID, (id_t)t->tid, &si, WEXITED | WNOHANG | __WALL);
        if (told && !ours && f.tgid != t->tid)
                (void)waitid(P_PID, (id_t)f.tgid, &si, WEXITED | WNOHANG | __WALL);
        return STOP_GONE;
}

/* A zombie that is not seen: a leader before its last thread, which reaps it then. */
static bool left_to_parent(struct tracee *t)
{
        struct proc_stat st = { 0 };
        _cleanup_close_ int procfd = proc_open(t->tid, NULL);

        return procfd < 0 || proc_stat_read(procfd, &st, NULL) < 0 || st.state == 'Z';
}

enum stop tracee_next_stop(struct tracee *t, unsigned ms, int *ret_sig)
{
        uint64_t start = now_ns(), waited = 0;

        for (;;) {
                siginfo_t si = { 0 };
                int r = waitid(P_PID, (id_t)t->tid, &si, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL);

                if (r < 0 && errno != EINTR)
                        return ended(t, false);
                if (r == 0 && si.si_pid == t->tid) {
                        if (si.si_code == CLD_EXITED || si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED)
                                return ended(t, true);
                        /* A stop is taken; SIGKILL may have ended it in between. */
                        si.si_pid = 0;
                        r = waitid(P_PID, (id_t)t->tid, &si, WSTOPPED | WNOHANG | __WALL);
                        if (r == 0 && si.si_pid == t->tid)
                                return classify(t, si.si_status, ret_sig);
                        continue;
                }
                if (waited >= ms * UINT64_C(1000000))
                        return STOP_NONE;
                pace(waited);
                waited = now_ns() - start;
        }
}

int tracee_resume(struct tracee *t, enum resume how, int sig)
{
        t->stopped = false;
        return (int)pt(t, how == RESUME_SYSCALL ? PTRACE_SYSCALL : PTRACE_CONT, 0, (void *)(intptr_t)sig); // NOLINT
}

int tracee_interrupt(struct tracee *t)
{
        return (int)pt(t, PTRACE_INTERRUPT, 0, NULL);
}

int tracee_signal_code(struct tracee *t)
{
        siginfo_t si;

        return pt(t, PTRACE_GETSIGINFO, 0, &si) < 0 ? 0 : si.si_code;
}

int tracee_regs_read(struct tracee *t, struct user_regs_struct *ret, struct err *err)
{
        struct iovec iov = { ret, sizeof(*ret) };
        long p = pt(t, PTRACE_GETREGSET, NT_PRSTATUS, &iov);

        return p < 0 ? pt_err(t, p, "cannot read the registers", err) : 0;
}

int tracee_regs_write(struct tracee *t, const struct user_regs_struct *regs, struct err *err)
{
        struct user_regs_struct copy = *regs;
        struct iovec iov = { &copy, sizeof(copy) };
        long p = pt(t, PTRACE_SETREGSET, NT_PRSTATUS, &iov);

        return p < 0 ? pt_err(t, p, "cannot write the registers", err) : 0;
}

static int mask_write(struct tracee *t, uint64_t mask, struct err *err)
{
        long p = pt(t, PTRACE_SETSIGMASK, sizeof(mask), &mask);

        return p < 0 ? pt_err(t, p, "cannot write the signal mask", err) : 0;
}

/* With registers that are not its own a task cannot go on without us: it would run on in the middle of somebody's code with
 * somebody's arguments. So for that long our death is its death, and never a silent corruption. */
static int options_write(struct tracee *t, bool foreign, struct err *err)
{
        if (t->flags & TRACEE_EXITKILL || t->foreign == foreign)
                return 0;
        long p = pt(t, PTRACE_SETOPTIONS, 0, (void *)options(foreign ? t->flags | TRACEE_EXITKILL : t->flags)); // NOLINT
        if (p < 0)
                return pt_err(t, p, "cannot set options of a thread", err);
        t->foreign = foreign;
        return 0;
}

int tracee_own(struct tracee *t, struct err *err)
{
        int r = tracee_regs_write(t, &t->regs, err);

        if (r == 0)
                r = mask_write(t, t->sigmask, err);
        return r < 0 ? r : options_write(t, false, err);
}

int tracee_foreign(struct tracee *t, const struct user_regs_struct *regs, uint64_t mask, struct err *err)
{
        int r = options_write(t, true, err);

        if (r == 0)
                r = tracee_regs_write(t, regs, err);
        return r < 0 ? r : mask_write(t, mask, err);
}

static int mem_open(struct tracee *t, int flags, struct err *err)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->tid);
        int fd = sys_openat(AT_FDCWD, path, flags, 0);
        return fd < 0 ? err_sys(err, EX_FAIL, fd, "cannot open a thread's memory", "thread %d", (int)t->tid) : fd;
}

int tracee_mem_read(struct tracee *t, uint64_t addr, void *buf, size_t n, struct err *err)
{
        size_t got = 0;
        _cleanup_close_ int fd = mem_open(t, O_RDONLY, err);

        if (fd < 0)
                return fd;
        int r = fd_pread_full(fd, buf, n, (off_t)addr, &got, err);
        if (r < 0)
                return err_wrap(err, "cannot read a thread's memory", "thread %d, 0x%llx", (int)t->tid,
                                (unsigned long long)addr);
        if (got < n)
                return err_set(err, EX_FAIL, "cannot read a thread's memory", "it is not mapped", "thread %d, 0x%llx",
                               (int)t->tid, (unsigned long long)addr);
        return 0;
}

int tracee_mem_write(struct tracee *t, uint64_t addr, const void *buf, size_t n, struct err *err)
{
        _cleanup_close_ int fd = mem_open(t, O_RDWR, err);

        if (fd < 0)
                return fd;
        int r = fd_pwrite_full(fd, buf, n, (off_t)addr, err);
        if (r < 0)
                return err_wrap(err, "cannot write a thread's memory", "thread %d, 0x%llx", (int)t->tid,
                                (unsigned long long)addr);
        return 0;
}

struct rseq_conf { uint64_t ptr; uint32_t size, sig, flags, pad; };

static struct rseq_conf rseq_conf(struct tracee *t)
{
        struct rseq_conf c = { 0 };

        if (pt(t, PTRACE_RSEQ_CONF, sizeof(c), &c) < 0)
                c = (struct rseq_conf){ 0 };
        return c;
}

bool tracee_peek(struct tracee *t, uint64_t addr, void *buf, size_t n)
{
        return sys_process_vm_readv(t->tid, buf, n, addr) == (int64_t)n;
}

/* Inside a restartable sequence the program must go on at its abort address: the kernel forgets the section as soon as it
 * returns to any rip outside, which the first tape does. */
static void abort_rseq(struct tracee *t)
{
        struct rseq_conf c = rseq_conf(t);
        struct { uint32_t version, flags; uint64_t start, length, abort; } cs;
        uint64_t at = 0;

        if (!c.ptr || !tracee_peek(t, c.ptr + 8, &at, sizeof(at)) || !at || !tracee_peek(t, at, &cs, sizeof(cs)))
                return;
        if (t->regs.rip - cs.start < cs.length)
                t->regs.rip = cs.abort;
}

/* A descriptor of the thread; before 6.9 of leaders only. */
static int thread_pidfd(struct tracee *t)
{
        int fd = sys_pidfd_open(t->tid, PIDFD_THREAD);

        return fd < 0 ? sys_pidfd_open(t->tid, 0) : fd;
}

/* Is the descriptor a socket whose receive calls have a time limit? */
static bool has_rcvtimeo(struct tracee *t, int fd)
{
        struct timeval tv = { 0 };
        socklen_t len = sizeof(tv);
        _cleanup_close_ int pidfd = thread_pidfd(t);

        if (pidfd < 0)
                return false;
        _cleanup_close_ int dup = sys_pidfd_getfd(pidfd, fd);
        return dup >= 0 && getsockopt(dup, SOL_SOCKET, SO_RCVTIMEO, &tv, &len) == 0 && (tv.tv_sec || tv.tv_usec);
}

static int first_stop(struct tracee *t, struct err *err)
{
        uint8_t code[48];
        long p = pt(t, PTRACE_GETSIGMASK, sizeof(t->sigmask), &t->sigmask);

        if (p < 0)
                return pt_err(t, p, "cannot read the signal mask", err);
        int r = tracee_regs_read(t, &t->regs, err);
        if (r < 0)
                return r;
        t->seen = true;
        t->raw_rax = t->regs.rax;
        if (t->adopted)
                return 0;
        abort_rseq(t);
        int64_t rax = (int64_t)t->regs.rax;
        if (rax == -516 && t->regs.orig_rax == SYS_restart_syscall && t->regs.rip > sizeof(code) &&
            tracee_peek(t, t->regs.rip - sizeof(code), code, sizeof(code))) {
                long nr = restart_true_nr(&t->regs, code, sizeof(code));
                if (nr >= 0)
                        t->regs.orig_rax = (unsigned long long)nr;
        }
        if (rax == -4 && restart_hides_eintr((long)t->regs.orig_rax, t->regs.rsi, true) &&
            (restart_hides_eintr((long)t->regs.orig_rax, t->regs.rsi, false) || has_rcvtimeo(t, (int)t->regs.rdi))) {
                t->regs.rax = (unsigned long long)-514;
                return tracee_regs_write(t, &t->regs, err);
        }
        return 0;
}

int tracee_wait(struct tracee *t, unsigned ms, struct err *err)
{
        uint64_t end = now_ns() + ms * UINT64_C(1000000);
        int sig = 0;

        while (!t->stopped) {
                uint64_t now = now_ns();
                switch (tracee_next_stop(t, now < end ? (unsigned)((end - now + 999999) / 1000000) : 0, &sig)) {
                case STOP_GONE:
                        return 2;
                case STOP_NONE:
                        return 1;
                case STOP_EVENT:
                        break;
                case STOP_SIGNAL:
                        tracee_resume(t, RESUME_CONT, sig);
                        break;
                case STOP_SYSCALL:
                case STOP_OTHER:
                default:
                        tracee_resume(t, RESUME_CONT, 0);
                        break;
                }
        }
        int r = t->seen ? 0 : first_stop(t, err);
        if (r < 0 && err && err->sys == ESRCH) {
                t->gone = true; /* killed while we looked */
                return 2;
        }
        return r;
}

int tracee_group_stopped(const struct tracee *t)
{
        return t->group_stopped;
}

pid_t tracee_tid(const struct tracee *t)
{
        return t->tid;
}

/* A SIGTRAP that somebody sent while the agent ran. Its sender's data is lost: the kernel takes it from the sender alone. */
static void send_held(struct tracee *t)
{
        _cleanup_close_ int pidfd = t->trap_held ? thread_pidfd(t) : -1;

        if (pidfd >= 0)
                (void)sys_pidfd_send_signal(pidfd, SIGTRAP, 0);
        t->trap_held = false;
}

static void forget(struct tracee *t)
{
        if (t->agent && --t->agent->refs == 0)
                free(t->agent);
        free(t);
}

/* 0, 1 killed: still to be reaped, <0. */
static int let_go(struct tracee *t, struct err *err)
{
        if (!t->gone && !t->stopped && tracee_wait(t, DETACH_MS, err) == 1)
                return err_set(err, EX_BUSY, "cannot let a thread go", "it does not come to a stop", "thread %d",
                               (int)t->tid);
        if (!t->stopped)
                return 0;
        tracee_sud(t, false);
        if (pt(t, PTRACE_DETACH, 0, NULL) < 0)
                return 1;
        send_held(t);
        return 0;
}

/* Those that were killed are reaped side by side, because they may wait for each other: a leader for its threads, the last thread
 * of an init for every task of its pid namespace. */
static void await_ends(struct tracee *t[], size_t n, unsigned ms)
{
        uint64_t start = now_ns(), waited = 0;
        bool left = true;
        int sig = 0;

        while (left && waited < ms * UINT64_C(1000000)) {
                left = false;
                for (size_t i = 0; i < n; i++) {
                        if (!t[i] || t[i]->gone)
                                continue;
                        enum stop s = tracee_next_stop(t[i], 0, &sig);
                        if (s != STOP_GONE && s != STOP_NONE)
                                tracee_resume(t[i], RESUME_CONT, 0);
                        bool zombie = s != STOP_GONE && left_to_parent(t[i]);
                        if (zombie) /* perhaps only since we looked: then it is ours to reap */
                                s = tracee_next_stop(t[i], 0, &sig);
                        left = left || (s != STOP_GONE && !zombie);
                }
                pace(waited);
                waited = now_ns() - start;
        }
}

int tracee_detach_all(struct tracee *t[], size_t n, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                int q = t[i] ? let_go(t[i], r < 0 ? NULL : err) : 0;
                if (t[i] && q != 1) {
                        forget(t[i]);
                        t[i] = NULL;
                }
                r = q < 0 && r == 0 ? q : r;
        }
        await_ends(t, n, KILLED_MS);
        for (size_t i = 0; i < n; i++) {
                if (t[i])
                        forget(t[i]);
                t[i] = NULL;
        }
        return r;
}

void tracee_end(struct tracee *t[], size_t n, unsigned ms)
{
        for (size_t i = 0; i < n; i++)
                if (t[i])
                        t[i]->stopped = false; /* SIGKILL has woken it */
        await_ends(t, n, ms);
        for (size_t i = 0; i < n; i++)
                (void)tracee_detach(TAKE_PTR(t[i]), NULL);
}

int tracee_detach(struct tracee *t, struct err *err)
{
        return tracee_detach_all(&t, 1, err);
}

int tracee_get(struct tracee *t, struct cpu_state *ret, struct err *err)
{
        struct iovec iov = { ret->xstate, sizeof(ret->xstate) };
        long p = pt(t, PTRACE_GETREGSET, NT_X86_XSTATE, &iov);

        if (p < 0)
                return pt_err(t, p, "cannot read the extended registers", err);
        struct rseq_conf c = rseq_conf(t);
        ret->xstate_len = (uint32_t)iov.iov_len;
        ret->regs = t->regs;
        ret->regs.rax = t->raw_rax;
        ret->sigmask = t->sigmask;
        ret->left_known = t->left_known;
        ret->left_ns = t->left_ns;
        ret->rseq_ptr = c.ptr;
        ret->rseq_size = c.size;
        ret->rseq_sig = c.sig;
        return 0;
}

int tracee_set(struct tracee *t, const struct cpu_state *s, struct err *err)
{
        t->regs = s->regs;
        t->sigmask = s->sigmask;
        if (t->ended_set && (int64_t)t->regs.rax == -516) {
                t->regs.rax = (unsigned long long)t->ended_rax;
                t->regs.orig_rax = UINT64_MAX;
        }
        t->raw_rax = t->regs.rax;
        if (s->xstate_len > sizeof(s->xstate))
                return err_set(err, EX_IMAGE, "cannot set the registers", "the extended state is too long", "thread %d",
                               (int)t->tid);
        if (s->xstate_len) {
                struct cpu_state *copy = malloc(sizeof(*copy)); /* the kernel's interface takes no const */
                if (!copy)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot set the registers", "thread %d", (int)t->tid);
                memcpy(copy->xstate, s->xstate, s->xstate_len);
                struct iovec iov = { copy->xstate, s->xstate_len };
                long p = pt(t, PTRACE_SETREGSET, NT_X86_XSTATE, &iov);
                free(copy);
                if (p < 0)
                        return pt_err(t, p, "cannot write the extended registers", err);
        }
        return tracee_own(t, err);
}

int tracee_pending(struct tracee *t, bool shared, siginfo_t **ret, size_t *ret_n, struct err *err)
{
        struct { uint64_t off; uint32_t flags; int32_t nr; } arg = { 0, shared ? 1u : 0u, PEEK_BATCH };
        _cleanup_free_ siginfo_t *si = NULL;
        size_t n = 0;

        for (;;) {
                siginfo_t *more = realloc(si, (n + PEEK_BATCH) * sizeof(*si));
                if (!more)
                        return err_sys(err, EX_FAIL, ENOMEM, "cannot read pending signals", "thread %d", (int)t->tid);
                si = more;
                arg.off = n;
                long p = pt(t, PTRACE_PEEKSIGINFO, (uintptr_t)&arg, si + n);
                if (p < 0)
                        return pt_err(t, p, "cannot read pending signals", err);
                n += (size_t)p;
                if (p < PEEK_BATCH)
                        break;
        }
        *ret = TAKE_PTR(si);
        *ret_n = n;
        return 0;
}

/* The kernel numbers filters from the oldest; counts by asking until there is none. */
int tracee_filters(struct tracee *t, size_t *ret_n, struct err *err)
{
        size_t n = 0;

        for (;; n++) {
                long p = pt(t, PTRACE_GET_FILTER, n, NULL);
                if (p == -ENOENT || (p == -EINVAL && n == 0))
                        break; /* EINVAL: no filters at all */
                if (p < 0 && p != -EMEDIUMTYPE)
                        return pt_err(t, p, "cannot count the seccomp filters", err);
        }
        *ret_n = n;
        return 0;
}

int tracee_filter(struct tracee *t, size_t index, void **ret, size_t *ret_insns, struct err *err)
{
        size_t n = 0;
        int r = tracee_filters(t, &n, err);

        if (r < 0)
                return r;
        if (index >= n)
                return err_set(err, EX_FAIL, "cannot read a seccomp filter", "there is none of that number",
                               "thread %d, filter %zu", (int)t->tid, index);
        long len = pt(t, PTRACE_GET_FILTER, n - 1 - index, NULL);
        if (len < 0)
                return pt_err(t, len, "cannot read a seccomp filter", err);
        _cleanup_free_ struct sock_filter *f = calloc((size_t)len + 1, sizeof(*f));
        if (!f)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot read a seccomp filter", "thread %d", (int)t->tid);
        len = pt(t, PTRACE_GET_FILTER, n - 1 - index, f);
        if (len < 0)
                return pt_err(t, len, "cannot read a seccomp filter", err);
        *ret = TAKE_PTR(f);
        *ret_insns = (size_t)len;
        return 0;
}

int tracee_lost(struct tracee *t, const char *what, struct err *err)
{
        if (t->gone)
                return err_sys(err, EX_FAIL, ESRCH, what, "thread %d has ended", (int)t->tid);
        return err_set(err, EX_BUSY, what, "it makes no progress (frozen cgroup, or blocked)", "thread %d", (int)t->tid);
}

int tracee_settle(struct tracee *t, struct err *err)
{
        int sig = 0;

        if (t->stopped) {
                if (tracee_interrupt(t) < 0 || tracee_resume(t, RESUME_CONT, 0) < 0)
                        t->stopped = false;
        } else {
                tracee_interrupt(t);
        }
        for (;;) {
                switch (tracee_next_stop(t, CALL_MS, &sig)) {
                case STOP_EVENT:
                        return 0;
                case STOP_GONE:
                case STOP_NONE:
                        return tracee_lost(t, "cannot stop a thread", err);
                case STOP_SIGNAL:
                        tracee_resume(t, RESUME_CONT, sig == SIGTRAP ? 0 : sig);
                        break;
                case STOP_SYSCALL:
                case STOP_OTHER:
                default:
                        tracee_resume(t, RESUME_CONT, 0);
                        break;
                }
        }
}

void tracee_sud(struct tracee *t, bool off)
{
        uint64_t none[4] = { 0 };

        if (off && !t->sud[0] && pt(t, PTRACE_GET_SUD, sizeof(t->sud), t->sud) < 0)
                memset(t->sud, 0, sizeof(t->sud));
        if (!t->sud[0])
                return;
        (void)pt(t, PTRACE_SET_SUD, sizeof(none), off ? none : t->sud);
        if (!off)
                memset(t->sud, 0, sizeof(t->sud));
}

bool tracee_has_sud(struct tracee *t)
{
        uint64_t now[4] = { 0 };

        return t->sud[0] || (pt(t, PTRACE_GET_SUD, sizeof(now), now) == 0 && now[0]);
}

int tracee_to_syscall_stop(struct tracee *t, struct err *err)
{
        int sig = 0;

        for (;;) {
                tracee_resume(t, RESUME_SYSCALL, sig);
                sig = 0;
                switch (tracee_next_stop(t, CALL_MS, &sig)) {
                case STOP_SYSCALL:
                        return 0;
                case STOP_GONE:
                case STOP_NONE:
                        return tracee_lost(t, "cannot run a call in a thread", err);
                case STOP_SIGNAL: /* all are blocked but SIGSTOP: it takes effect, and the next EVENT_STOP is passed over */
                        if (sig == SIGSEGV || sig == SIGILL || sig == SIGBUS)
                                return err_set(err, EX_FAIL, "cannot run a call in a thread",
                                               "there is no system call instruction at that address", "thread %d",
                                               (int)t->tid);
                        break;
                case STOP_EVENT:
                case STOP_OTHER:
                default:
                        sig = 0;
                        break;
                }
        }
}

static int inject_here(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        struct user_regs_struct regs = t->regs;

        regs.rip = insn;
        regs.rax = (unsigned long long)nr;
        regs.rdi = arg[0];
        regs.rsi = arg[1];
        regs.rdx = arg[2];
        regs.r10 = arg[3];
        regs.r8 = arg[4];
        regs.r9 = arg[5];
        regs.orig_rax = UINT64_MAX;
        regs.eflags &= ~(unsigned long long)X86_TF;
        int r = tracee_foreign(t, &regs, MASK_ALL, err);
        for (int i = 0; r == 0 && i < 2; i++)
                r = tracee_to_syscall_stop(t, err); /* entry, exit */
        if (r == 0)
                r = tracee_regs_read(t, &regs, err);
        if (r == 0 && (regs.rip != insn + 2 || regs.orig_rax != (unsigned long long)nr))
                r = err_set(err, EX_FAIL, "cannot run a call in a thread", "it stopped elsewhere", "thread %d, 0x%llx",
                            (int)t->tid, (unsigned long long)regs.rip);
        if (r == 0)
                *ret = (int64_t)regs.rax;
        return r;
}

int tracee_inject(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err)
{
        int r = inject_here(t, insn, nr, arg, ret, err);

        if (t->gone)
                return r;
        int s = tracee_settle(t, r < 0 ? NULL : err);
        if (s == 0)
                s = tracee_own(t, r < 0 ? NULL : err);
        return r < 0 ? r : s;
}
