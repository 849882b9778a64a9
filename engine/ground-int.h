/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ground between its files: ground.c (outside), trees.c (mounts made outside), child.c (inside), ground-net.c. */
#pragma once

#include "engine/confine.h"
#include "engine/ct-int.h"

/* Number of the socket that a restore's stub keeps: above what programs usually hold, below the usual soft limit of 1024. */
#define STUB_SOCK 1000

/* Mounts that the container cannot make itself, made outside and handed in: the engine's externals, by name. */
enum tree { TREE_ROOT, TREE_DEV, TREE_BOOT_ID, TREE_N };
const char *tree_name(enum tree t);                       /* "root", "dev", "bind:boot_id" */

struct ground {
        struct ct *ct;
        enum ground_for purpose;
        pid_t pid;
        int pidfd, ctl, sock, console, monitor;
        int keeper, keeper_pipe;                          /* keeper.c: its pidfd, and what sends it away */
        int tree[TREE_N];                                 /* detached mounts, -1 once handed on */
        dev_t dev[TREE_N];
        struct filter filter;
        char **argv;                                      /* init's; START only */
};

/* keeper.c: in order, when this process is about to become the monitor; else it is killed. */
void keeper_end(struct ground *g, bool in_order);

/* trees.c */
int tree_root(struct ct *ct, int *ret, struct err *err);
int tree_dev(const struct idmap *ids, int *ret, struct err *err);
int tree_boot_id(struct ct *ct, int *ret, struct err *err);

/* ground-net.c: the link, its port blocked; addresses and routes of the config for a start. */
bool ground_has_link(const struct ct *ct);
int ground_net(struct ground *g, struct err *err);
int ground_port(struct ct *ct, bool blocked, struct err *err);

/* Messages over ctl. Outside to inside: */
enum tell { TELL_IDS = 'i', TELL_MOUNT = 'm', TELL_GO = 'g', TELL_STUB = 'x' };
/* Inside to outside: done (with the console's master after TELL_MOUNT), or the error that ends it. */
struct answer { bool ok; struct err err; };
/* child.c: never returns. */
void child_main(const struct ground *g, int ctl) __attribute__((noreturn));

/* ground.c, for start.c: the mounts inside; then init itself. */
int ground_mounts(struct ground *g, struct err *err);
int ground_go(struct ground *g, struct err *err);
