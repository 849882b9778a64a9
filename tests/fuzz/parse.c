/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz harness of base/parse.h. Input: one byte that chooses the parser, then its text. What is accepted keeps its
 * promises: ranges hold, and numbers print back to what they were read from.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_u64(const char *s)
{
        uint64_t v;
        char back[32];

        if (parse_u64(s, 5, UINT64_MAX - 1, &v, NULL) != 0)
                return;
        while (s[0] == '0' && s[1])
                s++;
        snprintf(back, sizeof(back), "%llu", (unsigned long long)v);
        if (v < 5 || v == UINT64_MAX || strcmp(back, s) != 0)
                abort();
}

static void check_i64(const char *s)
{
        int64_t v;

        if (parse_i64(s, -100, 100, &v, NULL) == 0 && (v < -100 || v > 100))
                abort();
        if (parse_i64(s, INT64_MIN, INT64_MAX, &v, NULL) == 0 && v < 0 && s[0] != '-')
                abort();
}

static void check_net(const char *s)
{
        struct ip_prefix p;
        unsigned char mac[6];

        if (parse_prefix(s, &p, NULL) == 0 && (p.bits > 128 || (p.family == AF_INET && p.bits > 32) || !strchr(s, '/')))
                abort();
        if (parse_mac(s, mac, NULL) == 0 && strlen(s) != 17)
                abort();
        if (parse_label(s, NULL) == 0 && (strlen(s) > 63 || strpbrk(s, "./ _")))
                abort();
}

static void check_rest(const char *s)
{
        uint64_t v;
        unsigned n;
        struct err e = {};
        char text[700];

        if (parse_cpus(s, &n, NULL) == 0 && n > 65536 * 1000 + 999)
                abort();
        if (parse_size(s, &v, NULL) == 0 && !strpbrk(s, "0123456789"))
                abort();
        if (parse_hex64(s, &v, NULL) == 0 && strpbrk(s, "xX -"))
                abort();
        if (log_topics_parse(s, &n, &e) == 0 ? n >> LOG_N : !strlen(err_format(&e, text, sizeof(text))))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const checks[])(const char *) = {check_u64, check_i64, check_net, check_rest};

        if (size == 0)
                return 0;
        char *s = strndup((const char *)data + 1, size - 1);
        if (!s)
                abort();
        checks[data[0] % 4](s);
        free(s);
        return 0;
}
