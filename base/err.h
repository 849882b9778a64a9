/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors are values. Where one happens, the function fills the caller's `struct err` once and returns a
 * negative number; every caller forwards that number unchanged, wrapping the text where it knows more
 * ("cannot migrate web1: cannot mount …"). On success the value is untouched. Positive returns are
 * conditions that the function documents and its caller consumes; they never travel further.
 *
 * `err` may be NULL everywhere: the return value alone then tells. No allocation, no global state.
 */
#pragma once

#include <stdbool.h>
#include "base/exit.h"

struct err {
        int code;          /* a row of the exit table, never EX_OK once set */
        int sys;           /* errno at the origin, 0 where no system call was at fault */
        char what[96];     /* what failed: "cannot mount the file system" */
        char on[160];      /* on which object: "/var/lib/gantry/ct/web1/root.img" */
        char why[384];     /* why: "No space left on device", or the text of a wrapped error */
        char remedy[192];  /* what to do about it; may be empty */
};

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Fills `e` (NULL allowed). `what` is a sentence without a stop; `on` is formatted. Returns -code. */
int err_set(struct err *e, int code, const char *what, const char *why, const char *on_fmt, ...) PRINTF(5, 6);

/* The same for a failed system call: why = strerror(errno_value). `sysno` may be negative (-errno) or positive.
 * ENOSPC/EDQUOT/ENOMEM/EMFILE/ENFILE turn EX_FAIL into EX_NOSPC, EPERM/EACCES into EX_PERM. Returns -code. */
int err_sys(struct err *e, int code, int sysno, const char *what, const char *on_fmt, ...) PRINTF(5, 6);

/* Replaces the reason with formatted text, keeps code, what and on. Returns -e->code (-EX_FAIL for NULL). */
int err_why(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Sets the remedy, if none is set yet. Returns -e->code, so that `return err_remedy(e, …)` ends a function. */
int err_remedy(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Adds an outer "what: on"; the inner text moves into why, but for what the outer one says again. Returns -e->code. */
int err_wrap(struct err *e, const char *what, const char *on_fmt, ...) PRINTF(3, 4);

/* The remedy; where none was set, what helps against a full disk, no memory, no descriptors or a missing privilege; "". */
const char *err_advice(const struct err *e);

/* "what: on: why. remedy" on one line, NUL-terminated; returns ret. */
char *err_format(const struct err *e, char *ret, unsigned long size);

/* -e->code (-EX_FAIL for NULL): for a function that has to end with what one which returned something else has set. */
int err_result(const struct err *e);

/* Takes over what another error says, as it is. Returns -from->code. */
int err_take(struct err *e, const struct err *from);

static inline bool err_is_set(const struct err *e)
{
        return e && e->code;
}
