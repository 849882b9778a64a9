/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict parsing: the whole string must be the value, within the range; no white space, no sign unless the type
 * has one. All return 0 or -EX_USAGE; callers wrap with the name of what they parsed. */
#pragma once

#include <net/if.h>
#include <stdint.h>
#include "base/err.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *err);     /* decimal */
int parse_hex64(const char *s, uint64_t *ret, struct err *err);                               /* no 0x */
int parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* "10G", "512M", "64K", "4096": binary multiples K M G T, to bytes. */
int parse_size(const char *s, uint64_t *ret, struct err *err);
/* "150%" or "1.5" cpus to thousandths of a cpu. */
int parse_cpus(const char *s, unsigned *ret_milli, struct err *err);
/* "10.0.0.2/24", "fd00::2/64": family from the text; the prefix must be given. */
struct ip_prefix { int family; unsigned char addr[16]; unsigned bits; };
int parse_prefix(const char *s, struct ip_prefix *ret, struct err *err);
int parse_mac(const char *s, unsigned char ret[6], struct err *err);
/* RFC 1123 label: 1–63 of a–z 0–9 '-', no '-' at either end. */
int parse_label(const char *s, struct err *err);
/* Scanning helpers for /proc text: parse at *p, advance past it; false if there is none. */
bool scan_u64(const char **p, uint64_t *ret);
bool scan_hex64(const char **p, uint64_t *ret);
bool scan_skip(const char **p, const char *literal);
