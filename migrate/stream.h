/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checkpoint image on the wire: the stream of docs/FORMAT.md, cut into bulk pieces. */
#pragma once

#include "base/err.h"
#include "checkpoint/session.h"
#include "migrate/wire.h"

/* Dumps into the wire, from the header to WireImageEnd. */
int stream_send(struct wire *w, struct dump *d, struct err *err);

struct stream_target;
/* Forks the unprivileged unpacker: before the freeze. Page bytes above pages_max are refused. */
int stream_target_new(uint64_t pages_max, struct stream_target **ret, struct err *err);
/* Takes a message if it is one of the image's: 1 (*ret_end: it is complete and verified); 0: somebody else's. */
int stream_target_take(struct stream_target *t, const struct wire_msg *m, const void *body, bool *ret_end, struct err *err);
/* The complete image, NULL before that; lives as long as t. */
struct image *stream_target_image(struct stream_target *t);
void stream_target_free(struct stream_target *t);
