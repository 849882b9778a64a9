/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phase timers: monotonic stamps under names, for reports. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t now_ns(void);                               /* CLOCK_MONOTONIC */
struct phase_time { const char *name; uint64_t start_ns, end_ns; };
struct timers { struct phase_time at[64]; size_t n; };
void timers_start(struct timers *t, const char *name);   /* static string; ends the running one */
void timers_stop(struct timers *t);
uint64_t timers_ns(const struct timers *t, const char *name); /* sum over all of that name */
