/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_status_parse(): keys and values lie in the text and end there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct proc_kv kv[32];
        size_t n = 0, lines = 0;
        char *text = malloc(size ? size : 1);

        if (!text)
                abort();
        if (size)
                memcpy(text, data, size);
        for (size_t i = 0; i < size; i++)
                lines += data[i] == '\n';
        if (proc_status_parse(text, size, kv, ELEMENTSOF(kv), &n, NULL) == 0) {
                if (n != lines)
                        abort();
                for (size_t i = 0; i < n; i++) {
                        if (kv[i].key < text || kv[i].value + strlen(kv[i].value) >= text + size || !*kv[i].key)
                                abort();
                        if (!proc_kv_get(kv, n, kv[i].key))
                                abort();
                }
        }
        free(text);
        return 0;
}
