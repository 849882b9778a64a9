/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Socket options of TCP sockets that are kept, by table. */
#pragma once

#include "checkpoint/kind/tcp.h"

/* Those that differ from a fresh socket of the same family. */
int tcp_options_take(int family, int fd, struct tcp *ret, struct err *err);
/* Pure: each is in the table and has its size. */
bool tcp_options_ok(const struct tcp *x);
/* By `t` on descriptor `fd`. late: those that change what is sent at once (TCP_CORK), which come last of all. */
void tcp_options_plan(struct tape *t, struct arg fd, const struct tcp *x, bool late);
