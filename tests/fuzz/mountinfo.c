/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of mountinfo_parse().
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mountinfo *m = NULL;
        size_t n = 0, bytes = 0;

        if (mountinfo_parse((const char *)data, size, &m, &n, NULL) < 0) {
                if (m)
                        abort();
                return 0;
        }
        for (size_t i = 0; i < n; i++) {
                bytes += strlen(m[i].root) + strlen(m[i].target) + strlen(m[i].options) + strlen(m[i].type) +
                         strlen(m[i].source) + strlen(m[i].super_options);
                if (m[i].id < 0 || m[i].shared < 0)
                        abort();
        }
        if (bytes > size)
                abort();
        mountinfo_free(m, n);
        return 0;
}
