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

/* What else a namespace may hold that nobody keeps; each is told by one answer that a new namespace does not give. */
struct world_seen { bool qdisc, xfrm, ipset, nexthop; const char *other; unsigned labels; };
void world_route(struct world_seen *s, const struct nlmsghdr *h);       /* NETLINK_ROUTE */
void world_xfrm(struct world_seen *s, const struct nlmsghdr *h);        /* NETLINK_XFRM */
void world_netfilter(struct world_seen *s, const struct nlmsghdr *h);   /* NETLINK_NETFILTER */
/* The rules for the choice of IPv6 addresses (addrlabel): a new namespace has ten. None: no IPv6. */
bool world_labels_changed(const struct world_seen *s);

/* One family of CTRL_CMD_GETFAMILY: false: it is none. */
bool genl_family(const struct nlmsghdr *h, uint16_t *ret_id, char ret_name[32]);
/* A text of /proc/net/dev_mcast: is an address there that a person has set? */
bool mcast_by_hand(const char *text);

/* A text of /proc/net/anycast6: is an address there that is not the first of a prefix of the link's own? Those a router has joined. */
struct nl_addr;
bool anycast_by_hand(const char *text, const struct nl_addr *a, size_t n);

/* Entries in the answer to IPCTNL_MSG_CT_GET_STATS; false: it does not say. */
bool conntrack_entries(const struct nlmsghdr *h, uint32_t *ret);
