/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container and its verbs. A container is a directory with one config file and one disk image; its state is files,
 * locked and written atomically. No daemon: every program may be killed at any point.
 *
 *      /var/lib/gantry/ct/NAME/   ct.conf · root.img · suspended/ · journal
 *      /run/gantry/NAME/          lock, state (pid + start time), console
 *      /etc/gantry/node.conf      cgroup subtree, bridge, idmap range
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cgroup.h"
#include "base/err.h"
#include "base/idmap.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/timer.h"
#include "checkpoint/session.h"

#define CT_NAME_MAX 63
#define CT_IPS_MAX 16

struct node;   /* directories, node.conf, cgroups, the log; one per program */
int node_open(const struct log *log, struct node **ret, struct err *err);
void node_free(struct node *n);
int node_lib_dirfd(const struct node *n);                /* /var/lib/gantry; borrowed */
struct node_config { char cgroup[256], bridge[16]; struct idmap idmap_range; };
const struct node_config *node_config(const struct node *n);
/* The first range of `count` ids of node.conf's idmap_range that no container of the node has. EX_NOSPC. */
int node_idmap_free(struct node *n, uint32_t count, struct idmap *ret, struct err *err);

struct ct_config {
        char uuid[37], hostname[65], bridge[16];
        char *init;                      /* command line, split at spaces; owned */
        char *image;                     /* "root.img", relative to the container's directory, or absolute; owned */
        uint64_t size;
        struct idmap idmap;
        struct cg_limits limits;
        unsigned char mac[6];
        struct ip_prefix ip4[CT_IPS_MAX], ip6[CT_IPS_MAX];
        size_t n_ip4, n_ip6;
        bool has_gw4, has_gw6;
        struct ip_prefix gw4, gw6;
};
/* Strict: unknown keys and bad values are EX_CONFIG with line and column. */
int ct_config_parse(const char *text, size_t len, const char *file, struct ct_config *ret, struct err *err);
void ct_config_done(struct ct_config *c);
/* Editor-safe: changes or adds one key in the text, comments and order kept; the result must parse. */
int ct_config_set(const char *text, const char *section, const char *key, const char *value, char **ret, struct err *err);

enum ct_state { CT_STOPPED, CT_RUNNING, CT_FROZEN, CT_OFFERED, CT_INCOMING, CT_SUSPENDED, CT_MOVED };
const char *ct_state_name(enum ct_state s);

struct ct;     /* an open container; lock held as asked */
enum ct_lock { CT_LOCK_NONE, CT_LOCK_SHARED, CT_LOCK_EXCLUSIVE };   /* EXCLUSIVE: EX_LOCKED names the holder's pid */
int ct_open(struct node *n, const char *name, enum ct_lock lock, struct ct **ret, struct err *err);
void ct_close(struct ct *ct);
const struct ct_config *ct_config(const struct ct *ct);
const char *ct_name(const struct ct *ct);
int ct_dirfd(const struct ct *ct);                       /* its directory; borrowed */
struct node *ct_node(const struct ct *ct);
int ct_state(struct ct *ct, enum ct_state *ret, struct err *err);
int ct_init_pidfd(struct ct *ct, struct err *err);       /* running init, checked by pid + start time; caller closes */
const char *ct_port(const struct ct *ct);                /* host side of its link: "vz" + 8 hex of its uuid */

/* Names of all containers of the node; caller frees each and the array. */
int ct_names(struct node *n, char ***ret, size_t *ret_n, struct err *err);
/* New directory, ct.conf and image (from a template's image by name, or empty). Nothing is left on failure. */
struct ct_create { const char *name, *template_name; struct ct_config config; };
int ct_create(struct node *n, const struct ct_create *c, struct err *err);
int ct_destroy(struct ct *ct, struct err *err);          /* stopped (or MOVED) only */
/* "memory", "net.ip4"; an empty value removes the key. Applied live where it can be; 1: takes effect at the next start. */
int ct_set(struct ct *ct, const char *key, const char *value, struct err *err);

int ct_start(struct ct *ct, struct err *err);
/* Init's own stop signal, then after seconds cgroup.kill. */
int ct_stop(struct ct *ct, unsigned seconds, struct err *err);
/* Runs argv inside, as root of the container, on our descriptors 0–2 (or a pty when they are terminals); *ret_status. */
int ct_exec(struct ct *ct, const char *const argv[], int *ret_status, struct err *err);

