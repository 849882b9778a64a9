/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disk on the wire: everything allocated first, then what was written meanwhile, round by round, the last one in
 * the freeze. Source: the change tracker, or hashes where it cannot run. Target: one file, holes as holes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "migrate/wire.h"

#define DISK_BLOCK 4096u

struct disk_stat { uint64_t rounds, bytes, holes, resent; bool tracked; };

/* Shall another round be copied while the container runs? Pure. `bytes` of each round so far, the base copy first. */
#define DISK_ROUNDS_MAX 8u
bool disk_again(const uint64_t bytes[], unsigned n);

struct disk_source;
/* imagefd: opened for reading with O_DIRECT where that works; loopfd: its device, or -1 (hashes are used). Both stay the caller's.
 * When the tracker cannot be had, *ret_note (cleared first) says why: not a failure. */
int disk_source_new(int imagefd, int loopfd, uint64_t size, struct disk_source **ret, struct err *ret_note,
                    struct err *err);
/* One round; `last`: the file system is frozen and nothing writes any more. Ends with WireRound and waits for its WireOk,
 * unless it is the last one: that answer comes later with the READY message. */
int disk_source_round(struct disk_source *d, struct wire *w, bool last, struct err *err);
uint64_t disk_source_round_bytes(const struct disk_source *d);       /* of the latest */
struct disk_stat disk_source_stat(const struct disk_source *d);
void disk_source_free(struct disk_source *d);

struct disk_target;
/* filefd: the new image, empty; it gets its size here. Stays the caller's. */
int disk_target_new(int filefd, uint64_t size, struct disk_target **ret, struct err *err);
/* Takes a message if it is one of the disk's: 1 (*ret_last: the last round is on the disk); 0: somebody else's. */
int disk_target_take(struct disk_target *d, struct wire *w, const struct wire_msg *m, const void *body, bool *ret_last,
                     struct err *err);
void disk_target_free(struct disk_target *d);
