/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket options: those that differ from a fresh socket's, as pairs (number of ours, value) in two repeated fields of a
 * message (`option`, `value`).
 */
#pragma once

#include "checkpoint/kind/kind.h"

enum sockopt_when { SOCKOPT_EARLY = 1 /* before bind, connect, data */, SOCKOPT_LATE = 2, SOCKOPT_ALL = 3 };

struct sockopts { size_t n; uint32_t *option; int64_t *value; };
void sockopts_done(struct sockopts *s);

/* Reads from our duplicate. Refuses what no option can set: filters, upper protocols. */
int sockopts_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, struct sockopts *ret, struct err *err);
/* Pure: numbers that exist, each once, rising. */
bool sockopts_ok(const uint32_t *option, size_t n, size_t n_value);
/* Sets those of that time. */
void sockopts_plan(struct tape *t, struct arg fd, const struct sockopts *s, enum sockopt_when when);
/* The value of an option by its own (level, name), or `fallback`. */
int64_t sockopts_get(const struct sockopts *s, int level, int name, int64_t fallback);

/* Buffer sizes: as getsockopt says, and which were chosen by the program (SO_BUF_LOCK, 5.16). */
struct sockbufs { uint32_t snd, rcv, lock; };
#define SOCKBUF_MAX (64u << 20)
int sockbufs_take(int fd, struct sockbufs *ret, struct err *err);
static inline bool sockbufs_ok(const struct sockbufs *b)
{
        return b->snd <= SOCKBUF_MAX && b->rcv <= SOCKBUF_MAX && b->lock <= 3;
}
/* By the engine, which may go beyond wmem_max; a record is held to SOCKBUF_MAX by check(). */
void sockbufs_plan(struct restore *rs, uint64_t object, const struct sockbufs *b);

#define SOCKOPTS_OF(m) ((struct sockopts){.n = (m)->n_option, .option = (m)->option, .value = (m)->value})
