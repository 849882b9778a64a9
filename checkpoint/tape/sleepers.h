/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long the sleepers would have slept on: nanosleep, futex and poll keep their end in the kernel alone (nanosleep tells
 * it only where the program asked for it). Without this a restored `sleep 3600` sleeps its whole hour again. And what else of a task is in
 * the kernel alone, and asked for by the same means.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
#include "checkpoint/tape/tracee.h"

struct sleepers;
/* 1: this kernel or this build cannot tell (BTF, CAP_BPF, clang); the calls then start with their whole time. Takes some
 * milliseconds: before anything is stopped. */
int sleepers_open(struct sleepers **ret, struct err *err);
void sleepers_close(struct sleepers *s);
/* For stopped threads: what tracee_get() tells as left_ns. Threads that sleep in no such call, or for less than a second in all, are
 * passed over: it costs 20 us each in the freeze. NULL allowed. */
int sleepers_read(struct sleepers *s, struct tracee *const t[], size_t n, struct err *err);

/* Of a thread; what it cannot tell is false. sud: system call user dispatch. binfmt: its user namespace has a binfmt_misc of its own. */
struct sleeper_bits { bool sud, binfmt; };
/* 1: nobody can tell. NULL allowed. */
int sleepers_bits(struct sleepers *s, pid_t tid, struct sleeper_bits *ret);
/* Is descriptor `fd` of a process a socket whose SO_REUSEPORT group has a program that chooses? The same. */
int sleepers_steered(struct sleepers *s, pid_t pid, int fd, bool *ret);
