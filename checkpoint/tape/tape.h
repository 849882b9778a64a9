/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tapes: system calls to be run by an actor.
 *
 * A tape is an array of calls with six arguments each, and a data area that is copied with it. An argument is a value,
 * the result of an earlier entry, the address of a place in the data area, or the descriptor of an object, which the
 * session delivers before it plays. All logic is here, none is in the target: it plays the entries in order and stops at
 * the end or at the first error. Tapes of many tasks play at the same time.
 *
 * Building never fails half-way: a bad use (too many arguments, an entry that does not exist, no memory) is sticky and
 * makes play fail with EX_FAIL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum arg_type { ARG_IMM, ARG_RET, ARG_DATA, ARG_FD, ARG_OUT };
struct arg { enum arg_type type; uint64_t v; };
#define A_IMM(x) ((struct arg){ ARG_IMM, (uint64_t)(x) })    /* a value */
#define A_RET(e) ((struct arg){ ARG_RET, (e) })              /* result of entry e */
#define A_DATA(o) ((struct arg){ ARG_DATA, (o) })            /* address of data offset o, in the target */
#define A_FD(id) ((struct arg){ ARG_FD, (id) })              /* the target's descriptor of object id */
#define A_OUT(o) ((struct arg){ ARG_OUT, (o) })              /* the int at data offset o when the entry runs (pipe2, socketpair) */

/* SELF: this process (TCP repair and other steps by the engine's own duplicate). NS: the helper of namespace object id.
 * TASK: process object id, by its leader. THREAD: thread object id. */
enum actor_type { ACTOR_SELF, ACTOR_NS, ACTOR_TASK, ACTOR_THREAD };
struct actor { enum actor_type type; uint64_t id; };

struct tape;
struct tape *tape_new(struct actor who);                     /* NULL: no memory */
void tape_free(struct tape *t);
struct actor tape_actor(const struct tape *t);

/* Copies len bytes into the data area (src NULL: zeroed, an out-buffer), 16-byte aligned. Returns its offset. */
uint32_t tape_data(struct tape *t, const void *src, size_t len);
uint32_t tape_str(struct tape *t, const char *s);
/* At play time the `width` (4 or 8) bytes at data offset `off` become the value of `a` (DATA: an address; FD: a number;
 * IMM). RET and OUT are not possible: data is complete before the first entry runs. */
void tape_reloc(struct tape *t, uint32_t off, unsigned width, struct arg a);

uint32_t tape_call(struct tape *t, long nr, unsigned n, const struct arg args[]);       /* returns the entry's number */
#define TAPE(t, nr, ...)                                                                                     \
        tape_call((t), (nr), (unsigned)(sizeof((struct arg[]){ __VA_ARGS__ }) / sizeof(struct arg)),         \
                  (const struct arg[]){ __VA_ARGS__ })
#define TAPE0(t, nr) tape_call((t), (nr), 0, NULL)
/* This entry's failure with -errno_ok is a result like any other (errno_ok 0: any errno); the tape goes on. */
void tape_may_fail(struct tape *t, uint32_t entry, int errno_ok);
/* The result must be `want`, or play fails (dup3 to a number, write of a length). */
void tape_expect(struct tape *t, uint32_t entry, int64_t want);
/* This entry's result is the descriptor of object id: the session fetches it (pidfd_getfd) after the phase. */
void tape_keep_fd(struct tape *t, uint32_t entry, uint64_t object);
/* The same for the int that this entry writes at data offset off: one end of a pipe2 or socketpair. */
void tape_keep_out(struct tape *t, uint32_t entry, uint32_t off, uint64_t object);
/* Names what the following entries are for, in errors: "open /var/log/nginx/access.log (fd-file 31)". */
void tape_label(struct tape *t, const char *fmt, ...) PRINTF(2, 3);

/* After play. */
int64_t tape_ret(const struct tape *t, uint32_t entry);      /* INT64_MIN: has not run */
const void *tape_out(const struct tape *t, uint32_t off);    /* data area as the target left it */
bool tape_bad(const struct tape *t);
size_t tape_len(const struct tape *t);                       /* entries */

/* For the session: the objects whose descriptors this tape needs, and those it makes. *ret is borrowed. */
struct tape_fd { uint32_t entry; uint64_t object; int fd; }; /* fd: filled after play (keep), -1 before */
size_t tape_needs(const struct tape *t, const uint64_t **ret);
size_t tape_keeps(const struct tape *t, const struct tape_fd **ret);
/* The delivered number of an object's descriptor in the actor; set before play. For a helper it is our own descriptor,
 * which the helper's executor passes along for the length of the play. */
void tape_set_fd(struct tape *t, uint64_t object, int fd);

/* Text of the whole tape, one call a line, for the log executor and golden tests; caller frees. */
char *tape_print(const struct tape *t);

/* Executors play tapes side by side. 0, or <0 with the first failing entry's label, call name and errno in err; entries
 * after it have not run; every tape's results up to there are readable. */
struct executor_ops {
        int (*play)(void *ctx, struct tape *const t[], size_t n, struct err *err);
        void (*done)(void *ctx);
};
struct executor { const struct executor_ops *ops; void *ctx; };
int executor_play(const struct executor *x, struct tape *const t[], size_t n, struct err *err);
void executor_done(struct executor *x);

int executor_self(struct executor *ret, struct err *err);                     /* in this process, by syscall(2) */
/* In a child that enters the namespaces of pidfd (setns, 5.8+), its root and ids 0:0, before the first tape. kept
 * descriptors come back by SCM_RIGHTS and are in tape_keeps() as ours. */
int executor_helper(int pidfd, int nstypes, struct executor *ret, struct err *err);
/* Wraps another: fails entry k (counted over all tapes played) with `sysno` instead of running it; k 0: never. Borrowed. */
int executor_fault(const struct executor *inner, uint64_t k, int sysno, struct executor *ret, struct err *err);
uint64_t executor_fault_count(const struct executor *fault);                   /* entries seen so far */
/* Appends tape_print() of everything to a strbuf; results are invented: 0, or rising descriptor numbers for keep_fd. */
struct strbuf;
int executor_log(struct strbuf *out, struct executor *ret, struct err *err);
