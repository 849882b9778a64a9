/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* WALK and CLAIM. Private to checkpoint/. */
#pragma once

#include "checkpoint/dump-int.h"

/* within.c. Makes the call in the namespace `ns` of type CLONE_NEWNET or CLONE_NEWIPC (-1: where we are) and comes back; what it returns. */
int dump_within(int ns, int type, int (*call)(void *ctx, struct err *err), void *ctx, struct err *err);
/* A netlink socket of the namespace `netns`, or of our own for -1. */
int dump_netlink(int netns, int protocol, struct err *err);

/* collect.c: WALK and CLAIM */
int dump_walk(struct dump *d, struct err *err);
int dump_claim(struct dump *d, struct findings *all, struct err *err);
int dump_dup(struct dump *d, const struct dump_obj *x, struct err *err);   /* our duplicate of a FILE; caller closes */
/* collect-halted.c: the dead; children that nobody knows are refused. And what parents know of stopped ones: when agents are there. */
int dump_walk_dead(struct dump *d, struct err *err);
int dump_ask_stopped(struct dump *d, struct err *err);
int dump_walk_files(struct dump *d, size_t task, struct err *err);
int dump_walk_vmas(struct dump *d, size_t task, struct err *err);
int dump_walk_ns(struct dump *d, struct err *err);
int dump_walk_mounts(struct dump *d, struct err *err);
int dump_walk_net(struct dump *d, struct err *err);
int dump_queues(int procfd, bool *ret, struct err *err);          /* collect-ipc.c: are there POSIX message queues? */
int dump_walk_cgroups(struct dump *d, struct err *err);           /* collect-cgroup.c */
int dump_netns_seen(struct dump *d, int netns, struct dump_obj *x, struct err *err);   /* collect-net.c: rules, filters, tracking */
int dump_fresh_settings(struct dump *d, struct err *err);         /* before the freeze */
int dump_diag(struct dump *d, struct err *err);
int dump_orphans(struct dump *d, uint64_t *ret, struct err *err);  /* TCP connections without a descriptor */
/* The next VMA object of a task from *at (at first its vma_from) on; NULL: no more. */
const struct dump_obj *dump_next_vma(const struct dump *d, size_t task, size_t *at);
/* collect-seen.c: what /proc does not show of tasks, into dump_thread.seen. After the mappings: it brings the agents. */
int dump_seen(struct dump *d, struct err *err);
/* probe-keys.c: into the first thread's .seen */
int dump_persistent_keys(struct dump *d, struct err *err);
bool keys_persistent(const char *text, uint64_t uid);             /* a text of /proc/keys; pure */
/* probe-landlock.c */
bool landlock_here(void);                                         /* this kernel knows Landlock, and it is switched on */
int landlock_probe(struct dump *d, const struct thread_at *at, size_t n, struct err *err);
/* Where many threads have the same ids, the first of them; how many such crowds. When these have been probed, landlock_witnesses()
 * gives the others of a crowd its first one to look at, if that is free: landlock_look() on a tape, and whether its answer frees them. */
#define LANDLOCK_CROWDS 16u
size_t landlock_crowds(struct dump *d, const struct thread_at *at, size_t n, struct thread_at first[LANDLOCK_CROWDS]);
void landlock_witnesses(struct dump *d, const struct thread_at *at, size_t n, const struct thread_at first[LANDLOCK_CROWDS]);
uint32_t landlock_look(struct tape *t, pid_t witness);
const struct mountinfo *dump_mountinfo(struct dump *d, size_t task, int mnt_id);
