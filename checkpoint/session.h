/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session is one dump or one restore of one subject. It knows process trees, not containers: what only the caller
 * can provide comes through `outside_ops`. States and invariants are drawn in checkpoint/dump.c and checkpoint/restore.c.
 *
 * One thread of the caller makes all calls of one session (ptrace belongs to a thread).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/idmap.h"
#include "base/log.h"
#include "base/procfs.h"
#include "base/timer.h"
#include "checkpoint/pages.h"
#include "checkpoint/tape/sleepers.h"
#include "proto/record.h"

struct outside_ops {
        /* A mount that the caller made and will make again (the image's root, /dev, a bind of the boot id): 1 and its name
         * ("root", "dev", "bind:boot_id"), 0 when it is not the caller's. Pure. */
        int (*claim_mount)(void *ctx, const struct mountinfo *m, char ret_name[64]);
        /* The thing behind an external name: a detached mount for mounts, a descriptor for others. */
        int (*open_external)(void *ctx, const char *name, int *ret_fd, struct err *err);
        /* The console's master, made by the restore in the container's own devpts; the caller takes the descriptor. */
        int (*console)(void *ctx, int master_fd, struct err *err);
        /* The packet block on the node's side of the container's links. Idempotent. */
        int (*network)(void *ctx, bool blocked, struct err *err);
        /* The engine's own seccomp filter as it is loaded for a start (struct sock_filter array); compared at dump, loaded by
         * tape at restore. 1: none. */
        int (*seccomp)(void *ctx, const void **ret_insns, size_t *ret_n, struct err *err);
        /* The container's ownership has durably been offered to another node: 1; the guard then leaves it frozen. */
        int (*offered)(void *ctx);
};

struct subject {
        int init_pidfd;               /* the tree's init; restore: the stub */
        int cgroup_fd;                /* its v2 cgroup directory (the payload), for freezing and membership */
        int root_fd;                  /* its root directory as seen by the caller, or -1 */
        const struct idmap *ids;      /* NULL: no user namespace of its own */
        int console_index;            /* devpts index of the console whose master the caller holds, or -1 */
        uint64_t caps;                /* capability bounding set that the caller's config grants (restore) */
        int sock, sock_fd;            /* restore: our end of a SOCK_SEQPACKET pair and its number inside the stub; else -1 */
        uint64_t memory_limit;        /* restore: bytes, 0 = none; CHECK refuses what cannot fit */
        int fssync_fd;                /* file system to FIFREEZE in session_freeze's guard, or -1 */
        const char *uuid;             /* for the header record; borrowed */
        const struct outside_ops *outside;   /* NULL: nothing is external, nothing blocked */
        void *ctx;
        const struct log *log;
        struct timers *timers;        /* phases are stamped here; may be NULL */
        struct sleepers *sleepers;    /* dump: tells when sleeps would have ended; borrowed, opened well before the freeze; may be NULL */
};

struct findings { struct err *at; size_t n; };
void findings_done(struct findings *f);
int findings_add(struct findings *f, const struct err *e);

struct dump;
struct restore;

/* Everything that a dump would refuse, without freezing anything. 0 whatever is found. */
int session_probe(const struct subject *s, struct findings *ret, struct err *err);
/* STOP: guard forked, cgroup frozen, every thread under ptrace, thawed with all stopped; network blocked. At most ms.
 * EX_BUSY names the task that did not stop. On failure everything is as before. */
int session_freeze(const struct subject *s, unsigned ms, struct dump **ret, struct err *err);
/* WALK … PAGES. Records go to rs in restore order; page runs go to ps, each after the record of its object (`sink` is the
 * image writer or the wire). */
int session_dump(struct dump *d, const struct record_sink *rs, const struct page_sink_ops *ps, void *ps_ctx,
                 struct err *err);
/* Parks the source: every task detached under a frozen cgroup, sockets stay in repair; to be called before the OFFERED
 * record is written. Still undone by session_resume(), and by the guard if we die before outside_ops.offered says 1. */
int session_park_source(struct dump *d, struct err *err);
/* The OFFERED record is durable: the guard ends, nothing here thaws any more. d stays for session_kill() or session_resume()
 * (which is then allowed only because the other side has answered VOID). */
int session_offer(struct dump *d, struct err *err);
/* Cure and thaw: sockets out of repair, port on, tasks go on. Idempotent, on every exit. Frees d. */
int session_resume(struct dump *d, struct err *err);
/* The same for another process that finds a frozen container (journal, --resolve): needs no dump object. */
int session_cure(const struct subject *s, struct err *err);
/* Kills the tree; only when the image is durable or the other side has claimed. Frees d. d NULL: by subject alone. */
int session_kill(const struct subject *s, struct dump *d, struct err *err);

struct image;
/* Every record type that a checkpoint may hold: the planners' and the kinds'. */
const struct record_types *session_record_types(void);
/* CHECK … PH_CONFINE from a verified image (a directory, or what a stream has staged). The image stays the caller's. On failure the
 * tree has ended, the stub too. */
int session_prepare(const struct subject *s, struct image *img, struct restore **ret, struct err *err);
/* PH_PARK: all tasks detached under a frozen cgroup; nothing of the container lives in the caller afterwards. */
int session_park(struct restore *r, struct err *err);
/* GO: idempotent, needs no restore object: port on, repair off on each TCP socket, thaw. */
int session_go(const struct subject *s, struct err *err);
/* After PARK frees only; before, the tree is killed and nothing is left. */
void session_undo(struct restore *r);
void restore_free(struct restore *r);

struct session_stats { uint64_t tasks, threads, fds, vmas, pages, zero_pages, bytes, dropped_syn_recv, dropped_time_wait, unshared_pages;
                       uint64_t frozen_at; /* CLOCK_MONOTONIC ns: before the first write to cgroup.freeze */ };
void dump_stats(const struct dump *d, struct session_stats *ret);
/* For trees that our engine did not start: a stub in a new pid namespace (and time namespace when asked), cgroup under
 * `cgroup` in the v2 tree. Fills init_pidfd, cgroup_fd, sock, sock_fd of *s. */
int ground_small(struct subject *s, const char *cgroup_path, struct err *err);
