/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kind: one kernel resource, its dump and its restore side by side in checkpoint/kind/STEM.c.
 *
 * A kind turns facts into a record (dump) or a record into tapes bound to actors (restore). It never sees a pid, opens no
 * image, calls no ptrace, names no other kind, and points at other objects by id only. The closed world: each object of
 * classes FILE, VMA, NS, MOUNT and LINK is claimed by exactly one kind of its class. The kinds of classes TASK, THREAD, MM, FILES,
 * FS, SIGHAND and NETNS are groups of properties: each of them writes one record per object of its class.
 *
 * Adding one: docs/ARCHITECTURE.md, "A kind in ten minutes". STEM.c defines `const struct kind kind_STEM` (dashes as
 * underscores); kinds.list gives it its number and word; proto/STEM.proto its message, named as the stem in PascalCase.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/idmap.h"
#include "base/netlink.h"
#include "base/procfs.h"
#include "checkpoint/tape/tape.h"
#include "checkpoint/tape/tracee.h"
#include "proto/record.h"

enum obj_class {
        CLS_TASK = 1,   /* a process */
        CLS_THREAD,     /* each thread, the leader included */
        CLS_MM, CLS_FILES, CLS_FS, CLS_SIGHAND,   /* tables that tasks may share */
        CLS_VMA,        /* one entry of smaps */
        CLS_SHM,        /* a MAP_SHARED|MAP_ANONYMOUS object; no kind of its own: made by vma-shmem */
        CLS_FILE,       /* an open file description */
        CLS_NS, CLS_MOUNT, CLS_LINK,
        CLS_NETNS,      /* properties of a network namespace: addresses, routes, neighbours */
        CLS_CGROUP,     /* the payload's directory, and each below it */
        CLS_FILEPROP,   /* something beside an open file description: a lock, descriptors in flight; met on a FILE */
        CLS_N
};

/* Restore phases, with a barrier after each. What each holds is in docs/ARCHITECTURE.md. A phase's tapes are built from all
 * records in order of (kind number, record), then played side by side. */
enum phase {
        PH_GROUND,   /* namespaces, links, addresses: init's stub and the engine's netlink socket */
        PH_MOUNTS,   /* in init's stub */
        PH_TREE,     /* the tree planner; a kind's plan plays after it */
        PH_MAKE,     /* each shared object once: open, socket, pipe, memory objects */
        PH_BIND,     /* bind, connect, queues, epoll targets; TCP by ACTOR_SELF */
        PH_HAND,     /* fd tables (session), cwd and root */
        PH_SPACE,    /* the stub's own mappings are gone (session); vdso moves */
        PH_MEMORY,   /* mmap; afterwards the session fills pages, then PH_ATTR */
        PH_ATTR,     /* final protections, sigactions, mm fields, rlimits, timers unarmed, pending signals */
        PH_LABEL,
        PH_THREADS,  /* the tree planner; then what only limits: cgroups */
        PH_CONFINE,  /* per thread: name, robust list, rseq, altstack; then seccomp, bounding set, ids, capabilities */
        PH_PARK,     /* timers armed, TCP tail queued, final registers */
        PH_N
};

/* What the collector read once about an object. Only the member of the object's class is set. */
struct cg_seen;   /* cgdir.h */
struct unix_diag { bool known; uint8_t state, type, shutdown; uint32_t peer_ino; uint32_t rqueue, wqueue; char name[108]; uint32_t name_len;
                   uint32_t icons[64]; uint32_t n_icons; };
struct file_facts {
        int fd;                      /* number in the holder */
        const char *link;            /* text of /proc/…/fd/N */
        const char *fdinfo;          /* whole text */
        struct stat st;
        uint64_t fs_magic;           /* statfs f_type; 0 where it was not asked (FUSE) */
        uint64_t pos;
        unsigned flags;              /* O_* of F_GETFL, as in fdinfo (O_CLOEXEC is the table's) */
        int mnt_id;
        bool deleted;                /* st_nlink 0 or " (deleted)" */
        bool external_mount;         /* its mount is not in the container's mount namespaces */
        uint64_t mount;              /* object id of its mount, 0 if external */
        /* sockets */
        int family, type, protocol;  /* -1: no socket */
        uint8_t tcp_state;           /* TCP_ESTABLISHED …, 0 unless TCP */
        bool tcp_signed;             /* with keys for signatures (TCP_MD5SIG) */
        bool tcp_steered;            /* of a group of SO_REUSEPORT with a program */
        const struct unix_diag *ux;
};
enum ns_type { NS_USER, NS_MNT, NS_PID, NS_NET, NS_UTS, NS_IPC, NS_CGROUP, NS_TIME, NS_N };
/* What /proc does not show of a task: the collector asks by tape (a probe child for Landlock). */
enum task_seen { TASK_SEEN_LANDLOCK = 1, TASK_SEEN_KEYRING = 2, TASK_SEEN_SUD = 4, TASK_SEEN_MEMPOLICY = 8, TASK_SEEN_SYSVSEM = 16,
                 TASK_SEEN_AUTOGROUP = 64 /* its session's group has a nice value of its own */,
                 TASK_SEEN_PERSISTENT = 32 /* keys in a persistent keyring of the container; of its init */ };
