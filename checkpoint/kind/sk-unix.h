/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dump side and the restore side of unix stream sockets: sk-unix-stream.c and unix-plan.c. */
#pragma once

#include "checkpoint/kind/ofd.h"
#include "checkpoint/kind/sockopt.h"

/* The files include the message; this header does not. */
#define UNIX_STATE(x) GANTRY__SK_UNIX_STREAM__STATE__##x
#define UNIX_DATA_MAX (256u << 10)   /* what fits the send buffer that wmem_max allows */
#define UNIX_INLINE_MAX 65536u
#define UNIX_PATH_LEN 108
#define UNIX_GROUPS_MAX 64u          /* supplementary groups of a peer that are asked for */

int unix_check(const struct record *r, struct need *need, struct err *err);
int unix_make(struct restore *rs, const struct record *r, struct err *err);
int unix_bind(struct restore *rs, const struct record *r, struct err *err);
int unix_hand(struct restore *rs, const struct record *r, struct err *err);
int unix_attr(struct restore *rs, const struct record *r, struct err *err);
