/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of a network namespace: with their other end, broadcast address, label, scope, flags, metric, maker, and the
 * seconds that are left of their lifetimes (the time that the container stood still is added to them).
 *
 * Those that the kernel makes by itself when a link comes up (127.0.0.1, link-local IPv6) are recorded like all others: one that
 * is there already is left alone, one that the container had removed goes. Which address is a secondary one, and
 * which is chosen first, follows from the order: IPv4 is added as it was listed, IPv6 the other way round, because a new one
 * comes first. IPv6 addresses are added without duplicate detection, which would keep them unusable for a second.
 *
 * Temporary addresses and those made from a secret are the kernel's to make: refused by name when they are read.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/netip.h"
#include "proto/net-addr.pb-c.h"

#define ADDRESSES_MAX 65536

static int take_one(Gantry__NetAddr *m, const struct nl_addr *a, struct err *err)
{
        Gantry__NetAddr__Address *x = KIND_NEW(Gantry__NetAddr__Address, gantry__net_addr__address__init);

        if (!x)
                return kind_nomem(err);
        m->address[m->n_address++] = x;
        x->bits = a->ip.bits;
        x->scope = a->scope;
        x->flags = nl_addr_flags(a);
        x->has_protocol = (x->protocol = a->protocol) != 0;
        x->has_metric = (x->metric = a->metric) != 0;
        x->has_valid = x->has_preferred = a->lifetimes;
        x->valid = a->valid;
        x->preferred = a->preferred;
        int r = field_set_text(&x->link, a->link, err);
        x->has_label = a->label[0] != '\0';
        if (r >= 0 && x->has_label)
                r = field_set_text(&x->label, a->label, err);
        if (r >= 0 && a->has_peer) {
                r = netip_set(&x->peer, &a->peer, err);
                x->has_peer = r >= 0;
        }
        if (r >= 0 && a->has_broadcast) {
                r = netip_set(&x->broadcast, &a->broadcast, err);
                x->has_broadcast = r >= 0;
        }
        return r < 0 ? r : netip_set(&x->ip, &a->ip, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ struct nl_addr *a = NULL;
        size_t n = 0;
        struct nl *nl = dump_nl(d, o, err);

        (void)fd;
        (void)t;
        if (!nl)
                return -EX_FAIL;
        int r = nl_addrs(nl, &a, &n, err);
        if (r < 0)
                return r;
        Gantry__NetAddr *m = KIND_NEW(Gantry__NetAddr, gantry__net_addr__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->address = kind_calloc(n, sizeof(*m->address));
        if (!m->address)
                return kind_nomem(err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = take_one(m, &a[i], err);
        return r < 0 ? r : field_record(&kind_net_addr, o, &guard, ret);
}

static bool read_other(const ProtobufCBinaryData *b, uint32_t bits, int family, struct ip_prefix *ret)
{
        return netip_get(b, bits, ret) && ret->family == family;
}

static bool read_one(const Gantry__NetAddr__Address *x, struct nl_addr *ret)
{
        *ret = (struct nl_addr){.scope = (uint8_t)x->scope, .flags = x->flags, .keep_dad = true, .protocol = (uint8_t)x->protocol,
                                .metric = x->metric, .has_peer = x->has_peer, .has_broadcast = x->has_broadcast,
                                .lifetimes = x->has_valid, .valid = x->valid, .preferred = x->preferred};
        if (x->has_label && (!field_is_text(&x->label, sizeof(ret->label) - 1) || !field_copy(&x->label, ret->label, sizeof(ret->label))))
                return false;
        if (!netip_link(&x->link, ret->link) || !netip_get(&x->ip, x->bits, &ret->ip))
                return false;
        if (x->has_peer && !read_other(&x->peer, x->bits, ret->ip.family, &ret->peer))
                return false;
        if (x->has_broadcast && !read_other(&x->broadcast, (uint32_t)x->broadcast.len * 8, ret->ip.family, &ret->broadcast))
                return false;
        return x->scope <= UINT8_MAX && x->protocol <= UINT8_MAX && x->has_valid == x->has_preferred &&
               (!x->has_valid || x->preferred <= x->valid);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NetAddr *m = (const Gantry__NetAddr *)r->msg;
        struct nl_addr a;

        (void)need;
        if (m->n_address > ADDRESSES_MAX)
                return kind_bad(&kind_net_addr, r, err, "too many addresses");
        for (size_t i = 0; i < m->n_address; i++)
                if (!read_one(m->address[i], &a))
                        return kind_bad(&kind_net_addr, r, err, "an address is not one");
        return 0;
}

static bool among(const struct nl_addr *a, size_t n, const struct nl_addr *x)
{
        for (size_t i = 0; i < n; i++)
                if (nl_addr_same(&a[i], x))
                        return true;
        return false;
}

static int reconcile(struct nl *n, const struct nl_addr *want, size_t n_want, struct err *err)
{
        _cleanup_free_ struct nl_addr *have = NULL;
        size_t n_have = 0;
        int r = nl_addrs(n, &have, &n_have, err);

        for (size_t i = 0; r >= 0 && i < n_have; i++)
                if (!among(want, n_want, &have[i]))
                        r = nl_addr_del(n, &have[i], err);
        for (size_t i = 0; r >= 0 && i < n_want; i++)
                if (want[i].ip.family == AF_INET && !among(have, n_have, &want[i]))
                        r = nl_addr_add(n, &want[i], err);
        for (size_t i = n_want; r >= 0 && i-- > 0;)
                if (want[i].ip.family == AF_INET6 && !among(have, n_have, &want[i]))
                        r = nl_addr_add(n, &want[i], err);
        return r;
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetAddr *m = (const Gantry__NetAddr *)r->msg;
        struct nl *n = restore_nl(rs, r->id, err);
        _cleanup_free_ struct nl_addr *want = calloc(m->n_address ? m->n_address : 1, sizeof(*want));

        if (!n || !want)
                return n ? kind_nomem(err) : -EX_FAIL;
        for (size_t i = 0; i < m->n_address; i++)
                if (!read_one(m->address[i], &want[i]))
                        return kind_bad(&kind_net_addr, r, err, "an address is not one");
        return reconcile(n, want, m->n_address, err);
}

const struct kind kind_net_addr = {
        .stem = "net-addr",
        .number = KIND_NET_ADDR,
        .cls = CLS_NETNS,
        .msg = &gantry__net_addr__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
