/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsing by somebody who can do no harm: a child without capabilities, files and system calls meets every frame first.
 * It unpacks, packs again and answers with the frame it made; what does not come back byte for byte is refused. So
 * the privileged side parses only frames that have been through the parser once without breaking it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "proto/record.h"

struct unpacker;

/* Forks the child. `types` must outlive it. */
int unpacker_start(const struct record_types *types, struct unpacker **ret, struct err *err);
/* Whole frames, one after the other, each of which passed record_frame_check. A record that is refused, or breaks the child,
 * is named (EX_IMAGE); after an error the unpacker is of no further use. */
int unpacker_frames(struct unpacker *u, const uint8_t *p, size_t n, struct err *err);
void unpacker_end(struct unpacker *u); /* NULL allowed */
