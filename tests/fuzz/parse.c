/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of base/parse.h: each parser of one value, with the same text. Each answer is held against one that is
 * found in another way, and slowly; what was refused too. Strings lie in memory of exactly their size.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/parse.h"
#include "tests/fuzz/fuzz.h"

/* IPv6 addresses, labels. */
const size_t fuzz_sizes[] = {45, 46, 0};

#define TOO_LARGE ((__uint128_t)1 << 100)

/* The number of the first n bytes; above 2^100 all are alike. */
static __uint128_t value_of(const char *s, size_t n, unsigned base)
{
        __uint128_t v = 0;

        for (size_t i = 0; i < n && v < TOO_LARGE; i++)
                v = v * base + (unsigned)(isdigit((unsigned char)s[i]) ? s[i] - '0' : tolower((unsigned char)s[i]) - 'a' + 10);
        return v;
}

static void check_u64(const char *s)
{
        size_t n = strspn(s, "0123456789");
        __uint128_t want = value_of(s, n, 10);
        uint64_t v = 0;
        bool number = n && !s[n];

        FUZZ_CHECK((parse_u64(s, 0, UINT64_MAX, &v, NULL) == 0) == (number && want <= UINT64_MAX) && (!v || v == want));
        FUZZ_CHECK((parse_u64(s, 5, UINT64_MAX - 1, &v, NULL) == 0) == (number && want >= 5 && want < UINT64_MAX));
        FUZZ_CHECK((parse_u64(s, 0, 255, &v, NULL) == 0) == (number && want <= 255));
        const char *p = s;
        bool scanned = scan_u64(&p, &v);
        FUZZ_CHECK(scanned == (n && want <= UINT64_MAX) && p == (scanned ? s + n : s) && (!scanned || v == want));
}

static void check_hex(const char *s)
{
        size_t n = strspn(s, "0123456789abcdefABCDEF");
        __uint128_t want = value_of(s, n, 16);
        uint64_t v = 0;

        FUZZ_CHECK((parse_hex64(s, &v, NULL) == 0) == (n && !s[n] && want <= UINT64_MAX) && (!v || v == want));
        const char *p = s;
        bool scanned = scan_hex64(&p, &v);
        FUZZ_CHECK(scanned == (n && want <= UINT64_MAX) && p == (scanned ? s + n : s) && (!scanned || v == want));
}

static void check_i64(const char *s)
{
        bool minus = *s == '-';
        size_t n = strspn(s + minus, "0123456789");
        __int128_t want = (__int128_t)value_of(s + minus, n, 10) * (minus ? -1 : 1);
        bool number = n && !s[minus + n];
        int64_t v = 0;

        FUZZ_CHECK((parse_i64(s, INT64_MIN, INT64_MAX, &v, NULL) == 0) == (number && want >= INT64_MIN && want <= INT64_MAX) && (!v || v == want));
        FUZZ_CHECK((parse_i64(s, -100, 100, &v, NULL) == 0) == (number && want >= -100 && want <= 100));
}

static void check_size(const char *s)
{
        static const char units[] = "KMGT";
        size_t n = strspn(s, "0123456789");
        const char *u = s[n] ? strchr(units, s[n]) : NULL;
        __uint128_t want = value_of(s, n, 10);
        uint64_t v = 0;

        want = want < TOO_LARGE && u ? want << 10 * (u - units + 1) : want;
        FUZZ_CHECK((parse_size(s, &v, NULL) == 0) == (n && (!s[n] || (u && !s[n + 1])) && want <= UINT64_MAX) && (!v || v == want));
}

static void check_cpus(const char *s)
{
        size_t n = strspn(s, "0123456789"), milli = s[n] == '.' ? strspn(s + n + 1, "0123456789") : 0;
        __uint128_t whole = value_of(s, n, 10);
        unsigned v = 0, want = 0;
        bool good = n && (s[n] == '%' ? !s[n + 1] && whole <= 6553600 : s[n] == '.' ? milli >= 1 && milli <= 3 && !s[n + 1 + milli] && whole <= 65536
                                                                                  : !s[n] && whole <= 65536);

        if (good) {
                want = (unsigned)whole * (s[n] == '%' ? 10 : 1000);
                for (unsigned i = 0, unit = 100; i < milli; i++, unit /= 10)
                        want += (unsigned)(s[n + 1 + i] - '0') * unit;
        }
        FUZZ_CHECK((parse_cpus(s, &v, NULL) == 0) == good && v == want);
}

static void check_prefix(const char *s)
{
        const char *slash = strchr(s, '/');
        struct ip_prefix p = {};
        unsigned char addr[16] = {0};
        char *text = fuzz_string(s, slash ? (size_t)(slash - s) : 0);
        int family = strchr(text, ':') ? AF_INET6 : AF_INET;
        size_t n = slash ? strspn(slash + 1, "0123456789") : 0;
        bool good = n && !slash[1 + n] && value_of(slash + 1, n, 10) <= (family == AF_INET ? 32 : 128) && inet_pton(family, text, addr) == 1;

        FUZZ_CHECK((parse_prefix(s, &p, NULL) == 0) == good);
        if (good)
                FUZZ_CHECK(p.family == family && p.bits == value_of(slash + 1, n, 10) && memcmp(p.addr, addr, 16) == 0);
        free(text);
}

static void check_mac(const char *s)
{
        unsigned char mac[6], want[6];
        bool good = strlen(s) == 17;

        for (size_t i = 0; good && i < 17; i++)
                good = i % 3 == 2 ? s[i] == ':' : isxdigit((unsigned char)s[i]);
        FUZZ_CHECK((parse_mac(s, mac, NULL) == 0) == good);
        for (size_t i = 0; good && i < 6; i++)
                want[i] = (unsigned char)value_of(s + 3 * i, 2, 16);
        FUZZ_CHECK(!good || memcmp(mac, want, 6) == 0);
}

static void check_label(const char *s)
{
        size_t n = strlen(s);
        bool good = n >= 1 && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && s[0] != '-' && s[n - 1] != '-';

        FUZZ_CHECK((parse_label(s, NULL) == 0) == good);
}

static void check_topics(const char *s)
{
        struct err e = {};
        unsigned n = 0;
        char text[700];

        if (log_topics_parse(s, &n, &e) == 0)
                FUZZ_CHECK(!(n >> LOG_N));
        else
                FUZZ_CHECK(e.code && strlen(err_format(&e, text, sizeof(text))) > 0);
}

/* With an error to fill: that it fits is the sanitizer's to say. */
static void check_errors(const char *s)
{
        struct err *e = fuzz_array(1, sizeof(*e));
        struct ip_prefix p;
        uint64_t u;
        int64_t i;
        unsigned n;
        unsigned char mac[6];

        *e = (struct err){};
        if (parse_u64(s, 1, 2, &u, e) < 0 || parse_i64(s, 1, 2, &i, e) < 0 || parse_hex64(s, &u, e) < 0 || parse_size(s, &u, e) < 0 || parse_cpus(s, &n, e) < 0 ||
            parse_prefix(s, &p, e) < 0 || parse_mac(s, mac, e) < 0 || parse_label(s, e) < 0)
                FUZZ_CHECK(e->code == EX_USAGE && e->why[0] && memchr(e->on, '\0', sizeof(e->on)));
        free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const checks[])(const char *) = {check_u64,   check_hex, check_i64,    check_size, check_cpus,
                                                       check_prefix, check_mac, check_label, check_topics, check_errors};
        char *text = fuzz_string(data, size), *exact = fuzz_string(text, strlen(text));

        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
                checks[i](exact);
        free(exact);
        free(text);
        return 0;
}
