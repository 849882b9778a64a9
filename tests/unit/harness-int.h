/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the kind harness. */
#pragma once

#include "tests/unit/harness.h"

#define KT_OBJECTS 64
#define KT_FDS 8

struct kt_object {
        struct obj o;
        const struct kind *kind;
        int fds[KT_FDS];             /* numbers to be put back; the first is the holder's */
        size_t n_fds;
        void *slot;
        char *link, *fdinfo;
        struct unix_diag *ux;
        struct record rec;
        uint8_t *bytes;
        size_t n_bytes;
        int made;                    /* restored descriptor, -1 */
        uint64_t group[KT_OBJECTS];
};

struct kt {
        struct kt_object at[KT_OBJECTS];
        size_t n;                    /* object id = index + 1 */
        int procfd, console;
        int master;                  /* the console that a restore has made, -1 */
};

struct dump { struct kt *t; };
struct restore {
        struct kt *t;
        enum phase phase;
        struct tape *tape[16];
        size_t n_tape;
};

struct kt_object *kt_at(struct kt *t, uint64_t id);
/* facts.c: what the collector would have read. */
void kt_read_facts(struct kt *t, struct kt_object *x, int fd);
