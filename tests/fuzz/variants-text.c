/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variants of a corpus of text (fuzz.h): each word and each number in it left out, doubled, put in another's place, made as long as
 * a limit and one beside it; numbers at the limits of every type; each line doubled, left out, moved, made as long as a limit;
 * bytes that do not belong into text; the whole of it as long as a limit.
 */
#include <ctype.h>

#include "tests/fuzz/fuzz.h"

struct piece { size_t at, len; };
struct pieces { struct piece *v; size_t n, cap; };

static void add(struct pieces *l, size_t at, size_t len)
{
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 64;
                l->v = reallocarray(l->v, l->cap, sizeof(*l->v));
                if (!l->v)
                        abort();
        }
        l->v[l->n++] = (struct piece){at, len};
}

static bool in_word(uint8_t c)
{
        return isalnum(c) || c == '_' || c == '.';
}

/* Runs of letters and digits, and each byte between them that is no blank. */
static struct pieces words_of(const uint8_t *p, size_t n)
{
        struct pieces l = {};

        for (size_t at = 0; at < n;) {
                size_t len = 0;
                while (at + len < n && in_word(p[at + len]))
                        len++;
                if (len || (p[at] != ' ' && p[at] != '\n'))
                        add(&l, at, len ? len : 1);
                at += len ? len : 1;
        }
        return l;
}

/* Each with its newline. */
static struct pieces lines_of(const uint8_t *p, size_t n)
{
        struct pieces l = {};

        for (size_t at = 0; at < n;) {
                const uint8_t *nl = memchr(p + at, '\n', n - at);
                size_t len = nl ? (size_t)(nl - p) + 1 - at : n - at;
                add(&l, at, len);
                at += len;
        }
        return l;
}

struct seed { const uint8_t *p; size_t n; const struct fuzz_sink *to; };

/* The seed with `put` in the place of a piece. */
static void replace(const struct seed *s, struct piece w, const void *put, size_t len)
{
        struct fuzz_buf b = {};

        fuzz_add(&b, s->p, w.at);
        fuzz_add(&b, put, len);
        fuzz_add(&b, s->p + w.at + w.len, s->n - w.at - w.len);
        s->to->put(s->to->ctx, b.p, b.n);
        free(b.p);
}

/* `by` more bytes before `end`. */
static void stretch(const struct seed *s, size_t end, size_t by, uint8_t with)
{
        struct fuzz_buf b = {};

        fuzz_add(&b, s->p, end);
        fuzz_fill(&b, with, by);
        fuzz_add(&b, s->p + end, s->n - end);
        s->to->put(s->to->ctx, b.p, b.n);
        free(b.p);
}

static bool numeric(const uint8_t *p, struct piece w)
{
        for (size_t i = 0; i < w.len; i++)
                if (!isxdigit(p[w.at + i]))
                        return false;
        return true;
}

static void numbers(const struct seed *s, struct piece w)
{
        static const char *const values[] = {
                "0", "1", "2", "7", "8", "9", "10", "-1", "+1", " 1", "00", "01", "0x1", "1e3", "1.5", "1k", "31", "32", "33", "63", "64", "65", "99", "100",
                "127", "128", "129", "255", "256", "511", "512", "777", "1000", "1023", "1024", "1025", "4095", "4096", "4097", "32767", "32768", "65535", "65536",
                "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967294", "4294967295", "4294967296", "9007199254740992",
                "18014398509481983", "18014398509481984", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                "-9223372036854775809", "18446744073709551614", "18446744073709551615", "18446744073709551616", "18446744073709551619",
                "18446744073709551625", "36893488147419103232", "184467440737095516150", "99999999999999999999", "7fffffff", "80000000", "ffffffff", "100000000",
                "7fffffffffffffff", "8000000000000000", "ffffffffffffffff", "10000000000000000", "fffffffffffffffff", "37777777777", "40000000000", "777777777777",
        };
        char text[24];

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                replace(s, w, values[i], strlen(values[i]));
        if (w.len > 18 || !isdigit(s->p[w.at]))
                return;
        memcpy(text, s->p + w.at, w.len);
        text[w.len] = '\0';
        long long v = strtoll(text, NULL, 10);
        for (long long d = -1; d <= 1; d += 2)
                replace(s, w, text, (size_t)snprintf(text, sizeof(text), "%lld", v + d));
}

