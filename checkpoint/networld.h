/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a network namespace answers about rules, packet filters and tracked connections; pure. Private to checkpoint/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

/* The rules that every namespace begins with, a bit each: all of a family that answers must be there, and no other. */
struct rules_seen { unsigned defaults[4]; bool other; };
/* One message of an RTM_GETRULE dump of all families. */
void rules_add(struct rules_seen *s, const struct nlmsghdr *h);
/* Are there rules beyond the default ones, or less? A kernel that answers nothing at all has no rules. */
bool rules_changed(const struct rules_seen *s, bool ipv6);

/* Entries in the answer to IPCTNL_MSG_CT_GET_STATS; false: it does not say. */
bool conntrack_entries(const struct nlmsghdr *h, uint32_t *ret);
