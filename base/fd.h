/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: whole reads and writes, passing over a unix socket, and looking at them from outside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/err.h"

/* Whole transfers. fd_read_full: 0, or 1 when the file ended before n bytes (*ret_got tells). EINTR is retried. */
int fd_read_full(int fd, void *buf, size_t n, size_t *ret_got, struct err *err);
int fd_write_full(int fd, const void *buf, size_t n, struct err *err);
int fd_pread_full(int fd, void *buf, size_t n, off_t off, size_t *ret_got, struct err *err);
int fd_pwrite_full(int fd, const void *buf, size_t n, off_t off, struct err *err);
/* Everything to the end, NUL-terminated (not counted); at most max bytes, more is -EX_FAIL. Caller frees. */
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len, struct err *err);

/* One message with `n` (≤ 253) descriptors over a unix socket; recv sets CLOEXEC on them. A datagram without
 * descriptors has n = 0. fd_recv returns 1 at end of file. */
#define FD_PASS_MAX 253
int fd_send(int sock, const void *buf, size_t len, const int fds[], size_t n, struct err *err);
int fd_recv(int sock, void *buf, size_t cap, size_t *ret_len, int fds[], size_t max, size_t *ret_n, struct err *err);

int fd_cloexec(int fd, bool on, struct err *err);
int fd_nonblock(int fd, bool on, struct err *err);
/* Moves to the lowest free number ≥ min (CLOEXEC); the old one is closed. Returns the new one or <0. */
int fd_move(int fd, int min, struct err *err);