/*
 * Ground: what both start and restore begin with. A stub is cloned as init in all eight namespaces, with id maps, cgroup
 * (limits applied), hostname and its veth (port blocked). start lets it finish the mounts and exec init; restore makes it exec the
 * checkpoint's stub and hands it to session_prepare() as the subject's init.
 */
struct ground;
enum ground_for { GROUND_START, GROUND_RESTORE };
int ct_ground(struct ct *ct, enum ground_for purpose, struct ground **ret, struct err *err);
/* Attaches and mounts the image (after its last block has come); the root and /dev trees are kept for open_external. */
int ground_image(struct ground *g, struct err *err);
int ground_subject(struct ground *g, struct subject *ret, struct err *err);
/* Everything undone: stub killed, link, cgroup, loop device gone. NULL allowed. */
void ground_undo(struct ground *g);
/* After GO: the caller's process becomes the monitor of this container (exec of ctrmon, which holds init's pidfd and the
 * console master; init must be our child). Does not return on success. state files are written before. */
int ground_monitor(struct ground *g, struct err *err);
/* A child that keeps the console's master and becomes the monitor should this process die before ground_monitor(): to be
 * called when the restore is done, before anything is promised to another node. ground_undo() ends it. */
int ground_keeper(struct ground *g, struct err *err);
/* Durable run state (pid + start time) so that other commands see the container as running; part of GO's path. */
int ground_commit(struct ground *g, struct err *err);

/* A running container as the subject of a dump (open_external etc. filled in); ct must stay open. */
int ct_subject(struct ct *ct, struct subject *ret, struct err *err);
void subject_done(struct subject *s);
/* ctrctl checkpoint / restore: whole verbs over an image directory. */
int ct_checkpoint(struct ct *ct, const char *dir, bool leave_running, struct session_stats *ret, struct err *err);
int ct_restore(struct ct *ct, const char *dir, struct err *err);   /* dir: absolute, or relative to the container's directory */
/* A tree that our engine did not start, by its first process; it must have a v2 cgroup to itself. Nothing of it is external. */
int tree_checkpoint(struct node *n, pid_t pid, const char *dir, bool leave_running, struct session_stats *ret, struct err *err);

/* The journal: one small durable record beside the image that says who owns the container (docs/PROTOCOL.md). */
enum owner { OWNER_HERE, OWNER_PREPARED, OWNER_OFFERED, OWNER_CLAIMED, OWNER_GONE, OWNER_VOID };
struct journal { enum owner owner; char token[37]; char peer[256]; bool frozen; };
int ct_journal_get(struct ct *ct, struct journal *ret, struct err *err);   /* no file: OWNER_HERE */
int ct_journal_put(struct ct *ct, const struct journal *j, struct err *err);

/*
 * A container on its way in is the directory NAME.incoming: no label, so that no command takes it for a container until
 * the migration is decided. It has the same files, and /run/gantry/NAME like any other. All of these hold the lock EXCLUSIVE.
 */
/* Makes it with this ct.conf text and a journal that says VOID, durably. EX_EXISTS when NAME or NAME.incoming is there. */
int ct_incoming_create(struct node *n, const char *name, const char *config, struct ct **ret, struct err *err);
/* One that a killed migration left. EX_UNKNOWN, EX_LOCKED. ct_state() says INCOMING for both. */
int ct_incoming_open(struct node *n, const char *name, struct ct **ret, struct err *err);
/* NAME.incoming becomes NAME, durably; idempotent (a ct that has its name already is left alone). */
int ct_incoming_adopt(struct ct *ct, struct err *err);
/* Everything of it is removed: tasks, link, cgroup, loop device, run directory, files. Idempotent. */
int ct_incoming_remove(struct ct *ct, struct err *err);
/* Under another name, which is free: what --keep-source leaves behind. Stopped or MOVED only. */
int ct_rename(struct ct *ct, const char *name, struct err *err);
/* What is left when the tree was killed from outside (session_kill): run directory, link, cgroup. Idempotent. */
int ct_cleanup(struct ct *ct, struct err *err);
