/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of records (netip.h): four bytes are IPv4, sixteen IPv6, in the order of the wire. Link names are what the
 * kernel accepts: no slash, no blank, shorter than 16 bytes.
 */
#include "checkpoint/kind/netip.h"

#include <string.h>
#include <sys/socket.h>

int netip_set(ProtobufCBinaryData *b, const struct ip_prefix *ip, struct err *err)
{
        return field_set(b, ip->addr, ip->family == AF_INET6 ? 16 : 4, err);
}

bool netip_get(const ProtobufCBinaryData *b, uint32_t bits, struct ip_prefix *ret)
{
        if ((b->len != 4 && b->len != 16) || bits > b->len * 8)
                return false;
        *ret = (struct ip_prefix){.family = b->len == 4 ? AF_INET : AF_INET6, .bits = bits};
        memcpy(ret->addr, b->data, b->len);
        return true;
}

bool netip_link(const ProtobufCBinaryData *b, char ret[16])
{
        if (!field_is_text(b, 15) || memchr(b->data, '/', b->len) || memchr(b->data, ' ', b->len))
                return false;
        return field_copy(b, ret, 16);
}
