/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of proc_smaps_parse(): areas ascend and do not overlap, texts are ended, and every number is the one that the C
 * library reads in the same place.
 */
#include <inttypes.h>

#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

/* The name, what is escaped of it, VmFlags, a line. */
const size_t fuzz_sizes[] = {4 * 4095, 16640, 0};

struct seen {
        const char *at, *end; /* what has not been looked at yet */
        char *line;
        uint64_t last;
        size_t n;
};

/* The next line whole; NULL at the end. Lives until the next call. */
static const char *next_line(struct seen *s)
{
        const char *at = s->at;

        if (at >= s->end)
                return NULL;
        size_t n = (size_t)((const char *)memchr(at, '\n', (size_t)(s->end - at)) - at);
        s->at = at + n + 1;
        free(s->line);
        return s->line = fuzz_string(at, n);
}

/* The next head line, as sscanf has it. */
static void head_of(struct seen *s, struct proc_vma *ret, char perms[5])
{
        const char *line;

        while ((line = next_line(s)) && line[0] >= 'A' && line[0] <= 'Z')
                ;
        FUZZ_CHECK(line && sscanf(line, "%" SCNx64 "-%" SCNx64 " %4c %" SCNx64 " ", &ret->start, &ret->end, perms, &ret->pgoff) == 4);
        perms[4] = '\0';
}

static uint64_t kilobytes(const char *line, const char *key)
{
        size_t n = strlen(key);

        return strncmp(line, key, n) == 0 ? strtoull(line + n, NULL, 10) : 0;
}

static void figures_of(struct seen *s, const struct proc_vma *v)
{
        uint64_t rss = 0, anonymous = 0, swap = 0;
        size_t flags = 0;
        const char *line;

        for (const char *before = s->at; (line = next_line(s)); before = s->at) {
                if (line[0] < 'A' || line[0] > 'Z') {
                        s->at = before;
                        break;
                }
                rss = strncmp(line, "Rss:", 4) ? rss : kilobytes(line, "Rss:");
                anonymous = strncmp(line, "Anonymous:", 10) ? anonymous : kilobytes(line, "Anonymous:");
                swap = strncmp(line, "Swap:", 5) ? swap : kilobytes(line, "Swap:");
                if (strncmp(line, "VmFlags:", 8) == 0) {
                        const char *text = line + 8 + strspn(line + 8, " ");
                        flags = strlen(text);
                        while (flags && text[flags - 1] == ' ')
                                flags--;
                }
        }
        FUZZ_CHECK(strlen(v->flags) == flags && v->rss >> 10 == rss && v->anonymous >> 10 == anonymous && v->swap >> 10 == swap);
}

static int each(void *ctx, const struct proc_vma *v)
{
        struct seen *s = ctx;
        struct proc_vma want = {};
        char perms[5] = "";

        FUZZ_CHECK(v->start >= s->last && v->end > v->start);
        FUZZ_CHECK(memchr(v->name, '\0', sizeof(v->name)) && memchr(v->flags, '\0', sizeof(v->flags)));
        head_of(s, &want, perms);
        FUZZ_CHECK(v->start == want.start && v->end == want.end && v->pgoff == want.pgoff);
        FUZZ_CHECK(v->r == (perms[0] == 'r') && v->w == (perms[1] == 'w') && v->x == (perms[2] == 'x') && v->shared == (perms[3] == 's'));
        figures_of(s, v);
        s->last = v->end;
        s->n++;
        return 0;
}

/* What was accepted is lines that end, of heads and of figures, and each head was told. */
static void check_all(const char *text, size_t n, size_t told)
{
        size_t heads = 0;

        for (const char *p = text; p < text + n; p++) {
                const char *nl = memchr(p, '\n', (size_t)(text + n - p));
                uint64_t start, end, pgoff, ino;
                uint64_t major, minor;
                char perms[5];
                FUZZ_CHECK(nl && !memchr(p, '\0', (size_t)(nl - p)));
                bool figure = *p >= 'A' && *p <= 'Z';
                char *line = fuzz_string(p, (size_t)(nl - p));
                p = nl;
                FUZZ_CHECK(!figure || heads);
                heads += !figure;
                if (figure) {
                        free(line);
                        continue;
                }
                FUZZ_CHECK(sscanf(line, "%" SCNx64 "-%" SCNx64 " %4c %" SCNx64 " %" SCNx64 ":%" SCNx64 " %" SCNu64, &start, &end, perms, &pgoff,
                                  &major, &minor, &ino) == 7);
                FUZZ_CHECK(major <= UINT32_MAX && minor <= UINT32_MAX);
                free(line);
        }
        FUZZ_CHECK(heads == told);
}

/* Flags are found where they stand alone, and not elsewhere; in memory that ends with the text. */
static void check_flags(const char *text, size_t n)
{
        struct proc_vma *v = calloc(1, sizeof(*v));

        FUZZ_CHECK(v);
        if (n < sizeof(v->flags)) {
                memcpy(v->flags, text, n);
                if (proc_vma_flag(v, "wr"))
                        FUZZ_CHECK(strstr(v->flags, "wr"));
        }
        free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct seen s = {.at = (const char *)data, .end = (const char *)data + size};

        if (proc_smaps_parse((const char *)data, size, each, &s, NULL) == 0)
                check_all((const char *)data, size, s.n);
        free(s.line);
        check_flags((const char *)data, size);
        return 0;
}
