/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every open file description has, whatever lies behind it: status flags, and who gets its SIGIO.
 *
 * Records carry it in flat fields (flags, owner_type, owner, signal), because messages share no other message.
 */
#pragma once

#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kind.h"

#define OFD_LARGEFILE 0100000u  /* always set by open() of a 64-bit program; the C library's constant is 0 there */

struct ofd {
        uint32_t flags;
        bool owned;
        uint32_t owner_type;         /* F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP */
        uint32_t owner;              /* as the container numbers its processes */
        uint32_t signal;             /* F_SETSIG; 0: SIGIO */
};

/* For kind.ask: the owner's number as its holder sees it. Asks only where there can be one: sockets and O_ASYNC. The
 * entries and the out-buffer are the first of the tape. */
int ofd_ask(struct dump *d, const struct obj *o, struct tape *t);
/* The state, from facts, the played ask (or NULL) and our duplicate. An owner that was not asked for is refused. */
int ofd_take(const struct kind *k, const struct obj *o, int fd, const struct tape *t, struct ofd *ret, struct err *err);
/* Pure: flags of open files alone, an owner that can be one. */
bool ofd_ok(const struct ofd *x);
/* In PH_ATTR, when every process is there and every queue is full: owner, signal, then O_ASYNC. */
void ofd_plan(struct restore *rs, uint64_t id, const struct ofd *x);
/* By the tape that has just made the object, for what its call could not be told: F_SETFL with the settable flags. */
void ofd_setfl(struct tape *t, struct arg fd, uint32_t flags);

/* Between a message's flat fields and struct ofd. */
#define OFD_TO_MESSAGE(x, m)                                                                                 \
        do {                                                                                                 \
                (m)->flags = (x)->flags;                                                                     \
                (m)->has_owner_type = (m)->has_owner = (m)->has_signal = (x)->owned;                         \
                (m)->owner_type = (x)->owner_type;                                                           \
                (m)->owner = (x)->owner;                                                                     \
                (m)->signal = (x)->signal;                                                                   \
        } while (0)
#define OFD_FROM_MESSAGE(m)                                                                                  \
        ((struct ofd){.flags = (m)->flags,                                                                   \
                      .owned = (m)->has_owner,                                                               \
                      .owner_type = (m)->has_owner_type ? (m)->owner_type : 0,                               \
                      .owner = (m)->has_owner ? (m)->owner : 0,                                              \
                      .signal = (m)->has_signal ? (m)->signal : 0})
