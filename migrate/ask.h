/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The question of a source in doubt, on a connection of its own, and what follows from the answer. */
#pragma once

#include "base/err.h"
#include "engine/ct.h"
#include "migrate/migrate.h"

/* Asks until there is an answer: *ret_claimed. EX_DOUBT when the time or the patience (o->stop_fd) is over. */
int ask_owner(const char *host, const char *token, const char *name, const struct migrate_options *o, bool *ret_claimed,
              struct err *err);
/* The source's copy after GONE: killed, cleaned up, and removed or kept as NAME-moved-XXXXXXXX (ret_left_as, may be ""). dump
 * may be NULL; it is used up. Each part is idempotent, so that the next command can go on where a killed one was. */
int source_gone(struct ct *ct, const struct subject *s, struct dump *dump, bool remove,
                char ret_left_as[CT_NAME_MAX + 1], struct err *err);
/* Neighbours and switches are told where the container is now. */
int target_announce(struct ct *ct, struct err *err);
/* After GO: the directory gets the container's name and the journal says CLAIMED. Idempotent. */
int target_settle(struct ct *ct, const char *token, const char *peer, struct err *err);
/* GO and these, by a process that did not restore it; a container whose tasks did not survive is left stopped. */
int target_claimed(struct ct *ct, struct err *err);
