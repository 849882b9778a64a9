/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one table of exit codes: every program ends with one of these rows, every `struct err` carries
 * one, the manual (docs/EXIT-CODES.md) is held to it by a lint test. A number is never given a second meaning.
 */
#pragma once

#define EXIT_TABLE(X)                                                                                        \
        X(OK, 0, "success")                                                                                  \
        X(FAIL, 1, "an internal or system call failure")                                                     \
        X(USAGE, 2, "wrong command line")                                                                    \
        X(CONFIG, 3, "a configuration file is wrong (file, line and column are named)")                      \
        X(UNKNOWN, 4, "no such container, image, snapshot or host")                                          \
        X(EXISTS, 5, "the name, address, identifier or file is already taken")                               \
        X(STATE, 6, "the container is in a state in which this cannot be done")                              \
        X(LOCKED, 7, "another command holds the container")                                                  \
        X(PERM, 8, "a privilege is missing")                                                                 \
        X(NOSPC, 9, "not enough disk space, memory or descriptors")                                          \
        X(KERNEL, 10, "the kernel lacks a feature")                                                          \
        X(UNSUPPORTED, 11, "the container holds something that cannot be checkpointed (named)")              \
        X(IMAGE, 12, "a checkpoint image is incomplete, damaged or refused")                                 \
        X(DISK, 13, "a disk image is damaged or cannot be attached")                                         \
        X(CONNECT, 14, "the other node cannot be reached or refused the login")                              \
        X(HOSTKEY, 15, "the other node's host key is unknown or has changed")                                \
        X(PEER, 16, "the other node refused, or broke the protocol")                                         \
        X(TIMEOUT, 17, "a time limit passed")                                                                \
        X(DOUBT, 18, "ownership is in doubt: run `ctrmigrate --resolve CT`")                                 \
        X(CHECK, 19, "a check before the migration failed (all failures are listed)")                        \
        X(INTERRUPTED, 20, "interrupted by a signal; everything was undone")                                 \
        X(BUSY, 21, "the container did not come to rest in time (named)")                                    \
        X(INNER, 22, "the first program of the container failed to start")

enum exit_code {
#define X(name, num, text) EX_##name = num,
        EXIT_TABLE(X)
#undef X
};

/* The row's name ("CONFIG") and its sentence; NULL for a number without a row. Static strings. */
const char *exit_code_name(int code);
const char *exit_code_text(int code);
