/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a dump share: the tasks, and the table of objects. Private to checkpoint/. */
#pragma once

#include "base/mountapi.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/netset.h"
#include "checkpoint/session.h"
#include "checkpoint/tape/tracee.h"
#include "checkpoint/types.h"

struct dump_thread {
        uint64_t id;
        pid_t tid, vtid;                  /* ours, and the container's */
        int procfd;
        struct tracee *tracee;
        struct cpu_state *cpu;
        siginfo_t *pending;
        size_t n_pending;
        struct proc_stat stat;
        char *status;                     /* cut up in place */
        struct proc_kv *kv;
        size_t n_kv;
        unsigned seen;                    /* enum task_seen */
        uint64_t cgroup;                  /* id of its directory, 0: the payload itself */
        size_t crowd;                     /* threads of the same ids, many: its number + 1, or 0 */
        pid_t witness;                    /* the container's number of one of them that is in no Landlock domain, or 0 */
        bool landlock_known;              /* whether it is in one itself: `seen` tells */
};

struct dump_task {
        uint64_t id;
        pid_t pid, vpid, vpgid, vsid;
        int pidfd, procfd;
        size_t parent_at;                 /* index of the parent; init's is its own */
        uint64_t parent, mm, files, fs, sighand, cgroup, ns[NS_N];
        struct dump_thread *thread;       /* leader first */
        size_t n_thread;
        siginfo_t *pending;               /* shared by the process */
        size_t n_pending;
        int stop_signal;                  /* job control has stopped it with this; 0: it has not */
        bool stop_told;                   /* and its parent has been told by wait(2) */
        char *timers;                     /* text of /proc/PID/timers */
        struct fd_entry *fds;
        size_t n_fds;
        size_t vma_from, vma_to;          /* its VMA objects lie here in dump.obj, SHM objects between them */
};

/* A process that has ended and that nobody has waited for. */
struct dump_dead {
        pid_t pid, vpid, vpgid, vsid;
        size_t parent;                    /* index of the task */
        int exit_signal, status;
        uint64_t cgroup;                  /* as in a thread */
        uint32_t uid[3], gid[3];          /* as the container sees them */
        char comm[16];
};

/* An object and what the session alone knows of it. */
struct dump_obj {
        struct obj o;
        const struct kind *kind;          /* of a claimed object; NULL for tables, which have many */
        size_t task, thread;              /* index of the holder, and of its thread */
        int fd;                           /* number in the holder, -1 */
        uint64_t ino, dev;                /* filter of the identity */
        struct file_facts *ff;            /* owned copies behind the facts */
        struct proc_vma *vma;
        struct unix_diag *ux;
        struct cg_seen *cg;
        char *link, *fdinfo, *path;
        void **slots;                     /* one per kind that asked (a claimed object has one) */
        uint64_t *group;
        size_t n_group;
        struct mountinfo *mount;          /* borrowed from the namespace's list */
        const struct dump_obj *mapper;    /* SHM: the first mapping of it */
        uint64_t next;                    /* chain of the hash table: index + 1 */
};

#define CODE64_CS 0x33                    /* the code segment of 64-bit programs: the agent's */

enum dump_state { DUMP_NEW, DUMP_STOPPED, DUMP_WALKED, DUMP_QUIET, DUMP_READ, DUMP_PARKED, DUMP_OFFERED, DUMP_ENDED };

struct dump_ns { enum ns_type type; uint64_t ino, id; bool external; int fd; };
struct dump_mntns { uint64_t ns; struct mountinfo *m; size_t n; uint64_t *id; int rootfd; bool external; };

struct dump_path { struct dump_path *next; struct looked is; char path[]; };

struct ux_row { uint32_t ino; struct unix_diag d; };
struct fresh_socket { int family, type, protocol, fd; };

struct dump {
        struct subject s;
        enum dump_state state;
        struct dump_task *task;
        size_t n_task;
        struct dump_dead *dead;           /* by number */
        size_t n_dead;
        struct dump_obj **obj;            /* by id - 1 */
        size_t n_obj, cap_obj;
        struct dump_path **path;          /* what paths have led to, by hash */
        uint64_t *bucket;                 /* FILE objects by (dev, ino): index + 1 */
        size_t n_bucket;
        struct dump_ns ns[4 * NS_N];
        size_t n_ns;
        struct dump_mntns *mntns;
        size_t n_mntns;
        uint64_t orphans;                 /* connections without a descriptor */
        struct ux_row *ux;
        size_t n_ux;
        char *locks;                      /* text of /proc/locks; NULL: not read yet */
        uint32_t *signed_tcp;             /* inodes of TCP sockets with signatures (RFC 2385) */
        size_t n_signed_tcp;
        struct fresh_socket fresh_socket[8];
        size_t n_fresh_socket;
        struct nl *nl;                    /* of the container's network namespace */
        struct err beyond[2];             /* an address and a route that nobody can hold; code 0: none */
        struct net_settings settings, fresh;   /* its own, and a new one's, which were read before the freeze */
        int guard;                        /* our end of the guard's socket, -1 */
        int guard_pidfd;
        bool blocked, frozen, fsfrozen;
        const struct page_sink_ops *sink;
        void *sink_ctx;
        struct session_stats stats;
        char *cpu_flags;                  /* of this node, read before the freeze */
        struct executor ptrace;
        bool have_ptrace;
};

void dump_paths_free(struct dump *d);                              /* dump-kind.c */
/* objects.c */
struct dump_obj *dump_add(struct dump *d, enum obj_class cls);
struct dump_obj *dump_find(struct dump *d, uint64_t id);
size_t dump_threads(const struct dump *d);                        /* how many */
/* The innermost number of a status line that lists one per pid namespace level ("NSpid:\t4711\t3"). */
pid_t dump_innermost(const struct proc_kv *kv, size_t n, const char *key, pid_t fallback);

/* dump-actor.c */
struct tracee *dump_tracee(void *ctx, struct actor who);
struct thread_at { size_t task, thread; };
int dump_agents(struct dump *d, struct err *err);                 /* into every thread; idempotent */
int dump_agents_drop(struct dump *d, struct err *err);            /* and out again; goes on after an error */
