/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A v2 cgroup directory as it is seen from outside, and the interface files in it: which hold state, and which of it can be written again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/idmap.h"
#include "proto/record.h"

#define CG_DIRS_MAX 4096u    /* directories of a container */
#define CG_DEPTH_MAX 64u     /* below its payload */
#define CG_PATH_MAX 4096u    /* bytes of a path from the payload, its NUL included */
#define CG_VALUE_MAX 256u    /* bytes of a value */
#define CG_XATTRS_MAX 128u   /* the kernel's own limit (kernfs) */

struct cg_value { char *name, *text; };                            /* an interface file that is not as in a new directory */
struct cg_file { char *name; uint32_t uid, gid, mode; };           /* ids as inside */
struct cg_xattr { char *name; void *value; size_t len; };
struct cg_seen {
        uint32_t uid, gid, mode;
        bool threaded, frozen;
        char *controllers;                                         /* cgroup.subtree_control, "" if none */
        struct cg_value *value;                                    /* in the order in which they are written */
        size_t n_value;
        struct cg_file *file;                                      /* those that do not belong to root with their usual mode */
        size_t n_file;
        struct cg_xattr *xattr;
        size_t n_xattr;
        char odd[160];                                             /* what of it cannot be kept, or "" */
};
void cg_seen_free(struct cg_seen *s);

/* The payload's own files: nobody inside may write them (but three), so they are as in a new directory. */
struct cg_base;
int cg_base_read(int payload, struct cg_base **ret, struct err *err);
void cg_base_free(struct cg_base *b);
/* A directory, by a descriptor that was opened for reading. The payload itself: what its owner may have changed. */
int cg_look(int dir, bool payload, const struct cg_base *base, const struct idmap *ids, struct cg_seen **ret, struct err *err);

/* Pure. A name that a directory may have: no '/', no newline, not "." or "..", not one that the kernel keeps for its files. */
bool cg_name_ok(const void *name, size_t len);
/* Pure. The place in the order of writing of an interface file that holds a value; -1: none that a record may name. */
int cg_value_rank(const char *name);
bool cg_value_ok(const char *text);
/* Pure. `word` is one of a line of words, as in cgroup.controllers. */
bool cg_listed(const char *line, const void *word, size_t len);
/* Pure. The three files of the payload that belong to the container. */
bool cg_delegated(const char *name);

/* Restore. The path of a directory's record from the payload, without a leading '/', and the id of the payload's own record.
 * Its depth, or -1 where it leads to no payload or is too long. */
struct restore;
struct tape;
int cg_path(struct restore *rs, const struct record *r, char ret[CG_PATH_MAX], uint64_t *ret_payload);
/* Opens it beneath the payload, whose object the session has made. The entry. */
uint32_t cg_open(struct tape *t, uint64_t payload, const char *path, int flags);
