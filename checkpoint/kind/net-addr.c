/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of a network namespace.
 *
 * Those that the kernel makes by itself when a link comes up (127.0.0.1, link-local IPv6) are recorded like all others:
 * one that exists already is fine. IPv6 addresses are added without duplicate detection, which would keep them unusable
 * for a second. Lifetimes are not kept: whoever set them (a DHCP client, a router) renews them.
 */
#include <stdlib.h>
#include <string.h>

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
        x->flags = a->flags;
        int r = field_set_text(&x->link, a->link, err);
        x->has_label = a->label[0] != '\0';
        if (r >= 0 && x->has_label)
                r = field_set_text(&x->label, a->label, err);
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

static bool read_one(const Gantry__NetAddr__Address *x, struct nl_addr *ret)
{
        *ret = (struct nl_addr){.scope = (uint8_t)x->scope, .flags = x->flags};
        if (x->has_label && (!field_is_text(&x->label, sizeof(ret->label) - 1) || !field_copy(&x->label, ret->label, sizeof(ret->label))))
                return false;
        return netip_link(&x->link, ret->link) && netip_get(&x->ip, x->bits, &ret->ip) && x->scope <= UINT8_MAX;
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

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NetAddr *m = (const Gantry__NetAddr *)r->msg;
        struct nl *n = restore_nl(rs, r->id, err);
        int r2 = n ? 0 : -EX_FAIL;

        for (size_t i = 0; r2 >= 0 && i < m->n_address; i++) {
                struct nl_addr a;
                r2 = read_one(m->address[i], &a) ? nl_addr_add(n, &a, err) : kind_bad(&kind_net_addr, r, err, "an address is not one");
        }
        return r2;
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
