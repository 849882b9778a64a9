/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stop rule of the disk's rounds (migrate/disk.h): a pure function of counters.
 *
 * A round is worth its time while it makes the last one shorter. Below a megabyte the last round takes about as long as
 * its own drain and sync (storage.md: 23 ms and more), so nothing is gained; a round that is not well below the one before
 * it shows a writer that writes as fast as we copy, and more of them only cost. The base copy counts as the first.
 */
#include "migrate/disk.h"

#define SMALL ((uint64_t)1 << 20)

bool disk_again(const uint64_t bytes[], unsigned n)
{
        if (n == 0)
                return true;
        if (n >= DISK_ROUNDS_MAX || bytes[n - 1] <= SMALL)
                return false;
        /* One round after the base copy always: the base may have taken minutes. */
        return n < 2 || bytes[n - 1] < bytes[n - 2] / 4 * 3;
}
