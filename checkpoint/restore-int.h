/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a restore share, and how they find it. Private to checkpoint/. */
#pragma once

#include "checkpoint/image.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/netset.h"
#include "checkpoint/session.h"
#include "checkpoint/tape/tracee.h"
#include "checkpoint/types.h"
#include "checkpoint/tree.h"

struct restore_thread { uint64_t id, cgroup; pid_t tid, vtid; struct tracee *tracee; struct cpu_state *cpu; bool has_cpu;
                        struct restart restart; };

struct restore_task {
        uint64_t id, parent, mm, files, fs, sighand, cgroup;
        uint32_t vpid;
        size_t parent_at;
        pid_t pid;
        int pidfd, procfd;
        struct restore_thread *thread;
        size_t n_thread;
        uint64_t *thread_ids;
        int sock_fd;                      /* number of the delivery socket in this task, -1: closed */
        int *temp;                        /* descriptors that the last phase left in it, to be closed */
        size_t n_temp;
};

/* A process that ends again at the end of TREE, and stays a zombie of its parent. */
struct restore_dead { uint32_t vpid; size_t parent_at; uint64_t cgroup; };
/* A process with a tracee and no task of ours: a planner's temporary, or a dead one before it ends. */
struct restore_temp { uint32_t vpid; pid_t pid; struct tracee *tracee; };

struct restore_object { uint64_t id; int fd; };   /* our duplicates, sorted by id */

struct restore_cgroup { uint64_t id; int fd; };   /* a directory, and its number in every stub until HAND */

struct restore_map { struct tape *t; uint32_t entry; uint64_t size, object; };

enum restore_state { RESTORE_NEW, RESTORE_CHECKED, RESTORE_BUILDING, RESTORE_READY, RESTORE_PARKED };

struct restore {
        struct subject s;
        enum restore_state state;
        struct image *img;
        struct record *rec;               /* all but the header, in image order */
        size_t n_rec;
        size_t *by_id;                    /* indexes of rec, sorted by id (kinds only) */
        const struct record *tree;
        struct restore_task *task;
        size_t n_task;
        struct tree_plan plan;
        struct restore_dead *dead;
        size_t n_dead;
        struct restore_temp *temp;
        size_t n_temp;
        uint64_t agent_addr;
        enum phase phase;
        struct tape **tape;               /* of the running phase */
        size_t n_tape;
        struct tape *spare;               /* never played */
        bool no_memory;                   /* a plan has written on it: the phase must not play */
        uint64_t cg_payload;              /* id of the payload's cg-dir; 0: no cgroups of its own */
        struct restore_cgroup *cg;
        size_t n_cg;
        struct restore_map *map;
        size_t n_map;
        struct restore_object *object;
        size_t n_object;
        struct executor ptrace, self;
        bool have_ptrace, have_self, parked_frozen;
        struct nl *nl;
        struct net_settings settings;
        int root_fd;                      /* of the container, once its mounts are made */
        struct vdso_place vdso;           /* where the stubs have the kernel's areas */
        struct need need;
};

#define AGENT_TAPE_BYTES 65536u
#define AGENT_ROOM (UINT64_C(16) << 20)   /* code, and a tape area that may have to grow */

/* restore-find.c: by id */
struct restore_task *restore_task_find(struct restore *rs, uint64_t id);
struct restore_task *restore_task_of(struct restore *rs, uint64_t object);   /* the first that uses a table, or the task itself */
struct tracee *restore_tracee(void *ctx, struct actor who);
bool has_record(const struct restore *rs, uint16_t kind, uint64_t id);        /* kind 0: any */
int object_put(struct restore *rs, uint64_t id, int fd, struct err *err);     /* takes fd */
int object_fd(const struct restore *rs, uint64_t id);                         /* borrowed, -1 */
