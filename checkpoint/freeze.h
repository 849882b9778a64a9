/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* STOP, its undoing and the guard. Private to checkpoint/. */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "checkpoint/session.h"

/* freeze.c: STOP and its undoing */
int dump_stop(struct dump *d, unsigned ms, struct err *err);
int dump_release(struct dump *d, struct err *err);               /* agents out, tracees detached */
int dump_detach(struct dump *d, struct err *err);                /* the latter alone */
int dump_unstop(struct dump *d, struct err *err);                /* the whole of STOP undone */
int guard_start(struct dump *d, struct err *err);
int guard_socket(struct dump *d, int fd, struct err *err);        /* a socket that is about to go into repair */
void guard_end(struct dump *d);
int subject_freeze_below(const struct subject *s, struct err *err);
int subject_thaw(const struct subject *s, bool network, struct err *err);
int subject_repair_off(const struct subject *s, struct err *err);