struct facts {
        enum obj_class cls;
        uint16_t number;             /* of the kind that answers for it, where classify.h has been asked already; else 0 */
        pid_t shown_pid;             /* holder's pid inside the container, for messages only */
        const char *comm;            /* holder's name, for messages only */
        union {
                struct file_facts file;
                struct { const struct proc_vma *vma; const char *path; /* inside the container, or NULL */
                         uint64_t shm, mm; struct stat st; bool external;
                         bool locked; /* its file has a lock or a lease */ } vma;
                struct { enum ns_type type; bool external; /* the engine's own: not dumped */ bool queues; /* POSIX ones */
                         bool binfmt; /* a binfmt_misc of its own, mounted or not */ } ns;
                struct { const struct mountinfo *m; char external[64]; /* name, or "" */ uint64_t ns; } mnt;
                struct nl_link link;
                struct { const struct proc_stat *stat; const struct proc_kv *status; size_t n_status;
                         const struct cpu_state *cpu; const siginfo_t *pending; size_t n_pending;  /* THREAD: its own; TASK: shared */
                         const char *timers;          /* text of /proc/PID/timers; NULL where it was not read */
                         unsigned seen;               /* enum task_seen */
                         bool leader; } task;                                                       /* TASK and THREAD */
                struct { bool rules, nft, conntrack, qdisc, xfrm, ipset, nexthop;   /* there are some beyond the default ones */
                         const char *other;           /* what else there is, in words; NULL: nothing */ } netns;
                struct { const char *path;   /* from the payload, "" for itself */
                         const char *name; uint64_t parent;   /* its last component; the object that it is in, 0 for the payload */
                         const struct cg_seen *seen;          /* NULL where `odd` is why nobody looked */
                         const char *odd; /* what of it cannot be kept, or NULL */ } cgroup;
        };
};

/* The object id under which a restore keeps the master of the console that it has made. */
#define OBJECT_CONSOLE UINT64_C(0xffffffff00000001)

struct dump;
struct restore;
struct obj {
        enum obj_class cls;
        uint64_t id;
        struct facts facts;
        int procfd;                  /* /proc/PID/task/TID of the holder (or the object itself); borrowed */
};

/* What a restore will take, summed over all records. bytes: of memory, but not what an address space or a shared memory object
 * holds: the image knows that. */
struct need { uint64_t bytes, tasks, fds, features, caps /* of any set */; };
enum pages_of { PAGES_NONE, PAGES_ANON /* private pages only */, PAGES_ALL, PAGES_SHM /* by object, once */ };

struct kind {
        const char *stem;
        uint16_t number;
        enum obj_class cls;
        const ProtobufCMessageDescriptor *msg;
        enum pages_of pages;                                          /* class VMA */
        const char *const *status_keys;                               /* /proc/PID/status keys that this kind answers for; NULL-ended */
        int (*claim)(const struct facts *f);                          /* pure: 1 mine, 0 not; NULL: every object of the class */
        int (*refuse)(const struct facts *f, struct err *err);        /* pure: 0, or <0 with who, why, what to do (EX_UNSUPPORTED) */
        int (*settle)(struct dump *d, const struct obj *o, int fd, struct err *err);    /* before the network is blocked: 1 asks to be
                                                                                           called again shortly; undone by cure */
        int (*quiesce)(struct dump *d, const struct obj *o, int fd, struct err *err);   /* undone by cure */
        int (*ask)(struct dump *d, const struct obj *o, struct tape *t);                /* what only the target knows */
        int (*take)(struct dump *d, const struct obj *o, int fd, const struct tape *t,
                    struct record *ret, struct err *err);             /* fd: our duplicate or -1; t: played, or NULL */
        int (*cure)(struct dump *d, const struct obj *o, int fd, struct err *err);
        int (*check)(const struct record *r, struct need *need, struct err *err);       /* pure: hostile input (EX_IMAGE) */
        int (*plan[PH_N])(struct restore *rs, const struct record *r, struct err *err);
};
/* The generated table, ascending by number; NULL entries do not occur. Refused kinds are kinds with claim and refuse only. */
const struct kind *const *kind_table(size_t *ret_n);
const struct kind *kind_find(uint16_t number);
const struct record_types *kind_record_types(void);

