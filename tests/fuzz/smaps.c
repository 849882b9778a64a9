/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_smaps_parse(): areas ascend and do not overlap, texts are ended.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int each(void *ctx, const struct proc_vma *v)
{
        uint64_t *end = ctx;

        if (v->start < *end || v->end <= v->start)
                abort();
        *end = v->end;
        if (strnlen(v->name, sizeof(v->name)) == sizeof(v->name) || strnlen(v->flags, sizeof(v->flags)) == sizeof(v->flags))
                abort();
        (void)proc_vma_flag(v, "wr");
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint64_t end = 0;

        (void)proc_smaps_parse((const char *)data, size, each, &end, NULL);
        return 0;
}
