/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors on their way, and one phase of tapes. Private to checkpoint/. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "checkpoint/tape/tape.h"

struct restore;

/* deliver.c */
struct receive { uint32_t entry, control; size_t n; };
struct receive deliver_receive(struct tape *t, int sock, size_t n);           /* writes the entry that receives n descriptors */
int deliver_needs(struct restore *rs, struct tape *t, struct err *err);       /* before a phase's tape plays */
int collect_keeps(struct restore *rs, struct tape *t, struct err *err);       /* after it */
int play_one(struct restore *rs, struct tape *t, struct err *err);            /* a session's own tape, freed here */
int deliver_cleanup(struct restore *rs, struct err *err);                     /* closes what phases left in tasks */

/* phase.c, with restore_tape() and restore_keep_map() of kind.h */
int phase_play(struct restore *rs, struct err *err);
void phase_drop(struct restore *rs);                                          /* tapes that are not to be played */
