/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container's link: a veth pair, eth0 inside, "vz" and eight digits of the uuid outside, on the bridge.
 *
 * The port is blocked (state disabled) until the container is ready to go. A bridge forgets that state when the port's
 * carrier changes, so the inner end comes up first, the outer one last, and the block follows at once. For a restore
 * the inner end is up as well, without any address: what the records set later causes no carrier event.
 *
 * `bridge = none` is a container with its loopback alone.
 */
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/path.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/ground-int.h"

#define INNER "eth0"
DEFINE_CLEANUP(struct nl *, nl_free)
#define _cleanup_nl_ CLEANUP(nl_freep)

bool ground_has_link(const struct ct *ct)
{
        return !str_eq(ct->conf.bridge, "none");
}

static int addresses(struct nl *in, const struct ip_prefix *at, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                struct nl_addr a = {.ip = at[i], .link = INNER};
                int r = nl_addr_add(in, &a, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int gateway(struct nl *in, const struct ip_prefix *gw, struct err *err)
{
        struct nl_route route = {.dst = {.family = gw->family}, .has_gw = true, .gw = *gw, .link = INNER, .table = RT_TABLE_MAIN,
                                 .scope = RT_SCOPE_UNIVERSE, .protocol = RTPROT_STATIC, .type = RTN_UNICAST};

        return nl_route_add(in, &route, err);
}

static int inside(struct ground *g, struct nl *in, bool link, struct err *err)
{
        const struct ct_config *c = &g->ct->conf;
        int r = nl_link_up(in, "lo", true, err);

        if (r < 0 || !link)
                return r;
        if (g->purpose == GROUND_START) {
                r = addresses(in, c->ip4, c->n_ip4, err);
                if (r == 0)
                        r = addresses(in, c->ip6, c->n_ip6, err);
        }
        /* A container that is restored may still run elsewhere: nothing of it may be heard before its port is blocked, and the bridge
         * lets a port forward as soon as both ends are up. Its addresses are records. */
        if (r >= 0 && g->purpose != GROUND_START)
                r = nl_link_autoconf(in, INNER, false, err);
        return r < 0 ? r : nl_link_up(in, INNER, true, err);
}

static int gateways(struct ground *g, struct nl *in, struct err *err)
{
        const struct ct_config *c = &g->ct->conf;
        if (g->purpose != GROUND_START)
                return 0;
        int r = config_check_gateways(c, err);
        if (r == 0 && c->has_gw4)
                r = gateway(in, &c->gw4, err);
        if (r == 0 && c->has_gw6)
                r = gateway(in, &c->gw6, err);
        return r;
}

static int bridge_exists(struct nl *out, const char *name, struct err *err)
{
        struct nl_link l;
        int r = nl_link_get(out, name, &l, err);

        if (r < 0)
                return r;
        if (r == 0 && str_eq(l.kind, "bridge"))
                return 0;
        err_set(err, EX_CONFIG, "cannot connect the container", r ? "the node has no such bridge" : "this link is no bridge", "%s",
                name);
        return r ? err_remedy(err, "make it: ip link add %s type bridge && ip link set %s up; or set `bridge = none`", name, name)
                 : err_remedy(err, "name a bridge, or set `bridge = none`");
}

int ground_net(struct ground *g, struct err *err)
{
        const struct ct_config *c = &g->ct->conf;
        _cleanup_nl_ struct nl *out = NULL, *in = NULL;
        bool link = ground_has_link(g->ct);
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/net", g->pid);
        _cleanup_close_ int ns = path_open(AT_FDCWD, path, O_RDONLY, 0, err);
        if (ns < 0)
                return ns;
        int r = nl_open(&out, err);
        if (r == 0)
                r = nl_open_in(ns, &in, err);
        if (r == 0 && link)
                r = bridge_exists(out, c->bridge, err);
        if (r == 0 && link)
                r = nl_veth_create(out, g->ct->port, c->bridge, ns, INNER, c->mac, err);
        if (r == 0)
                r = inside(g, in, link, err);
        if (r == 0 && link)
                r = nl_link_up(out, g->ct->port, true, err);
        if (r == 0 && link)
                r = nl_port_block(out, g->ct->port, true, err);
        if (r == 0 && link && g->purpose != GROUND_START)
                r = nl_link_autoconf(in, INNER, true, err);
        if (r == 0 && link)
                r = gateways(g, in, err);
        return r < 0 ? err_wrap(err, "cannot connect the container", "%s", g->ct->name) : 0;
}

int ground_port(struct ct *ct, bool blocked, struct err *err)
{
        _cleanup_nl_ struct nl *nl = NULL;

        if (!ground_has_link(ct))
                return 0;
        int r = nl_open(&nl, err);
        return r < 0 ? r : nl_port_block(nl, ct->port, blocked, err);
}
