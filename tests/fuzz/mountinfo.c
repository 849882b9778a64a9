/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of mountinfo_parse(): entry by entry it has the numbers and texts of its line, and written down again it is read as
 * the same.
 */
#include "base/procfs.h"
#include "tests/fuzz/fuzz.h"

const size_t fuzz_sizes[] = {0};

static void escaped(struct fuzz_buf *b, const char *s)
{
        char four[8];

        for (; *s; s++)
                fuzz_add(b, four, (size_t)snprintf(four, sizeof(four), strchr(" \t\n\\#", *s) ? "\\%03o" : "%c", (unsigned char)*s));
        fuzz_add(b, " ", 1);
}

static void print(struct fuzz_buf *b, const struct mountinfo *m)
{
        char text[256];

        fuzz_add(b, text, (size_t)snprintf(text, sizeof(text), "%d %d %u:%u ", m->id, m->parent, m->major, m->minor));
        escaped(b, m->root);
        escaped(b, m->target);
        escaped(b, m->options);
        if (m->shared)
                fuzz_add(b, text, (size_t)snprintf(text, sizeof(text), "shared:%d ", m->shared));
        if (m->master)
                fuzz_add(b, text, (size_t)snprintf(text, sizeof(text), "master:%d ", m->master));
        if (m->propagate_from)
                fuzz_add(b, text, (size_t)snprintf(text, sizeof(text), "propagate_from:%d ", m->propagate_from));
        if (m->unbindable)
                fuzz_add(b, "unbindable ", 11);
        fuzz_add(b, "- ", 2);
        escaped(b, m->type);
        escaped(b, m->source);
        escaped(b, m->super_options);
        b->p[b->n - 1] = '\n';
}

static bool same(const struct mountinfo *a, const struct mountinfo *b)
{
        return a->id == b->id && a->parent == b->parent && a->major == b->major && a->minor == b->minor && a->shared == b->shared &&
               a->master == b->master && a->propagate_from == b->propagate_from && a->unbindable == b->unbindable &&
               !strcmp(a->root, b->root) && !strcmp(a->target, b->target) && !strcmp(a->options, b->options) && !strcmp(a->type, b->type) &&
               !strcmp(a->source, b->source) && !strcmp(a->super_options, b->super_options);
}

/* A column of the line, its escapes undone, is this text; *at goes behind it. */
static void check_text_column(const char **at, const char *text)
{
        const char *p = *at + 1;

        FUZZ_CHECK(**at == ' ');
        for (; *p && *p != ' '; text++) {
                int c = p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7'
                                ? (p[1] - '0') * 64 + (p[2] - '0') * 8 + p[3] - '0'
                                : 0;
                FUZZ_CHECK((unsigned char)*text == (c ? (unsigned char)c : (unsigned char)*p));
                p += c ? 4 : 1;
        }
        FUZZ_CHECK(!*text);
        *at = p;
}

/* What strtoull makes of the columns that are numbers, and of the marks. */
static void check_line(const char *line, const struct mountinfo *m)
{
        unsigned long long id, parent, major, minor;
        char *p = NULL;

        id = strtoull(line, &p, 10);
        parent = strtoull(p + 1, &p, 10);
        major = strtoull(p + 1, &p, 10);
        minor = strtoull(p + 1, &p, 10);
        FUZZ_CHECK(id == (unsigned)m->id && parent == (unsigned)m->parent && major == m->major && minor == m->minor && *p == ' ');
        FUZZ_CHECK(m->id >= 0 && m->parent >= 0 && m->shared >= 0 && m->master >= 0 && m->propagate_from >= 0);
        const char *end = NULL;
        const char *at = p;
        check_text_column(&at, m->root);
        check_text_column(&at, m->target);
        check_text_column(&at, m->options);
        p += at - p;
        while (strncmp(at, " - ", 3) != 0)
                at = strchr(at + 1, ' ');
        end = at;
        at += 2;
        check_text_column(&at, m->type);
        check_text_column(&at, m->source);
        check_text_column(&at, m->super_options);
        for (; p < end; p = strchr(p + 1, ' ')) {
                if (strncmp(p, " shared:", 8) == 0 && strtoull(p + 8, NULL, 10) != (unsigned)m->shared)
                        FUZZ_CHECK(strstr(p + 1, " shared:") && strstr(p + 1, " shared:") < end); /* the last one counts */
                if (strncmp(p, " master:", 8) == 0 && strtoull(p + 8, NULL, 10) != (unsigned)m->master)
                        FUZZ_CHECK(strstr(p + 1, " master:") && strstr(p + 1, " master:") < end);
        }
}

static void check_text(const char *text, size_t size, const struct mountinfo *m, size_t n)
{
        const char *line = text;

        for (size_t i = 0; i < n; i++) {
                const char *nl = memchr(line, '\n', (size_t)(text + size - line));
                FUZZ_CHECK(nl);
                char *copy = fuzz_string(line, (size_t)(nl - line));
                FUZZ_CHECK(strlen(copy) == (size_t)(nl - line));
                check_line(copy, &m[i]);
                free(copy);
                line = nl + 1;
        }
        FUZZ_CHECK(line == text + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mountinfo *m = NULL, *again = NULL;
        struct fuzz_buf b = {};
        size_t n = 4711, n_again = 0;

        if (mountinfo_parse((const char *)data, size, &m, &n, NULL) < 0) {
                FUZZ_CHECK(!m && n == 4711);
                return 0;
        }
        for (size_t i = 0; i < n; i++)
                print(&b, &m[i]);
        check_text((const char *)data, size, m, n);
        if (n) {
                FUZZ_CHECK(mountinfo_parse((const char *)b.p, b.n, &again, &n_again, NULL) == 0 && n_again == n);
                for (size_t i = 0; i < n; i++)
                        FUZZ_CHECK(same(&m[i], &again[i]));
        }
        mountinfo_free(m, n);
        mountinfo_free(again, n_again);
        free(b.p);
        return 0;
}
