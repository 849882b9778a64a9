/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of the fdinfo parsers: keys and values are parts of their lines, in order, and the head's numbers are those that the C
 * library reads behind the last line of each key.
 */
#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

const size_t fuzz_sizes[] = {8192, 0};

struct walk { const char *at, *end; size_t lines; };

static int each(void *ctx, const char *key, const char *value)
{
        struct walk *w = ctx;

        FUZZ_CHECK(w->at < w->end);
        const char *nl = memchr(w->at, '\n', (size_t)(w->end - w->at));
        size_t n = (size_t)((nl ? nl : w->end) - w->at), k = strlen(key), v = strlen(value);
        FUZZ_CHECK(k + v <= n && memcmp(key, w->at, k) == 0 && memcmp(value, w->at + n - v, v) == 0);
        FUZZ_CHECK(!strpbrk(key, ": \t\n") && (k == n || strchr(": \t", w->at[k])) && *value != ' ' && *value != '\t');
        w->at = nl ? nl + 1 : w->end;
        w->lines++;
        return 0;
}

/* What stands behind the last line that begins with this key; NULL: there is none. */
static const char *last_of(const char *text, const char *key)
{
        const char *found = NULL;
        size_t n = strlen(key);

        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
                if (strncmp(p, key, n) == 0 && strchr(": \t\n", p[n]))
                        found = p + n + strspn(p + n, p[n] == '\n' ? "" : ": \t");
        return found;
}

static void check_head(const char *text, const struct proc_fdinfo *h)
{
        const char *pos = last_of(text, "pos"), *flags = last_of(text, "flags"), *mnt = last_of(text, "mnt_id"), *ino = last_of(text, "ino");

        FUZZ_CHECK(pos && flags && h->mnt_id >= 0);
        FUZZ_CHECK(strtoull(flags, NULL, 8) == h->flags && strspn(flags, "01234567") == strcspn(flags, "\n"));
        FUZZ_CHECK(h->pos == (*pos == '-' ? 0 - strtoull(pos + 1, NULL, 10) : strtoull(pos, NULL, 10)));
        FUZZ_CHECK(strspn(pos + (*pos == '-'), "0123456789") == strcspn(pos + (*pos == '-'), "\n"));
        FUZZ_CHECK(!mnt || strtoull(mnt + (*mnt == '-'), NULL, 10) == (unsigned)h->mnt_id);
        FUZZ_CHECK(!ino || strtoull(ino + (*ino == '-'), NULL, 10) == h->ino);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct walk w = {.at = (const char *)data, .end = (const char *)data + size};
        struct proc_fdinfo h;

        if (proc_fdinfo_parse((const char *)data, size, each, &w, NULL) == 0)
                FUZZ_CHECK(w.at == w.end && !memchr(data, '\0', size));
        if (proc_fdinfo_head((const char *)data, size, &h, NULL) == 0) {
                char *text = fuzz_string(data, size);
                check_head(text, &h);
                free(text);
        }
        return 0;
}
