/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of other processes under PTRACE_SEIZE: stop, look, play tapes, let go. ptrace( occurs in tracee.c alone, and
 * one thread of ours makes all calls here (ptrace belongs to a thread).
 *
 * Facts that this rests on are in docs/ARCHITECTURE.md, "Stopping and going on": which stops swallow a call, what
 * a restored rax of -512/-514/-516/-4 does, why SIGTRAP stays unblocked, what happens to rseq.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include "base/err.h"
#include "checkpoint/tape/tape.h"

struct tracee;

#define XSTATE_MAX 16384
struct cpu_state {
        struct user_regs_struct regs;
        uint64_t sigmask;
        uint64_t rseq_ptr;
        uint32_t rseq_size, rseq_sig;
        bool left_known;             /* rax is -516 and sleepers_read() has told when the call would have ended: */
        uint64_t left_ns;            /* so much later than that */
        uint32_t xstate_len;
        uint8_t xstate[XSTATE_MAX];
};

#define TRACEE_EXITKILL 1u          /* the target dies with us: restore until PARK; never at dump */
/* SEIZE + INTERRUPT; does not wait. PTRACE_O_SUSPEND_SECCOMP is set. 1: gone or a zombie. EX_BUSY: traced by another. */
int tracee_seize(pid_t tid, unsigned flags, struct tracee **ret, struct err *err);
/* A thread that a tape's clone3(CLONE_PTRACE) made: already seized, waits for its first stop. */
int tracee_adopt(pid_t tid, unsigned flags, struct tracee **ret, struct err *err);
/* 0 stopped, 1 not within ms (D state, vfork parent), 2 gone. Signal-delivery-stops on the way are re-injected. A process that
 * has ended is reaped as far as its tracer must; the status of a child of ours is left to its waiter. */
int tracee_wait(struct tracee *t, unsigned ms, struct err *err);
/* The signal that has stopped its process (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU); 0: none, when it came to its last stop. */
int tracee_group_stopped(const struct tracee *t);
pid_t tracee_tid(const struct tracee *t);
/* Lets go with whatever registers were last set; the original ones if nothing was. Frees. NULL allowed. Idempotent over
 * a dead target. */
int tracee_detach(struct tracee *t, struct err *err);
/* After a SIGKILL to all of them: reaps each as it ends and frees it. In rounds, because the last thread of a pid namespace's
 * init ends only when all others there are reaped, also those that nobody but their tracer can reap. What has not ended
 * after ms is let go of like any other. */
void tracee_end(struct tracee *t[], size_t n, unsigned ms);
/* tracee_detach() for many, some NULL; the array is NULL after. Those that were killed meanwhile are reaped together. */
int tracee_detach_all(struct tracee *t[], size_t n, struct err *err);

/* State at the first stop, as the program would go on with it. get: original registers also after tapes were played. */
int tracee_get(struct tracee *t, struct cpu_state *ret, struct err *err);
int tracee_set(struct tracee *t, const struct cpu_state *s, struct err *err);
/* Pending signals in queue order (PTRACE_PEEKSIGINFO), of the thread or shared by the process. Caller frees. */
int tracee_pending(struct tracee *t, bool shared, siginfo_t **ret, size_t *ret_n, struct err *err);

/* The process (one thread, an agent) ends with a status as wait(2) tells it, an exit code or a signal without a core dump, and is
 * left to its parent. Waits until it has ended. Frees, also on failure. */
int tracee_exit(struct tracee *t, int status, struct err *err);

/* The process (one thread, an agent) stops as by job control with this signal, whose disposition is SIG_DFL. It stays under our
 * control, plays tapes, and stops in earnest when it is let go. Its parent is told. */
int tracee_group_stop(struct tracee *t, int sig, struct err *err);

/* Seccomp filters of the thread, newest first (PTRACE_SECCOMP_GET_FILTER): how many, and one as sock_filter array; caller frees. */
int tracee_filters(struct tracee *t, size_t *ret_n, struct err *err);
int tracee_filter(struct tracee *t, size_t index, void **ret, size_t *ret_insns, struct err *err);

/* The thread has syscall user dispatch switched on. Before 6.4 ptrace does not tell (told: false), and cannot suspend it for a tape. */
bool tracee_has_sud(struct tracee *t, bool *ret_told);

/* The agent: code r-x and tape rw- in the target (two mappings, so that MDWE tasks accept it), `tape_bytes` of tape.
 * fixed 0: where the kernel likes. Threads of one mm share the code: give the first thread's tracee as `share` (NULL: none).
 * The signal mask is all-blocked but SIGTRAP while installed. */
int tracee_agent(struct tracee *t, const struct tracee *share, uint64_t fixed, size_t tape_bytes, struct err *err);
/* The same for many, side by side; one whose threads share an mm takes the code of the first of them (`share`: its place in t, or
 * its own). 16 KiB of tape each. *ret_which: whose agent could not be brought. */
int tracee_agents(struct tracee *const t[], const size_t share[], size_t n, size_t *ret_which, struct err *err);
/* Told beforehand, it need not be read: the process ignores SIGTRAP, or not. */
void tracee_trap_known(struct tracee *t, bool ignored);
/* Where the agent's mappings are; to be left out of any dump. 0 length: none. */
void tracee_agent_range(const struct tracee *t, uint64_t *ret_start, uint64_t *ret_len);
/* Unmaps it (the last sharer), original registers and mask back. Idempotent; part of the cure. */
int tracee_agent_drop(struct tracee *t, struct err *err);
/* The same for many, some NULL, side by side; threads stand behind the first of their process. Goes on after an error. */
int tracee_agents_drop(struct tracee *const t[], size_t n, struct err *err);
/* Tells that a forked child (clone3 by tape) has a copy of parent's agent at the same addresses. */
int tracee_agent_inherit(struct tracee *child, const struct tracee *parent, struct err *err);
/* Bytes in the target through /proc/TID/mem: any protection. */
int tracee_mem_read(struct tracee *t, uint64_t addr, void *buf, size_t n, struct err *err);
int tracee_mem_write(struct tracee *t, uint64_t addr, const void *buf, size_t n, struct err *err);

/* Plays tapes in stopped tracees with an agent, all at the same time; `find` gives an actor's tracee (NULL: an error).
 * A tape larger than the agent's area is given a larger one by the way. Original registers are back after each play. */
int executor_ptrace(struct tracee *(*find)(void *ctx, struct actor who), void *ctx, struct executor *ret, struct err *err);

/*
 * Going on in the right way. A dumped state says with rax = -4/-512/-514/-516 that the program sleeps in a system call.
 * restart_plan() turns it into what a *fresh* task needs: rax rewritten so that the call restarts (the EINTR list of
 * epoll_wait, semop, sigtimedwait …), timeouts in registers shortened by `slept_ns` (0 when unknown), or `rebuild` set
 * when only a rebuilt restart block does (nanosleep, relative clock_nanosleep, futex, poll), to be made by tracee_rebuild().
 * remaining_ns is the state's left_ns where that is known. RESTART_IN_MEMORY: the time lies in the program's memory, read when
 * it is rebuilt (what the kernel left in nanosleep's second argument, else the whole time less slept_ns).
 */
#define RESTART_IN_MEMORY UINT64_MAX
struct restart { bool rebuild; long nr; uint64_t arg[6]; uint64_t remaining_ns, slept_ns; };
void restart_plan(struct cpu_state *s, bool so_rcvtimeo, uint64_t slept_ns, struct restart *ret);
/* Starts the call in the target with the remaining time in its tape area, waits until it sleeps, interrupts. The state set
 * afterwards by tracee_set() with rax = -516 then goes on to its deadline; where the call ended at once, tracee_set() puts
 * its result instead. The agent may be dropped in between. */
int tracee_rebuild(struct tracee *t, const struct restart *r, struct err *err);

/* The stub: a static program of a few instructions that sleeps; what a restored task is before it is that task.
 * A sealed memfd to execveat(AT_EMPTY_PATH). It needs no library and touches no descriptor. */
int stub_open(struct err *err);
/* Size and instruction count of the agent, for reports. */
void agent_size(size_t *ret_bytes, unsigned *ret_instructions);
