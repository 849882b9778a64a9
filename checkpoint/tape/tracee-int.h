/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a tracee, for the files of this folder alone. By layers, the lowest first: a file calls what stands above its own part here. */
#pragma once

#include "checkpoint/tape/tracee.h"

/* One copy of the agent's code in one mm. The tape area of the tracee that brought it lies right behind it. */
struct agent_map {
        uint64_t code;
        unsigned refs;
        bool trap_ignored;               /* SIGTRAP is SIG_IGN in the program: each int3 resets it to SIG_DFL */
        uint64_t trap_action[4];         /* the kernel's struct sigaction: handler, flags, restorer, mask */
};

struct tracee {
        pid_t tid;
        unsigned flags;
        bool seized, stopped, gone;
        int group_stopped;               /* by this signal; 0: it is not */
        bool seen;                       /* a first stop was seen: regs and sigmask hold */
        struct user_regs_struct regs;    /* what it goes on with */
        bool trap_known, trap_ignored;   /* tracee_trap_known() */
        uint64_t raw_rax;                /* rax as found, before a spurious EINTR was hidden */
        uint64_t sigmask;
        bool left_known;                 /* sleepers_read() */
        uint64_t left_ns;
        bool adopted;
        bool foreign;                    /* registers that are not its own, and so PTRACE_O_EXITKILL */
        bool ended_set;                  /* a rebuilt call ended at once: its result stands for rax -516 */
        int64_t ended_rax;

        struct agent_map *agent;
        uint64_t fixed;
        uint64_t tape, tape_len;
        size_t run;                      /* exec_ptrace.c: of the round that is being gathered, number + 1 */
        bool trap_held;                  /* somebody's SIGTRAP met the agent: sent again at detach */
        uint64_t sud[4];                 /* syscall user dispatch: mode, selector, offset, length */
};

/* Signal masks while the engine's code runs: an int3 must get through, or its disposition is reset (force_sig). */
#define MASK_AGENT (~(UINT64_C(1) << (SIGTRAP - 1)))
#define MASK_ALL (~UINT64_C(0))

/* ---- restart.c: pure ---- */

/* The system call that a restart_syscall (219) stands for, told by the program's code before rip and its arguments; -1. */
long restart_true_nr(const struct user_regs_struct *regs, const uint8_t *code, size_t n);
/* rax = -4 of a call that a stop interrupts although no signal came, and that may be started again. */
bool restart_hides_eintr(long nr, uint64_t arg1, bool so_rcvtimeo);
/* What is left of a time, and a time in whole milliseconds. */
uint64_t restart_less(uint64_t ns, uint64_t slept);
uint64_t restart_ms(uint64_t ns);

/* ---- memory.c (and tracee_mem_read, tracee_mem_write) ---- */

/* Small reads without a descriptor; false where the program has nothing there. */
bool tracee_peek(struct tracee *t, uint64_t addr, void *buf, size_t n);

/* ---- tracee.c: requests of ptrace(2) ---- */

/* Of a thread: 0, or -errno. */
int tracee_request_seize(struct tracee *t);
int tracee_request_detach(struct tracee *t);
int tracee_request_options(struct tracee *t, struct err *err);
enum resume { RESUME_CONT, RESUME_SYSCALL };
int tracee_resume(struct tracee *t, enum resume how, int sig);
int tracee_interrupt(struct tracee *t);
/* si_code of the signal it is about to get; 0 if that cannot be read. */
int tracee_signal_code(struct tracee *t);
int tracee_regs_read(struct tracee *t, struct user_regs_struct *ret, struct err *err);
int tracee_regs_write(struct tracee *t, const struct user_regs_struct *regs, struct err *err);
int tracee_mask_read(struct tracee *t, struct err *err);
/* The program's own registers and mask, and others: while these are in, the task dies with us (TRACEE_EXITKILL). */
int tracee_own(struct tracee *t, struct err *err);
int tracee_foreign(struct tracee *t, const struct user_regs_struct *regs, uint64_t mask, struct err *err);
/* All 0: none is registered, or the kernel does not tell (before 5.13). */
struct rseq_conf { uint64_t ptr; uint32_t size, sig, flags, pad; };
struct rseq_conf tracee_rseq(struct tracee *t);
/* Syscall user dispatch off while the agent works, and on again. Unknown to kernels before 6.4. */
void tracee_sud(struct tracee *t, bool off);

/* ---- stops.c ---- */

enum stop {
        STOP_GONE,       /* ended */
        STOP_EVENT,      /* PTRACE_EVENT_STOP: INTERRUPT, group-stop, SIGCONT */
        STOP_SYSCALL,    /* entry or exit */
        STOP_SIGNAL,     /* about to get *ret_sig */
        STOP_OTHER,
        STOP_NONE        /* not within the time */
};
enum stop tracee_next_stop(struct tracee *t, unsigned ms, int *ret_sig);
/* From whatever stop to an EVENT_STOP without a user instruction. */
int tracee_settle(struct tracee *t, struct err *err);
void tracee_settle_begin(struct tracee *t);                 /* the same in two halves, for many at a time */
int tracee_settle_end(struct tracee *t, struct err *err);
/* Waits for the next syscall stop of one that runs towards it, over whatever else comes; or lets it run first. */
int tracee_syscall_stop(struct tracee *t, struct err *err);
int tracee_to_syscall_stop(struct tracee *t, struct err *err);
/* In the middle of a failed injection or play: no more stops are expected of it. */
int tracee_lost(struct tracee *t, const char *what, struct err *err);
/* Those that were killed are reaped side by side, because they may wait for each other: a leader for its threads, the last thread
 * of an init for every task of its pid namespace. */
void tracee_await_ends(struct tracee *t[], size_t n, unsigned ms);

/* ---- inject.c, insn.c ---- */

/* Calls at the `syscall` instructions `insn` of different threads, side by side, by two syscall stops each: no SIGTRAP involved.
 * Result and what became of each in it; the first error is returned. Own registers after, unless `more`: then those whose call has
 * run stand behind it, and their next injection has to follow. */
struct injection { struct tracee *in; uint64_t insn; long nr; uint64_t arg[6]; int64_t ret; int r; };
int tracee_inject_all(struct injection c[], size_t n, bool more, struct err *err);
/* The same for one, and nothing follows. */
int tracee_inject(struct tracee *t, uint64_t insn, long nr, const uint64_t arg[6], int64_t *ret, struct err *err);
/* A `syscall` instruction of the target outside of the agent. */
int tracee_find_syscall(struct tracee *t, uint64_t *ret, struct err *err);

/* ---- agent.c; agents.c above it ---- */

static inline uint64_t agent_pages(uint64_t n)
{
        return (n + 4095) & ~UINT64_C(4095);
}
/* The code lies before this one's tape area, in one range. */
bool agent_owns_code(const struct tracee *t);
/* Code and tape area are mapped: it has its agent from here on. */
int agent_placed(struct tracee *t, uint64_t code, uint64_t tape_len, struct err *err);
/* What it had is unmapped. */
void agent_forget(struct tracee *t);
/* Address of the agent's own `syscall` instruction. */
uint64_t agent_insn(const struct tracee *t);
/* Makes the tape area at least `bytes` long. */
int agent_room(struct tracee *t, size_t bytes, struct err *err);
/* After the int3s of a play: the program's SIG_IGN of SIGTRAP back. */
int agent_mend(struct tracee *t, struct err *err);
