/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unread input of a terminal: looked at without losing it, and put back. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "checkpoint/tape/tape.h"

#define PTY_INPUT_MAX 4096u          /* what the line discipline holds */

struct pty_line { uint8_t *p; size_t n; };
struct pty_input {
        struct pty_line *line;       /* what one read(2) gives each; canonical mode only */
        size_t n_line;
        uint8_t *rest;               /* behind the last line, or all of it in raw mode */
        size_t n_rest;
};
void pty_input_done(struct pty_input *in);
/* Everything is as it was afterwards. 1: there is input, and it cannot be put back (CAP_SYS_ADMIN is missing). */
int pty_input_look(int fd, struct pty_input *ret, struct err *err);
/* On an empty terminal whose modes are `termios` (struct termios2): the same input again, by the tape's actor, which needs
 * CAP_SYS_ADMIN in the first user namespace. */
void pty_input_plan(struct tape *t, uint64_t object, const void *termios, const ProtobufCBinaryData *line, size_t n_line,
                    const ProtobufCBinaryData *rest);
