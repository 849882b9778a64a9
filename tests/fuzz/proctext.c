/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of what reads texts of /proc where they lie: the list of multicast groups and /proc/keys. A string of exactly its length, in memory of exactly its size.
 */
#include "checkpoint/collect.h"
#include "checkpoint/networld.h"
#include "tests/fuzz/fuzz.h"

const size_t fuzz_sizes[] = {0};

/* Somebody's groups were joined by hand where one line's fourth column is a number above 0. */
static bool by_hand(const char *text)
{
        bool any = false;

        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
                char *line = strndup(p, strcspn(p, "\n")), *save = NULL, *word;
                FUZZ_CHECK(line);
                word = strtok_r(line, " ", &save);
                for (int i = 0; i < 3 && word; i++)
                        word = strtok_r(NULL, " ", &save);
                any |= word && *word >= '0' && *word <= '9' && strspn(word, "0123456789") < 20 && strtoull(word, NULL, 10) > 0;
                free(line);
        }
        return any;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_string(data, size);
        bool yes = mcast_by_hand(text);

        FUZZ_CHECK(yes || !by_hand(text));
        if (keys_persistent(text, 0))
                FUZZ_CHECK(strstr(text, "keyring ") && strstr(text, "_persistent."));
        free(text);
        return 0;
}
