/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of base/parse.c: what is accepted, what is refused, and where the borders are.
 */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/parse.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

Test(parse, u64)
{
        static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1a", "18446744073709551616", "99999999999999999999999"};
        uint64_t v = 7;
        struct err e = {};

        cr_assert_eq(parse_u64("18446744073709551615", 0, UINT64_MAX, &v, &e), 0);
        cr_assert_eq(v, UINT64_MAX);
        v = 7;
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_u64(bad[i], 0, UINT64_MAX, &v, &e), -EX_USAGE, "%s", bad[i]);
        cr_expect_eq(parse_u64("4", 5, 9, &v, &e), -EX_USAGE);
        cr_expect_eq(parse_u64("10", 5, 9, &v, NULL), -EX_USAGE);
        cr_assert_eq(v, 7, "untouched on failure");
        cr_assert_eq(parse_u64("5", 5, 9, &v, &e), 0);
        cr_assert_eq(parse_u64("9", 5, 9, &v, &e), 0);
}

Test(parse, i64)
{
        int64_t v;
        struct err e = {};

        cr_assert_eq(parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v, &e), 0);
        cr_assert_eq(v, INT64_MIN);
        cr_assert_eq(parse_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v, &e), 0);
        cr_assert_eq(v, INT64_MAX);
        cr_assert_eq(parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v, &e), -EX_USAGE);
        cr_assert_eq(parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v, &e), -EX_USAGE);
        cr_assert_eq(parse_i64("--1", INT64_MIN, INT64_MAX, &v, &e), -EX_USAGE);
        cr_assert_eq(parse_i64("-", INT64_MIN, INT64_MAX, &v, &e), -EX_USAGE);
        cr_assert_eq(parse_i64("-3", -2, 2, &v, &e), -EX_USAGE);
}

Test(parse, hex64)
{
        uint64_t v;

        cr_assert_eq(parse_hex64("fFffffffffffffff", &v, NULL), 0);
        cr_assert_eq(v, UINT64_MAX);
        cr_assert_eq(parse_hex64("0000000000000000001", &v, NULL), 0, "leading zeroes do not overflow");
        cr_assert_eq(v, 1);
        cr_assert_eq(parse_hex64("10000000000000000", &v, NULL), -EX_USAGE);
        cr_assert_eq(parse_hex64("0x1", &v, NULL), -EX_USAGE);
        cr_assert_eq(parse_hex64("", &v, NULL), -EX_USAGE);
}

Test(parse, size)
{
        static const struct {
                const char *s;
                uint64_t want;
        } good[] = {{"0", 0}, {"4096", 4096}, {"64K", 65536}, {"512M", 536870912}, {"10G", 10737418240}, {"1T", 1099511627776},
                    {"16777215T", UINT64_C(16777215) << 40}};
        static const char *const bad[] = {"", "K", "1k", "1KB", "1 K", "-1", "1.5G", "16777216T", "18446744073709551615K"};
        uint64_t v;

        for (size_t i = 0; i < N(good); i++) {
                cr_expect_eq(parse_size(good[i].s, &v, NULL), 0, "%s", good[i].s);
                cr_expect_eq(v, good[i].want, "%s", good[i].s);
        }
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_size(bad[i], &v, NULL), -EX_USAGE, "%s", bad[i]);
}

Test(parse, cpus)
{
        static const struct {
                const char *s;
                unsigned want;
        } good[] = {{"1", 1000}, {"150%", 1500}, {"1.5", 1500}, {"0.25", 250}, {"0.125", 125}, {"2.0", 2000}, {"0", 0},
                    {"65536", 65536000}, {"6553600%", 65536000}};
        static const char *const bad[] = {"", "%", ".5", "1.", "1.2345", "1.5%", "150%%", "-1", "65537", "6553601%",
                                          "18446744073709551615%"};
        unsigned v;

        for (size_t i = 0; i < N(good); i++) {
                cr_expect_eq(parse_cpus(good[i].s, &v, NULL), 0, "%s", good[i].s);
                cr_expect_eq(v, good[i].want, "%s", good[i].s);
        }
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_cpus(bad[i], &v, NULL), -EX_USAGE, "%s", bad[i]);
}

Test(parse, prefix)
{
        static const char *const bad[] = {"10.0.0.2", "10.0.0/24", "10.0.0.2/33", "10.0.0.2/", "10.0.0.2/24 ", "010.0.0.2/24",
                                          "fd00::2/129", "fd00::2::/64", "/24", "g::/64", "10.0.0.2/-1",
                                          "fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001/64"};
        struct ip_prefix p;
        static const unsigned char four[4] = {10, 0, 0, 2};

        cr_assert_eq(parse_prefix("10.0.0.2/24", &p, NULL), 0);
        cr_assert_eq(p.family, AF_INET);
        cr_assert_eq(p.bits, 24);
        cr_assert_arr_eq(p.addr, four, 4);
        cr_assert_eq(parse_prefix("fd00::2/64", &p, NULL), 0);
        cr_assert_eq(p.family, AF_INET6);
        cr_assert_eq(p.addr[0], 0xfd);
        cr_assert_eq(p.addr[15], 2);
        cr_assert_eq(parse_prefix("0.0.0.0/0", &p, NULL), 0);
        cr_assert_eq(p.bits, 0);
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_prefix(bad[i], &p, NULL), -EX_USAGE, "%s", bad[i]);
}

Test(parse, mac)
{
        static const unsigned char want[6] = {0x02, 0, 0xaB, 0xcd, 0xef, 0x01};
        static const char *const bad[] = {"", "02:00:ab:cd:ef", "02:00:ab:cd:ef:01:", "02-00-ab-cd-ef-01", "0:0:0:0:0:0",
                                          "02:00:ab:cd:ef:0g", "02:00:ab:cd:ef:0"};
        unsigned char mac[6];

        cr_assert_eq(parse_mac("02:00:aB:cd:ef:01", mac, NULL), 0);
        cr_assert_arr_eq(mac, want, 6);
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_mac(bad[i], mac, NULL), -EX_USAGE, "%s", bad[i]);
}

Test(parse, label)
{
        static const char *const bad[] = {"", "-a", "a-", "A", "a_b", "a.b", "a/b", "\xc3\xa4",
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

        cr_assert_eq(parse_label("web-1", NULL), 0);
        cr_assert_eq(parse_label("a", NULL), 0);
        cr_assert_eq(parse_label("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL), 0, "63");
        for (size_t i = 0; i < N(bad); i++)
                cr_expect_eq(parse_label(bad[i], NULL), -EX_USAGE, "%s", bad[i]);
}

Test(parse, scanning)
{
        const char *p = "12:ff rest";
        uint64_t v;

        cr_assert(scan_u64(&p, &v));
        cr_assert_eq(v, 12);
        cr_assert_not(scan_u64(&p, &v));
        cr_assert(scan_skip(&p, ":"));
        cr_assert_not(scan_skip(&p, "fe"));
        cr_assert(scan_hex64(&p, &v));
        cr_assert_eq(v, 0xff);
        cr_assert_str_eq(p, " rest");
        p = "18446744073709551616";
        cr_assert_not(scan_u64(&p, &v));
        cr_assert_str_eq(p, "18446744073709551616", "nothing is taken from a number that is too large");
}
