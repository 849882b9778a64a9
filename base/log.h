/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log by named topic. Library floors never log above debug and never to a place of their own choice:
 * the program makes a `struct log` and passes it in its contexts. NULL is silent. A line is
 * "topic: text" with a monotonic time stamp, written by one write(2).
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum log_topic {
        LOG_CONFIG, LOG_DISK, LOG_NET, LOG_CGROUP, LOG_TAPE, LOG_DUMP, LOG_RESTORE, LOG_PAGES, LOG_WIRE,
        LOG_MIGRATE, LOG_ENGINE, LOG_N
};

struct log {
        int fd;            /* where lines go; borrowed */
        unsigned topics;   /* bit per topic */
};

/* "all", "none" or a comma list of topic names ("tape,dump"); -EX_USAGE names the unknown word. */
int log_topics_parse(const char *text, unsigned *ret, struct err *err);

void log_debug(const struct log *log, enum log_topic topic, const char *fmt, ...) PRINTF(3, 4);
