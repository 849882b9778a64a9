/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A gate that threads and children wait at without polling, so that they are found in the same call each time. */
#pragma once

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Number of calls that ended with an errno that a futex wait has no reason for. */
static inline unsigned gate_wait(volatile int *gate)
{
        unsigned odd = 0;

        while (!*gate)
                if (syscall(SYS_futex, gate, FUTEX_WAIT, 0, NULL, NULL, 0) < 0 && errno != EAGAIN)
                        odd++;
        return odd;
}

static inline void gate_open(volatile int *gate)
{
        *gate = 1;
        syscall(SYS_futex, gate, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
