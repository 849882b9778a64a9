/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_stat_parse().
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct proc_stat s;

        if (proc_stat_parse((const char *)data, size, &s, NULL) != 0)
                return 0;
        if (s.pid < 0 || !s.state || strnlen(s.comm, sizeof(s.comm)) == sizeof(s.comm))
                abort();
        return 0;
}