static size_t size_at(size_t i)
{
        static const size_t powers[] = {2, 8, 15, 16, 31, 32, 40, 63, 64, 65, 80, 127, 128, 255, 256, 512, 1024, 2048, 4095, 4096, 8192, 70000};
        size_t own = 0;

        if (i < sizeof(powers) / sizeof(powers[0]))
                return powers[i];
        i -= sizeof(powers) / sizeof(powers[0]);
        while (own <= i && fuzz_sizes[own])
                own++;
        return own > i ? fuzz_sizes[i] : 0;
}

static void lengths(const struct seed *s, struct piece w, size_t end, uint8_t with)
{
        size_t size;

        for (size_t i = 0; (size = size_at(i)); i++)
                for (size_t len = size - 1; len <= size + 1; len++)
                        if (len > w.len)
                                stretch(s, end, len - w.len, with);
}

static void one_word(const struct seed *s, const struct pieces *all, size_t i)
{
        static const char odd[] = {'\0', '\n', '\r', '\t', ' ', '"', '#', '%', '-', '/', ':', '=', '[', '\\', ']', ')', '(', ',', ';', '\x7f', '\xff'};
        struct piece w = all->v[i];
        struct fuzz_buf b = {};

        replace(s, w, "", 0);
        fuzz_add(&b, s->p + w.at, w.len);
        fuzz_add(&b, s->p + w.at, w.len);
        replace(s, w, b.p, b.n);
        b.n = w.len;
        fuzz_add(&b, " ", 1);
        fuzz_add(&b, s->p + w.at, w.len);
        replace(s, w, b.p, b.n);
        free(b.p);
        if (i)
                replace(s, w, s->p + all->v[i - 1].at, all->v[i - 1].len);
        for (size_t k = 0; k < sizeof(odd); k++) {
                replace(s, (struct piece){w.at, 0}, &odd[k], 1);
                replace(s, (struct piece){w.at, 1}, &odd[k], 1);
        }
        replace(s, (struct piece){w.at, 0}, "\\000", 4);
        replace(s, (struct piece){w.at, 0}, "\\012", 4);
        replace(s, (struct piece){w.at, 0}, "\\400", 4);
        replace(s, (struct piece){w.at, 0}, "\\1", 2);
        size_t digits = 0; /* "2G", "1.5" */
        while (digits < w.len && isdigit(s->p[w.at + digits]))
                digits++;
        if (digits || numeric(s->p, w))
                numbers(s, w);
        if (digits && digits < w.len)
                numbers(s, (struct piece){w.at, digits});
        lengths(s, w, w.at + w.len, s->p[w.at + w.len - 1]);
        if (isdigit(s->p[w.at]))
                lengths(s, w, w.at, '0');
}

static void one_line(const struct seed *s, const struct pieces *all, size_t i)
{
        struct piece l = all->v[i];
        bool ended = s->p[l.at + l.len - 1] == '\n';
        struct fuzz_buf b = {};

        replace(s, l, "", 0);
        replace(s, (struct piece){l.at, 0}, "\n", 1);
        replace(s, (struct piece){l.at + l.len - ended, ended}, "", 0);
        replace(s, (struct piece){l.at, 0}, s->p + l.at, l.len);
        replace(s, (struct piece){s->n, 0}, s->p + l.at, l.len);
        for (int k = 0; k < 200; k++)
                fuzz_add(&b, s->p + l.at, l.len);
        replace(s, l, b.p, b.n);
        free(b.p);
        struct piece text = {l.at, l.len - ended};
        lengths(s, text, text.at + text.len, ' ');
        if (text.len) /* before the last word, where blanks may be */
                for (size_t at = text.at + text.len; at-- > text.at;)
                        if (s->p[at] == ' ') {
                                lengths(s, text, at, ' ');
                                break;
                        }
}

void fuzz_variants(const uint8_t *seed, size_t n, size_t most, const struct fuzz_sink *to)
{
        struct seed s = {seed, n, to};
        struct pieces words = words_of(seed, n), lines = lines_of(seed, n);
        size_t step = words.n * 16 / most + 1;

        for (size_t i = 0; i < words.n; i += step)
                one_word(&s, &words, i);
        step = lines.n * 32 / most + 1;
        for (size_t i = 0; i < lines.n; i += step)
                one_line(&s, &lines, i);
        lengths(&s, (struct piece){0, n}, n, n && seed[n - 1] != '\n' ? seed[n - 1] : '7');
        lengths(&s, (struct piece){0, n}, n, '\n');
        for (size_t i = 0; n && i + 1 < n; i += n / 64 + 1)
                replace(&s, (struct piece){i, 0}, "", 1); /* a NUL: the literal's own */
        for (size_t back = 0; back <= 2 && back <= n; back++)
                replace(&s, (struct piece){n - back, 0}, "", 1);
        free(words.v);
        free(lines.v);
}
