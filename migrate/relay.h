/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The relay: a child without privileges that stands between the stream from the other node and the process that acts on
 * it. It parses, checks and hands on whole messages, sends heartbeats and notices their absence.
 */
#pragma once

#include "base/err.h"
#include "migrate/wire.h"

#define RELAY_BEAT_MS 1000u
#define RELAY_SILENCE_MS 10000u      /* ten heartbeats */

struct relay { int net_in, net_out, local; };   /* the stream; our end of the socket to the privileged process */
/* Runs until the stream or the process ends; 0 = both in order. Never to be called with privileges. */
int relay_run(const struct relay *r, struct err *err);
/* Forks it: takes over net_in and net_out, gives the wire to it and its pidfd. The caller has one thread. */
int relay_start(int net_in, int net_out, unsigned step_ms, struct wire *ret, int *ret_pidfd, struct err *err);
