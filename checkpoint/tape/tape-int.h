/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a tape, for the executors of this folder alone. */
#pragma once

#include "checkpoint/tape/tape.h"

#define TAPE_ARGS 6
#define TAPE_DATA_MAX (256u << 20)
#define TAPE_ENTRIES_MAX (4u << 20)

struct tape_entry {
        long nr;
        struct arg a[TAPE_ARGS];
        unsigned n;               /* arguments given; the others are 0 */
        bool may_fail, expected, fault;
        int errno_ok;             /* with may_fail; 0: any */
        int fault_errno;          /* with fault: the result instead of a call */
        uint32_t label;           /* 0 none, else labels[label - 1] */
        int64_t want, ret;
};

struct tape_reloc { uint32_t off; unsigned width; struct arg a; };
struct tape_chunk { uint32_t off, len; bool out; };      /* one tape_data(), for printing */
struct tape_keep_off { bool out; uint32_t off; };        /* beside keeps[]: the descriptor is an int in the data */

struct tape {
        struct actor who;
        bool bad;
        struct tape_entry *e;
        size_t n, cap;
        uint8_t *data;
        size_t data_len, data_cap;
        struct tape_reloc *relocs;
        size_t n_relocs, cap_relocs;
        struct tape_chunk *chunks;
        size_t n_chunks, cap_chunks;
        char **labels;
        size_t n_labels, cap_labels;
        uint64_t *needs;
        int *need_fds;
        size_t n_needs, cap_needs, cap_need_fds;
        struct tape_fd *keeps;
        struct tape_keep_off *keep_offs;
        size_t n_keeps, cap_keeps, cap_keep_offs;
};

/* Before play: not bad, every needed descriptor delivered; results and kept descriptors reset. */
int tape_begin(struct tape *t, struct err *err);
/* Value of an IMM, DATA or FD argument, with the data area at `data_addr` in the target. */
uint64_t tape_value(const struct tape *t, struct arg a, uint64_t data_addr);
/* Fills the places of tape_reloc() in `data`, a copy of the data area or the area itself. */
void tape_relocate(const struct tape *t, uint8_t *data, uint64_t data_addr);
/* The play goes on after this result. */
bool tape_entry_ok(const struct tape_entry *e, int64_t ret);
/* Fills keeps[].fd from results and data; entries that have not run keep -1. */
void tape_finish(struct tape *t);
/* The error of an entry whose result was not ok. */
int tape_failed(const struct tape *t, size_t entry, struct err *err);
/* Plays in this process by syscall(2). */
int tape_run_here(struct tape *t, struct err *err);

/* Name of a system call; NULL if the table has none. Static. */
const char *syscall_name(long nr);