/* A message of type T on the heap for take(): freed by record_done() with protobuf's allocator. Fields are set by the kind:
 * strings and bytes through kind_strdup/kind_memdup, repeated fields through kind_calloc. */
#define KIND_NEW(T, init)                                                                                    \
        ({                                                                                                   \
                T *_m = malloc(sizeof(T));                                                                   \
                if (_m)                                                                                      \
                        init(_m);                                                                            \
                _m;                                                                                          \
        })
char *kind_strdup(const char *s);
void *kind_memdup(const void *p, size_t n);
void *kind_calloc(size_t n, size_t size);
int kind_nomem(struct err *err);                                      /* EX_NOSPC */
/* The usual refusal: "cannot checkpoint STEM: process 12 (nginx) holds WHAT: WHY. REMEDY" */
int kind_refuse(const struct kind *k, const struct facts *f, struct err *err, const char *what, const char *remedy);
/* A hostile record: "record STEM 17: WHY" (EX_IMAGE). */
int kind_bad(const struct kind *k, const struct record *r, struct err *err, const char *why);

/* ---- dump side, given by the session ---- */
/* Finds, never makes: unknown means that the walk missed it (an error). Keys: FILE by socket inode (uint64_t ino);
 * MOUNT by mnt_id (int); NS by inode (uint64_t); SHM by {dev_t, ino} as two uint64_t. */
int dump_id(struct dump *d, enum obj_class c, const void *key, size_t len, uint64_t *ret, struct err *err);
/* FILE objects with the same (st_dev, st_ino) as o, ascending, o included: both ends of a pipe. Borrowed. */
size_t dump_group(struct dump *d, const struct obj *o, const uint64_t **ret);
const struct obj *dump_obj(struct dump *d, uint64_t id);
/* Target of an epoll entry (tfd, and its index among entries with that tfd) by KCMP_EPOLL_TFD. 1: the target is closed in every table. */
int dump_epoll_target(struct dump *d, const struct obj *epoll, uint32_t tfd, uint32_t index, uint64_t *ret, struct err *err);
/* Entries of an fd table: number, FILE object id, cloexec. Caller frees. */
struct fd_entry { uint32_t fd; bool cloexec; uint64_t file; };
int dump_fd_table(struct dump *d, const struct obj *files, struct fd_entry **ret, size_t *ret_n, struct err *err);
/* Ids of a task's tables, for the tree planner and task-files. */
/* Bytes of an object beside its record (above 64 KiB): offset 4 KiB aligned, the last piece may be short (padded with zero). */
int dump_bytes(struct dump *d, uint64_t id, uint64_t offset, const void *buf, size_t len, struct err *err);
/* Text of a file in the object's /proc directory; caller frees. */
int dump_proc(const struct obj *o, const char *name, char **ret, size_t *ret_len, struct err *err);
/* O_PATH descriptor of the root of the mount namespace that o's holder is in (not of its chroot). Borrowed. */
int dump_root(struct dump *d, const struct obj *o, struct err *err);
/* What a path from dump_root() has led to, for the next who asks: nothing moves during a dump. Borrowed; NULL: it is not kept. */
struct looked { bool known, there, lasting; dev_t dev; ino_t ino; };
struct looked *dump_looked(struct dump *d, const char *path);
/* The address space has a mapping of that name. */
bool dump_area(struct dump *d, const struct obj *mm, const char *name);
uint32_t dump_uid(struct dump *d, uint32_t outside);                  /* inside; 65534 where unmapped */
uint32_t dump_gid(struct dump *d, uint32_t outside);
/* The object id of the mm whose FILE `fd`-like link is the exe etc.: a path inside the container as the task's root sees it. */
/* netlink socket in the namespace of a NETNS or LINK object. */
struct nl *dump_nl(struct dump *d, const struct obj *o, struct err *err);
/* A socket of the same family, type and protocol as o, just made in the container's network namespace, to compare with. Borrowed. */
int dump_fresh_socket(struct dump *d, const struct obj *o, struct err *err);
/* Settings of the container's network namespace; changed: not what a new namespace has. Borrowed. */
#define NET_SETTING_MAX 4096u   /* bytes of a value */
struct net_setting { const char *name, *value; bool changed; };
int dump_settings(struct dump *d, const struct net_setting **ret, size_t *ret_n, struct err *err);
/* The engine's own filter (outside_ops.seccomp); 1: none. */
int dump_seccomp(struct dump *d, const void **ret, size_t *ret_n, struct err *err);
/* Filters of a thread, newest first, by PTRACE_SECCOMP_GET_FILTER: count, then one by index. */
int dump_thread_filters(struct dump *d, const struct obj *thread, size_t *ret_n, struct err *err);
int dump_thread_filter(struct dump *d, const struct obj *thread, size_t index, void **ret, size_t *ret_insns, struct err *err);
uint64_t dump_mm_of(struct dump *d, const struct obj *task);          /* ids of the tables a TASK or THREAD uses */
uint64_t dump_files_of(struct dump *d, const struct obj *task);
uint64_t dump_fs_of(struct dump *d, const struct obj *task);
uint64_t dump_ns_of(struct dump *d, const struct obj *task, enum ns_type type);   /* 0: external */
/* Number inside of the process group in front of a process's controlling terminal; 0: none, or it has no process any more. */
uint32_t dump_foreground(struct dump *d, const struct obj *task);
int dump_console_index(const struct dump *d);                         /* devpts index of the external console, or -1 */
/* Counters of the report: SYN_RECV and TIME_WAIT sockets that are dropped. */
void dump_count_dropped(struct dump *d, unsigned syn_recv, unsigned time_wait);
/* A per-object scratch pointer for what quiesce must remember for cure; freed with free() by the session. */
void **dump_slot(struct dump *d, const struct obj *o);

