/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Socket options of TCP sockets that are kept, by table. */
#pragma once

#include "checkpoint/kind/tcp.h"

/* Those that differ from a fresh socket of the same family in the container. */
int tcp_options_take(struct dump *d, const struct obj *o, int fd, struct tcp *ret, struct err *err);
/* What of it no option can set again; NULL: nothing. sent: it is a connection that has sent something. */
const char *tcp_options_refuse(int family, int fd, bool sent);
/* Pure: each is in the table and has its size. */
bool tcp_options_ok(const struct tcp *x);
/* When an option is set. A listener: all but the last before bind. A connection: EARLY when it is connected, AFTER when it has
 * left repair, LAST when the tail is queued. */
enum tcp_when { TCP_EARLY = 1, TCP_AFTER = 2, TCP_LAST = 4 };
/* By `t` on descriptor `fd`, those whose `when` is in the set. */
void tcp_options_plan(struct tape *t, struct arg fd, const struct tcp *x, unsigned when);
/* NULL: it has the value of a fresh socket. */
const struct tcp_option *tcp_option_find(const struct tcp *x, int level, int name);
/* Another value than the one that was taken; plain: that of a fresh socket. */
void tcp_option_set(struct tcp *x, int level, int name, const void *value, uint32_t len, bool plain);
