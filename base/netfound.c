/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: what answers have in common (base/netlink-impl.h): addresses as libnl's and as text, and the list that a dump of addresses,
 * routes or neighbours becomes. One entry that cannot be held fails the whole list, by its name: what is left out would be lost.
 *
 * Not here: what an answer means (netaddr.c, netroute.c, netneigh.c).
 */
#include "base/netlink-impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const char *nl_ip_text(const struct ip_prefix *ip, char ret[NL_IP_TEXT])
{
        _cleanup_nladdr_ struct libnl_addr *a = nl_addr_from(ip);

        if (!a || !nl_addr2str(a, ret, NL_IP_TEXT))
                str_copy(ret, NL_IP_TEXT, "?");
        return ret;
}

struct libnl_addr *nl_addr_from(const struct ip_prefix *ip)
{
        struct libnl_addr *a = nl_addr_build(ip->family, ip->addr, ip->family == AF_INET6 ? 16 : 4);

        if (a)
                nl_addr_set_prefixlen(a, (int)ip->bits);
        return a;
}

void nl_found_add(struct nl_found *f, int q, const void *x, const struct ip_prefix *ip, const char *why)
{
        if (q < 0 && !f->why) {
                f->why = why;
                f->bad = *ip;
        }
        if (q != 1 || f->no_memory)
                return;
        if (f->n == f->cap) {
                size_t cap = f->cap ? f->cap * 2 : 32;
                void *v = reallocarray(f->v, cap, f->size);
                if (!v) {
                        f->no_memory = true;
                        return;
                }
                f->v = v;
                f->cap = cap;
        }
        memcpy((char *)f->v + f->n++ * f->size, x, f->size);
}

int nl_found_end(struct nl_found *f, int r, const char *what, const char *cannot, struct err *err)
{
        char on[NL_IP_TEXT];

        if (r == 0 && f->no_memory)
                r = -NLE_NOMEM;
        if (r == 0 && !f->why)
                return 0;
        free(f->v);
        if (r < 0)
                return nl_failed(err, r, what, "");
        return err_set(err, EX_UNSUPPORTED, cannot, f->why, "%s", nl_ip_text(&f->bad, on));
}