/* ---- restore side, given by the session ---- */
struct tape *restore_tape(struct restore *rs, struct actor who);      /* this phase's tape of that actor; never NULL (may be bad) */
/* Where an object must be made or set: FILE: the lowest task that holds it; MM, FILES, FS, SIGHAND: the first task that uses
 * it; TASK/THREAD: itself; NS, MOUNT, LINK, NETNS, CGROUP: init. */
struct actor restore_owner(struct restore *rs, uint64_t object);
/* The process with that number inside of the container; 0: none. */
uint64_t restore_task(struct restore *rs, uint32_t number);
const struct record *restore_record(struct restore *rs, uint64_t object);   /* NULL: none */
/* Every tape entry whose result is a mapping that becomes a memory object's descriptor (map_files). */
void restore_keep_map(struct restore *rs, struct tape *t, uint32_t entry, uint64_t size, uint64_t object);
int restore_bytes(struct restore *rs, uint64_t id, uint64_t offset, void *buf, size_t len, struct err *err);
int restore_fd(struct restore *rs, uint64_t object, struct err *err); /* our duplicate; borrowed; after the phase that made it */
struct cpu_state *restore_cpu(struct restore *rs, uint64_t thread);   /* to fill in PH_PARK at the latest */
struct nl *restore_nl(struct restore *rs, uint64_t ns, struct err *err);
int restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err);   /* as they are now; borrowed */
int restore_external(struct restore *rs, const char *name, uint64_t object, struct err *err);   /* makes it available as A_FD(object) */
int restore_seccomp(struct restore *rs, const void **ret, size_t *ret_n, struct err *err);       /* 1: none */
/* The same root for restore_owner(object), from PH_MAKE on: looked at only, never opened for use. Borrowed. */
int restore_root(struct restore *rs, uint64_t object, struct err *err);
/* Where the kernel's own areas lie in every task before PH_SPACE, and `scratch`: 64 KiB that are free in every task, before and after.
 * In PH_SPACE an area goes to its place, or to scratch and in PH_MEMORY from there; task-mm unmaps those that a record has not. */
struct vdso_place { size_t n; struct { char name[24]; uint64_t start, len; } at[4]; uint64_t scratch; };
const struct vdso_place *restore_vdso(struct restore *rs);
/* To be filled by task-cpu beside restore_cpu(): what tracee_rebuild() must make first. All zero: nothing. */
struct restart *restore_restart(struct restore *rs, uint64_t thread);
/* Task ids of all threads of a process record, leader first. Borrowed. */
size_t restore_threads(struct restore *rs, uint64_t task, const uint64_t **ret);
