/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_status_parse(): keys and values lie in the text and end there, they are the text but for its separators, and an
 * array that is too small is not written past.
 */
#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

const size_t fuzz_sizes[] = {0};

static void check(const char *text, const char *before, size_t size, const struct proc_kv *kv, size_t n)
{
        const char *line = before, *end = before + size;

        for (size_t i = 0; i < n; i++) {
                const char *nl = memchr(line, '\n', (size_t)(end - line)), *key = kv[i].key, *value = kv[i].value;
                FUZZ_CHECK(nl && *key && key - text == line - before && value + strlen(value) == text + (nl - before));
                FUZZ_CHECK(strncmp(key, line, strlen(key)) == 0 && line[strlen(key)] == ':' && strncmp(value, nl - strlen(value), strlen(value)) == 0);
                FUZZ_CHECK(proc_kv_get(kv, n, key) && !strchr(key, ':'));
                line = nl + 1;
        }
        FUZZ_CHECK(line == end && !memchr(before, '\0', size));
}

static void with_room(const uint8_t *data, size_t size, size_t cap, size_t lines)
{
        char *text = fuzz_copy(data, size);
        struct proc_kv *kv = fuzz_array(cap, sizeof(*kv));
        size_t n = 4711;

        if (proc_status_parse(text, size, kv, cap, &n, NULL) == 0) {
                FUZZ_CHECK(n == lines && n <= cap);
                check(text, (const char *)data, size, kv, n);
        } else {
                FUZZ_CHECK(n == 4711);
        }
        free(kv);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t lines = 0;

        for (size_t i = 0; i < size; i++)
                lines += data[i] == '\n';
        with_room(data, size, lines, lines);
        if (lines)
                with_room(data, size, lines - 1, lines);
        return 0;
}
