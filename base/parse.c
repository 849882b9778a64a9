/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strict parsing (base/parse.h): the whole string is the value or it is refused with the reason.
 *
 * The C library's strto* skip white space, take signs for unsigned types and stop silently; nothing here is built on
 * them. Addresses go through inet_pton, which is strict (no octal, no short forms).
 */
#include "base/parse.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"

#define CPUS_MAX 65536

static int refuse(struct err *err, const char *what, const char *why, const char *s)
{
        return err_set(err, EX_USAGE, what, why, "\"%s\"", s);
}

static bool digit(char c)
{
        return c >= '0' && c <= '9';
}

bool scan_u64(const char **p, uint64_t *ret)
{
        const char *s = *p;
        uint64_t v = 0;

        for (; digit(*s); s++)
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
                        return false;
        if (s == *p)
                return false;
        *p = s;
        *ret = v;
        return true;
}

static int hex_value(char c)
{
        if (digit(c))
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool scan_hex64(const char **p, uint64_t *ret)
{
        const char *s = *p;
        uint64_t v = 0;

        for (; hex_value(*s) >= 0; s++) {
                if (v >> 60)
                        return false;
                v = v << 4 | (unsigned)hex_value(*s);
        }
        if (s == *p)
                return false;
        *p = s;
        *ret = v;
        return true;
}

bool scan_skip(const char **p, const char *literal)
{
        size_t n = strlen(literal);

        if (strncmp(*p, literal, n) != 0)
                return false;
        *p += n;
        return true;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
        const char *p = s;
        uint64_t v;

        if (!scan_u64(&p, &v) || *p)
                return refuse(err, "wrong number", "not a whole number without sign, or too large", s);
        if (v < min || v > max) {
                refuse(err, "wrong number", "", s);
                return err ? err_why(err, "it must be from %llu to %llu", (unsigned long long)min,
                                     (unsigned long long)max)
                           : -EX_USAGE;
        }
        *ret = v;
        return 0;
}

int parse_hex64(const char *s, uint64_t *ret, struct err *err)
{
        const char *p = s;
        uint64_t v;

        if (!scan_hex64(&p, &v) || *p)
                return refuse(err, "wrong number", "not a hexadecimal number of at most 64 bits", s);
        *ret = v;
        return 0;
}

int parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
        bool minus = *s == '-';
        const char *p = s + minus;
        uint64_t v;

        if (!scan_u64(&p, &v) || *p || v > (uint64_t)INT64_MAX + minus)
                return refuse(err, "wrong number", "not a whole number, or too large", s);
        int64_t n = minus ? (int64_t)(0 - v) : (int64_t)v;
        if (n < min || n > max) {
                refuse(err, "wrong number", "", s);
                return err ? err_why(err, "it must be from %lld to %lld", (long long)min, (long long)max)
                           : -EX_USAGE;
        }
        *ret = n;
        return 0;
}

int parse_size(const char *s, uint64_t *ret, struct err *err)
{
        static const char units[] = "KMGT";
        const char *p = s;
        uint64_t v;
        unsigned shift = 0;

        if (!scan_u64(&p, &v))
                return refuse(err, "wrong size", "not a number with an optional K, M, G or T", s);
        if (*p) {
                const char *u = strchr(units, *p);
                if (!u || p[1])
                        return refuse(err, "wrong size", "the unit must be K, M, G or T", s);
                shift = 10 * (unsigned)(u - units + 1);
        }
        if (shift && v >> (64 - shift))
                return refuse(err, "wrong size", "it is too large", s);
        *ret = v << shift;
        return 0;
}

/* Up to three digits after the point, as thousandths; false for none or more. */
static bool scan_milli(const char **p, unsigned *ret)
{
        unsigned v = 0, n = 0;

        for (; digit(**p) && n < 3; n++, (*p)++)
                v = v * 10 + (unsigned)(**p - '0');
        if (n == 0 || digit(**p))
                return false;
        for (; n < 3; n++)
                v *= 10;
        *ret = v;
        return true;
}

int parse_cpus(const char *s, unsigned *ret_milli, struct err *err)
{
        static const char what[] = "wrong number of cpus";
        const char *p = s;
        uint64_t v;
        unsigned milli = 0;

        if (!scan_u64(&p, &v))
                return refuse(err, what, "neither \"150%\" nor \"1.5\"", s);
        if (scan_skip(&p, "%")) {
                if (*p)
                        return refuse(err, what, "text follows the percent sign", s);
                if (v > CPUS_MAX * UINT64_C(100))
                        return refuse(err, what, "it is too large", s);
                *ret_milli = (unsigned)v * 10;
                return 0;
        }
        if (scan_skip(&p, ".") && !scan_milli(&p, &milli))
                return refuse(err, what, "one to three digits must follow the point", s);
        if (*p)
                return refuse(err, what, "neither \"150%\" nor \"1.5\"", s);
        if (v > CPUS_MAX)
                return refuse(err, what, "it is too large", s);
        *ret_milli = (unsigned)v * 1000 + milli;
        return 0;
}

int parse_prefix(const char *s, struct ip_prefix *ret, struct err *err)
{
        static const char what[] = "wrong address";
        char text[INET6_ADDRSTRLEN];
        struct ip_prefix x = {};
        const char *slash = strchr(s, '/');
        uint64_t bits;

        if (!slash)
                return refuse(err, what, "the prefix length is missing, as in 10.0.0.2/24", s);
        size_t n = (size_t)(slash - s);
        if (n >= sizeof(text))
                return refuse(err, what, "neither an IPv4 nor an IPv6 address", s);
        memcpy(text, s, n);
        text[n] = '\0';
        x.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(x.family, text, x.addr) != 1)
                return refuse(err, what, "neither an IPv4 nor an IPv6 address", s);
        const char *p = slash + 1;
        if (!scan_u64(&p, &bits) || *p || bits > (x.family == AF_INET ? 32u : 128u))
                return refuse(err, what, "the prefix length is out of range", s);
        x.bits = (unsigned)bits;
        *ret = x;
        return 0;
}

int parse_mac(const char *s, unsigned char ret[6], struct err *err)
{
        unsigned char mac[6];
        const char *p = s;

        for (int i = 0; i < 6; i++) {
                int hi = hex_value(p[0]);
                int lo = hi < 0 ? -1 : hex_value(p[1]);
                if (lo < 0 || p[2] != (i < 5 ? ':' : '\0'))
                        return refuse(err, "wrong hardware address", "not of the form 02:00:00:00:00:01", s);
                mac[i] = (unsigned char)(hi << 4 | lo);
                p += 3;
        }
        memcpy(ret, mac, sizeof(mac));
        return 0;
}

int parse_label(const char *s, struct err *err)
{
        static const char what[] = "wrong name";
        size_t n = strlen(s);

        if (n == 0 || n > 63)
                return refuse(err, what, "it must have 1 to 63 characters", s);
        for (size_t i = 0; i < n; i++)
                if (!digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'z') && s[i] != '-')
                        return refuse(err, what, "only a-z, 0-9 and - are allowed", s);
        if (s[0] == '-' || s[n - 1] == '-')
                return refuse(err, what, "it must not begin or end with -", s);
        return 0;
}
