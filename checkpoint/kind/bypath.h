/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What regular files, directories and device nodes have in common: they are opened again by their path.
 *
 * The path is the one from the root of the holder's mount namespace. Each of the three kinds has its own message; here is
 * its content as C.
 */
#pragma once

#include "checkpoint/kind/ofd.h"

struct bypath {
        struct ofd ofd;
        ProtobufCBinaryData path;
        uint64_t pos;
        uint32_t mode;               /* st_mode */
        uint32_t rdev;               /* devices: major << 20 | minor */
        uint64_t size;               /* regular files */
        bool has_ino;                /* the file system keeps its numbers when it moves */
        uint64_t ino;
        uint64_t hint;               /* F_SET_RW_HINT; of regular files alone */
};

/* Refuses what its path does not lead to: a replaced file, one under another mount, one of another mount namespace. */
int bypath_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, const struct tape *t, struct bypath *ret,
                struct err *err);
int bypath_check(const struct kind *k, const struct record *r, const struct bypath *b, struct need *need, struct err *err);
/* Open and seek in the owner, at this phase; returns the entry that opens. */
uint32_t bypath_make(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b);
/* PH_BIND: what was opened is what was dumped (EX_IMAGE: the disk is not the one of the checkpoint). */
int bypath_verify(const struct kind *k, struct restore *rs, const struct record *r, const struct bypath *b, struct err *err);
