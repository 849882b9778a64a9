/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the fdinfo parsers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int each(void *ctx, const char *key, const char *value)
{
        size_t *n = ctx;

        *n += strlen(key) + strlen(value);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct proc_fdinfo h;
        size_t n = 0;

        if (proc_fdinfo_parse((const char *)data, size, each, &n, NULL) == 0 && n > size)
                abort(); /* text out of nothing */
        if (proc_fdinfo_head((const char *)data, size, &h, NULL) == 0 && h.mnt_id < 0)
                abort();
        return 0;
}
