/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of ct.conf and the editor: whatever the text, an answer comes; a refusal names a place within it; and
 * what the editor makes of a text that was right is right again and says what was set.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/ct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void edit(const char *text)
{
        struct ct_config c;
        struct err e = {};
        char *out = NULL;

        if (ct_config_set(text, "", "pids", "4711", &out, &e) < 0)
                abort();
        if (ct_config_parse(out, strlen(out), "edited", &c, &e) < 0 || c.limits.pids != 4711)
                abort();
        ct_config_done(&c);
        free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ct_config c;
        struct err e = {};
        _cleanup_free_ char *text = malloc(size + 1);

        if (!text)
                abort();
        memcpy(text, data, size);
        text[size] = '\0';
        int r = ct_config_parse((const char *)data, size, "f", &c, &e);
        if (r == 0) {
                ct_config_done(&c);
                edit(text);
        } else if (r != -EX_CONFIG || strncmp(e.on, "f:", 2) != 0 || !e.why[0]) {
                abort();
        }
        return 0;
}
