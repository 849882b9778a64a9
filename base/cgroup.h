/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroupfs of all three layouts. A hybrid machine has controllers on v1 hierarchies and a v2 tree for freezing; where
 * no v2 tree is mounted one is mounted privately. A container has one directory per hierarchy, PATH relative to the
 * hierarchy's root ("gantry/web1"), and in v2 a child `payload` that becomes its cgroup namespace's root.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

enum cg_controller { CG_MEMORY, CG_CPU, CG_PIDS, CG_FREEZER_V2, CG_CONTROLLERS };

struct cgroups;   /* what is mounted where; opaque */
int cgroups_open(struct cgroups **ret, struct err *err);          /* probes mountinfo; mounts v2 privately if none */
void cgroups_free(struct cgroups *c);
bool cgroups_is_v2(const struct cgroups *c, enum cg_controller k); /* the controller is in the v2 tree */

/* Creates PATH in the v2 tree, with its child `payload`, and in each v1 hierarchy that has memory, cpu, cpuacct, pids,
 * freezer, devices or name=systemd. Enables controllers down to PATH where they are v2. Existing is fine; what a failed
 * call has made is removed again. PATH: relative, no component begins with a dot (EX_CONFIG). */
int cgroup_create(struct cgroups *c, const char *path, struct err *err);
/* Lets PATH's children in the v2 tree have its controllers. No process can be in PATH itself then, only in them. */
int cgroup_delegate(struct cgroups *c, const char *path, struct err *err);
/* Moves a process into PATH (v1) and PATH/v2leaf (v2; v2leaf "" or "payload"; NULL: it stays where it is). */
int cgroup_attach(struct cgroups *c, const char *path, const char *v2leaf, pid_t pid, struct err *err);
/* Removes PATH and everything below it in all hierarchies; must be empty of processes. Missing is fine. */
int cgroup_remove(struct cgroups *c, const char *path, struct err *err);
/* O_PATH-free directory descriptor of PATH in the v2 tree. */
int cgroup_open_v2(struct cgroups *c, const char *path, struct err *err);
/* Directory of PATH where controller k lives (v1 or v2). */
int cgroup_open_controller(struct cgroups *c, enum cg_controller k, const char *path, struct err *err);

struct cg_limits {
        uint64_t memory, swap;   /* bytes; memory 0 = neither is limited; swap is on top of memory, as VSwap's sum,
                                  * and 0 then means that nothing is swapped. v1 without swap accounting (no memsw
                                  * file): swap stays without a limit */
        unsigned cpu_milli;      /* thousandths of a cpu; 0 = none */
        uint64_t pids;           /* 0 = none */
};
/* EX_STATE: more than the new limit is in use. EX_KERNEL: a limit is asked for whose controller is nowhere. */
int cgroup_limits(struct cgroups *c, const char *path, const struct cg_limits *l, struct err *err);
struct cg_usage { uint64_t memory, cpu_usec, pids; };
int cgroup_usage(struct cgroups *c, const char *path, struct cg_usage *ret, struct err *err);

/* v2 freezer on a directory descriptor of a v2 cgroup (kernel 5.2+). freeze waits for `frozen 1` at most ms: 1 = not in
 * time (and it is thawed again). thaw is idempotent and does not wait. */
int cgroup_freeze(int cgfd, unsigned ms, struct err *err);
int cgroup_thaw(int cgfd, struct err *err);
/* Writes cgroup.freeze=1 without waiting (PARK: tasks are still ptrace-stopped). */
int cgroup_freeze_write(int cgfd, struct err *err);
int cgroup_frozen(int cgfd, bool *ret, struct err *err);
/* Directories below it that are frozen by themselves, with processes in them: thawed, and marked, so that whoever comes after
 * somebody who died finds them; and back again. Idempotent. The mark is an attribute that nobody in a user namespace can see. */
#define CGROUP_FROZEN_MARK "trusted.gantry.frozen"
int cgroup_thaw_below(int cgfd, struct err *err);
int cgroup_freeze_below(int cgfd, struct err *err);
/* Every process of the cgroup and its descendants. Caller frees. */
int cgroup_procs(int cgfd, pid_t **ret, size_t *ret_n, struct err *err);
/* SIGKILLs all of it: cgroup.kill (5.14+). Idempotent. */
int cgroup_kill(int cgfd, struct err *err);
