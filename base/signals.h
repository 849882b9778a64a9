/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that a signal may end, but only in order: SIGINT, SIGTERM and SIGHUP are held back and asked for. */
#pragma once

#include <signal.h>
#include "base/err.h"

int signals_hold(sigset_t *ret_before, struct err *err);
/* -EX_INTERRUPTED when one has come: *err then says that `what` was interrupted, on this object. */
int signals_check(const char *what, const char *on, struct err *err);
/* r: how the work went. After a failure as before; what came is answered by the exit code, and not once more by the signal. After a
 * success they stay held: what is done is told, and not hidden behind a signal that came too late. */
void signals_release(const sigset_t *before, int r);
