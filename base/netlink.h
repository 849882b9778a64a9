/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink through libnl-3. A `struct nl` is one socket in one network namespace; it can be made from a socket
 * that a process inside a namespace opened. No program is run for anything here. The bridge port state is the packet block
 * of migrations: *disabled* (0) drops both ways without a carrier event; *blocking* (4) does not hold on 6.18.
 */
#pragma once

#include <stdbool.h>
#include <net/if.h>
#include <stdint.h>
#include "base/err.h"
#include "base/parse.h"

struct nl;
int nl_open(struct nl **ret, struct err *err);                       /* our own namespace */
int nl_open_in(int netns_fd, struct nl **ret, struct err *err);      /* another's: a thread-less setns and back */
void nl_free(struct nl *n);

/* odd: what it has beyond these that a new link has not, in words; NULL: nothing. */
struct nl_link { int index, master, peer; char name[16], kind[16]; unsigned char mac[6]; unsigned flags, mtu, queue; uint32_t port_state;
                 const char *odd; };
int nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err); /* 1: none of that name */
int nl_links(struct nl *n, struct nl_link **ret, size_t *ret_n, struct err *err);      /* caller frees */
/* A veth pair: `name` here on `bridge` (NULL: none), `inner` in netns_fd (-1: here) with this MAC (NULL: the kernel's
 * choice). EX_EXISTS: the name is taken. This end's MAC begins with fe, so that it never becomes the bridge's. */
int nl_veth_create(struct nl *n, const char *name, const char *bridge, int netns_fd, const char *inner,
                   const unsigned char mac[6], struct err *err);
int nl_link_up(struct nl *n, const char *name, bool up, struct err *err);
/* Whether IPv6 gives the link an address of its own accord when it comes up (and asks the network about it). Fine without IPv6. */
int nl_link_autoconf(struct nl *n, const char *name, bool on, struct err *err);
int nl_link_mtu(struct nl *n, const char *name, unsigned mtu, struct err *err);
/* IFF_* that its user may choose, but for IFF_UP. */
#define NL_LINK_FLAGS (IFF_NOARP | IFF_ALLMULTI | IFF_PROMISC | IFF_MULTICAST | IFF_DYNAMIC | IFF_DEBUG | IFF_NOTRAILERS)
/* Those flags, MTU and length of the transmit queue at once. */
int nl_link_tune(struct nl *n, const char *name, unsigned flags, unsigned mtu, unsigned queue, struct err *err);
/* The features that were asked for (ethtool -K), a bit each as this kernel counts them, in the namespace that we are in. */
#define NL_FEATURES 8
int nl_link_features(const char *name, uint32_t ret[NL_FEATURES], struct err *err);
/* How many queues are in use for receiving, sending and both (ethtool -L); zeroes where that cannot be asked. */
int nl_link_channels(const char *name, uint32_t ret[3], struct err *err);
int nl_link_delete(struct nl *n, const char *name, struct err *err);                   /* missing is fine */

/* label: IPv4 only, "eth0:1"; "" or the link's name is none. peer: the other end, whose prefix the bits are. With `lifetimes` the
 * seconds that are left count (UINT32_MAX: forever), without them an address lives forever. keep_dad: the flag NODAD, with which an
 * IPv6 address is added, goes again unless it is asked for. */
struct nl_addr { struct ip_prefix ip, peer, broadcast; bool has_peer, has_broadcast, lifetimes, keep_dad; char link[16], label[16];
                 unsigned flags; uint8_t scope, protocol; uint32_t valid, preferred, metric; };
int nl_addr_add(struct nl *n, const struct nl_addr *a, struct err *err);               /* IPv6: NODAD; existing is fine */
int nl_addr_del(struct nl *n, const struct nl_addr *a, struct err *err);               /* missing is fine */
/* The flags as they can be asked for, seconds left apart: are these the same? */
bool nl_addr_same(const struct nl_addr *a, const struct nl_addr *b);
unsigned nl_addr_flags(const struct nl_addr *a);                                       /* those that can be asked for */
/* In the kernel's order. EX_UNSUPPORTED names an address that cannot be given again (temporary, a duplicate …). */
int nl_addrs(struct nl *n, struct nl_addr **ret, size_t *ret_n, struct err *err);

#define NL_ROUTE_METRICS 17   /* RTAX_LOCK … RTAX_FASTOPEN_NO_COOKIE; the 16th, a text, cannot be held */
/* gw may be of the other family. No link: a route that leads nowhere. expires: seconds left, 0: never. */
struct nl_route { struct ip_prefix dst; bool has_gw, has_src, onlink; struct ip_prefix gw, src; char link[16]; uint32_t table, metric,
                  realm, expires; uint8_t scope, protocol, type, tos, preference; uint32_t metrics[NL_ROUTE_METRICS]; };
int nl_route_add(struct nl *n, const struct nl_route *r, struct err *err);             /* existing is fine */
int nl_route_del(struct nl *n, const struct nl_route *r, struct err *err);             /* missing is fine */
bool nl_route_same(const struct nl_route *a, const struct nl_route *b);                /* but for the seconds left */
/* All types and tables, local too; no cached ones. EX_UNSUPPORTED names a route that nl_route cannot hold (several next hops,
 * a next hop object, an encapsulation …). */
int nl_routes(struct nl *n, struct nl_route **ret, size_t *ret_n, struct err *err);

/* router, learned (extern_learn), managed, protocol: what its maker said of it. */
struct nl_neigh { struct ip_prefix ip; unsigned char mac[6]; char link[16]; uint16_t state; uint8_t protocol;
                  bool no_mac, router, learned, managed; };
int nl_neigh_add(struct nl *n, const struct nl_neigh *x, struct err *err);             /* replaces what is there */
/* Those of ARP and neighbour discovery, the kernel's own included, of links with hardware addresses of six bytes. Proxied ones are
 * another table. EX_UNSUPPORTED names one that nl_neigh cannot hold. */
int nl_neighs(struct nl *n, struct nl_neigh **ret, size_t *ret_n, struct err *err);

/* The packet block. true = port state disabled, false = forwarding (3). Idempotent; read back and compared. */
int nl_port_block(struct nl *n, const char *port, bool blocked, struct err *err);
/* Gratuitous ARP and unsolicited NA for `ip` with `mac`, sent on the bridge device itself, so also while the port is disabled. */
int nl_announce(const char *bridge, const unsigned char mac[6], const struct ip_prefix *ip, struct err *err);
