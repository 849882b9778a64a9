/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pending signals, as the kinds of a thread's and of a process's queue share them. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "checkpoint/kind/kind.h"

#define SIGNALS_MAX 65536       /* of one queue */
#define SIGINFO_FIELDS 112u     /* bytes of siginfo_t after signal, error and code, and their padding */

struct one_signal { uint32_t signal; int32_t error, code; const void *fields; size_t n_fields; };

/* The k-th of a queue, and behind it those that are only a bit of `mask` (the queue was full): sent by nobody. False at the end. */
bool siginfo_at(const siginfo_t *queue, size_t n, uint64_t mask, size_t k, siginfo_t *ret);
/* Signals that a tape cannot queue again: NULL, or what to say. */
const char *siginfo_refused(const siginfo_t *queue, size_t n, uint64_t mask);
/* Hostile input: NULL, or why not. */
const char *siginfo_bad(const struct one_signal *s);
/* Into the tape's data area as siginfo_t. */
uint32_t siginfo_tape(struct tape *t, const struct one_signal *s);
/* SigPnd or ShdPnd of a status. */
uint64_t siginfo_mask(const struct facts *f, const char *key);
