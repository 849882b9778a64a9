/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target's durable memory of tokens: one small file per migration in /var/lib/gantry/ledger. It outlives the container's
 * directory, because the answer to "who owns it?" must be the same for ever. Every change is a compare and set under
 * one lock, on the disk before it is true.
 */
#pragma once

#include "base/err.h"

enum ledger_state { LEDGER_NONE, LEDGER_CLAIMED, LEDGER_VOID, LEDGER_STATES };
const char *ledger_state_name(enum ledger_state s);

/* dirfd: /var/lib/gantry. */
int ledger_get(int dirfd, const char *token, enum ledger_state *ret, struct err *err);
/* Decides a token that nobody has decided: CLAIMED or VOID. 1: it is decided already, *ret_now (may be NULL) tells how; nothing
 * was changed. */
int ledger_decide(int dirfd, const char *token, enum ledger_state to, enum ledger_state *ret_now, struct err *err);
/* The question of a source in doubt: anything but CLAIMED becomes VOID. *ret: CLAIMED or VOID. */
int ledger_ask(int dirfd, const char *token, enum ledger_state *ret, struct err *err);
/* The source's GONE is durable: nobody will ask again. Only a CLAIMED entry goes; VOID ones stay. */
int ledger_forget(int dirfd, const char *token, struct err *err);
int ledger_token_check(const char *token, struct err *err);     /* 36 of 0-9 a-f -, as a uuid stands */
