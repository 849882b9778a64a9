/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process is a pidfd, with its number only for texts and /proc. Signals go by pidfd only. */
#pragma once

#include <sys/types.h>
#include "base/err.h"

int pidfd_open_proc(pid_t pid, struct err *err);                 /* fd or <0 (EX_UNKNOWN when gone) */
int pidfd_signal(int pidfd, int sig, struct err *err);           /* 1: already gone */
/* Waits for our child. ms < 0: for ever. 1: still running after ms. *ret_status as in siginfo: exit code, or 128 + signal. */
int pidfd_wait(int pidfd, int ms, int *ret_status, struct err *err);
int pidfd_alive(int pidfd);                                      /* 1, 0 */
int pidfd_pid(int pidfd, pid_t *ret, struct err *err);           /* number in our pid namespace, from fdinfo */
/* SIGKILL and, for our child, reap. Idempotent. */
void pidfd_end(int pidfd);
