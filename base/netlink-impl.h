/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the netlink files of base/ only. libnl has a `struct nl_addr` of its own, which here is libnl_addr: the
 * tag of our own public structure (base/netlink.h) is something else.
 */
#pragma once

#define nl_addr libnl_addr
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#undef nl_addr

#include "base/cleanup.h"
#include "base/netlink.h"

struct nl {
        struct nl_sock *sock;
};

/* libnl's error (negative) as ours: a missing privilege, memory and a taken name have their own exit codes. */
int nl_failed(struct err *err, int nle, const char *what, const char *on);
/* The index of a link, or <0 (EX_UNKNOWN). */
int nl_index(struct nl *n, const char *name, struct err *err);

struct nl_names; /* index to name, read once for a dump */
int nl_names_read(struct nl *n, struct nl_names **ret, struct err *err);
const char *nl_name(const struct nl_names *names, int index); /* "" if unknown */
void nl_names_free(struct nl_names *names);

/* What answers tell, one after the other: a list that grows, and the first that cannot be held. */
struct nl_found { void *v; size_t n, cap, size; const struct nl_names *names; bool no_memory; struct ip_prefix bad; const char *why; };
/* q: what the reader of an answer has said; x: `size` bytes, on `ip`. */
void nl_found_add(struct nl_found *f, int q, const void *x, const struct ip_prefix *ip, const char *why);
/* r: nl_ask()'s. 0: the list is the caller's; else it is freed, and err says what (`what`, or `cannot` for what cannot be held). */
int nl_found_end(struct nl_found *f, int r, const char *what, const char *cannot, struct err *err);

/* Asks with `head` and hands each answer to `each`, then the end of it. libnl's error, negative. */
int nl_ask(struct nl *n, int type, const void *head, size_t len, void (*each)(const struct nlmsghdr *h, void *arg), void *arg);
/* One answer of each, pure. 1, 0: none of ours, <0: it cannot be held, and why. */
int nl_route_read(const struct nlmsghdr *h, struct nl_route *ret, uint32_t *ret_index, const char **ret_why);
int nl_addr_read(const struct nlmsghdr *h, struct nl_addr *ret, uint32_t *ret_index, const char **ret_why);
int nl_neigh_read(const struct nlmsghdr *h, struct nl_neigh *ret, uint32_t *ret_index, const char **ret_why);
#define NL_IP_TEXT 64
const char *nl_ip_text(const struct ip_prefix *ip, char ret[NL_IP_TEXT]);

/* An address of ours as libnl's, NULL when out of memory. */
struct libnl_addr *nl_addr_from(const struct ip_prefix *ip);

DEFINE_CLEANUP(struct libnl_addr *, nl_addr_put)
#define _cleanup_nladdr_ CLEANUP(nl_addr_putp)
DEFINE_CLEANUP(struct nl_names *, nl_names_free)
#define _cleanup_nlnames_ CLEANUP(nl_names_freep)
