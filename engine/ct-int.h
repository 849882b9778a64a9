/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's own view of node and container; for files of engine/ only, from the lowest up (docs/ARCHITECTURE.md, "The engine"). */
#pragma once

#include "engine/ct.h"

#define LIB_DIR "/var/lib/gantry"
#define RUN_DIR "/run/gantry"
#define ETC_DIR "/etc/gantry"
#define NODE_CONF ETC_DIR "/node.conf"
#define CT_CONF "ct.conf"
#define INCOMING ".incoming"
#define V2_LEAF "payload"

struct node {
        const struct log *log;
        struct node_config conf;
        int lib, cts, run, etc;     /* cts: LIB_DIR/ct */
        struct cgroups *cg;         /* opened when first needed */
};

/* node.c */
struct cgroups *node_cgroups(struct node *n, struct err *err);      /* NULL: error */
/* One command at a time gives out names, ids and addresses; closing the descriptor lets go. */
int node_lock(struct node *n, struct err *err);

struct ct {
        struct node *node;
        char name[CT_NAME_MAX + 1];
        bool incoming;
        int dir, run, lock;
        enum ct_lock mode;
        char *text;                 /* ct.conf */
        struct ct_config conf;
        char port[16];
        char cgroup[336];           /* node.conf's cgroup / name */
};

/* lock.c */
int lock_file(int dirfd, const char *path, enum ct_lock mode, unsigned ms, const char *what, struct err *err);

/* ct.c. Directory name below LIB_DIR/ct. */
void ct_dirname(const char *name, bool incoming, char ret[CT_NAME_MAX + sizeof(INCOMING)]);
/* As it is: nothing is tidied. */
int ct_open_as(struct node *n, const char *name, bool incoming, enum ct_lock lock, struct ct **ret, struct err *err);
int ct_reload(struct ct *ct, struct err *err);
int ct_need_lock(const struct ct *ct, const char *what, struct err *err);
/* Its directory in the v2 tree, with its processes. */
int ct_payload(struct ct *ct, struct err *err);

/* state.c. Run state, RUN_DIR/NAME/state: volatile by nature, gone with the node's boot. */
struct run_state { pid_t pid; uint64_t start; dev_t root_dev, dev_dev, boot_dev; };
int state_put(struct ct *ct, const struct run_state *s, struct err *err);
int state_get(struct ct *ct, struct run_state *ret, struct err *err);     /* 1: none */
int state_pidfd(struct ct *ct, int *ret_pidfd, struct err *err);          /* 1: no living init */
int state_of_pid(pid_t pid, struct run_state *ret, struct err *err);
bool ct_has_traces(struct ct *ct);                                        /* a ground was begun and not cleaned up */

/* roster.c: EX_EXISTS when another container of the node has this uuid, id range, MAC or an address of it. `name` itself is left out. */
int node_conflicts(struct node *n, const char *name, const struct ct_config *c, struct err *err);

/* cleanup.c: until the image has no loop device any more: a namespace's mounts go a moment after its last process. */
int ct_wait_detached(struct ct *ct, struct err *err);

/* monitor.c */
int monitor_lock(struct ct *ct, struct err *err);                         /* held as long as a monitor lives; 1: one does */
int monitor_exec(struct ct *ct, int pidfd, int console, int lock, struct err *err);
int monitor_spawn(struct ct *ct, struct err *err);

/* subject.c */
struct ground;
int subject_fill(struct ct *ct, struct ground *g, int pidfd, struct subject *ret, struct err *err);

/* cure.c. The journal says durably that somebody freezes, before anything is frozen. */
int ct_note_frozen(struct ct *ct, bool frozen, struct err *err);
/* A container that a killed command has left frozen goes on. */
int ct_cure(struct ct *ct, struct err *err);

/* tidy.c: leftovers of a killed command are removed, a dead monitor is replaced; needs the lock EXCLUSIVE. */
int ct_tidy(struct ct *ct, struct err *err);

/* worker.c: what becomes the container's parent and then its monitor. `run` returns only on failure. */
struct worker;
int worker_run(struct ct *ct, int (*run)(struct worker *w, struct ct *ct, void *ctx, struct err *err), void *ctx, struct err *err);
bool worker_watched(const struct worker *w);                              /* the command still waits */
int worker_done(struct worker *w, struct err *err);                       /* tells it: success */
