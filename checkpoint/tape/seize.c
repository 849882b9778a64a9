/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread comes under PTRACE_SEIZE, stops, and is let go.
 *
 *      running --seize--> asked --wait--> EVENT_STOP --detach--> running
 *                                          |     ^
 *                        inject, play      v     | settle
 *                                       syscall and signal stops
 *
 * Between two functions of tracee.h a stopped tracee has its own registers and mask, so that our death lets it go on as if nothing
 * had been, and our death in between ends it.
 *
 * Kernel facts (6.18, observed): a stop in a restartable critical section loses rseq_cs while rip is elsewhere, so rip becomes the
 * abort address; a few calls answer EINTR to a mere stop (restart.c), which is hidden at once.
 */
#include "checkpoint/tape/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/timer.h"
#include "base/uapi.h"
#include "checkpoint/tape/tracee-int.h"

#define FIRST_STOP_MS 10000    /* of a thread that a tape made */
#define DETACH_MS 200
#define KILLED_MS 10000

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
        int r = tracee_request_seize(t);
        if (r == -ESRCH)
                return 1;
        if (r == -EPERM)
                return seize_refused(tid, err);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot stop a thread", "thread %d", (int)tid);
        t->seized = true;
        if (tracee_interrupt(t) < 0)
                t->gone = true; /* ended in between: the wait tells */
        *ret = TAKE_PTR(t);
        return 0;
}

/* Inside a restartable sequence the program must go on at its abort address: the kernel forgets the section as soon as it
 * returns to any rip outside, which the first tape does. */
static void abort_rseq(struct tracee *t)
{
        struct rseq_conf c = tracee_rseq(t);
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
        int r = tracee_mask_read(t, err);

        if (r == 0)
                r = tracee_regs_read(t, &t->regs, err);
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

int tracee_adopt(pid_t tid, unsigned flags, struct tracee **ret, struct err *err)
{
        _cleanup_free_ struct tracee *t = tracee_new(tid, flags);

        if (!t)
                return err_sys(err, EX_FAIL, ENOMEM, "cannot adopt a thread", "thread %d", (int)tid);
        if (tid <= 0)
                return err_set(err, EX_FAIL, "cannot adopt a thread", "not a thread's number", "%d", (int)tid);
        t->seized = t->adopted = true;
        int r = tracee_wait(t, FIRST_STOP_MS, err);
        if (r > 0)
                return err_set(err, EX_FAIL, "cannot adopt a thread", "it did not come to its first stop", "thread %d",
                               (int)tid);
        if (r == 0)
                r = tracee_request_options(t, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int tracee_group_stopped(const struct tracee *t)
{
        return t->group_stopped;
}

void tracee_trap_known(struct tracee *t, bool ignored)
{
        t->trap_known = true;
        t->trap_ignored = ignored;
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
        if (tracee_request_detach(t) < 0)
                return 1;
        send_held(t);
        return 0;
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
        tracee_await_ends(t, n, KILLED_MS);
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
        tracee_await_ends(t, n, ms);
        for (size_t i = 0; i < n; i++)
                (void)tracee_detach(TAKE_PTR(t[i]), NULL);
}

int tracee_detach(struct tracee *t, struct err *err)
{
        return tracee_detach_all(&t, 1, err);
}
