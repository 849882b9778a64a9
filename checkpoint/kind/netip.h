/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses and link names of records, to and from those of base/netlink.h. */
#pragma once

#include <stdbool.h>
#include "base/netlink.h"
#include "checkpoint/kind/field.h"

/* 4 or 16 bytes. */
int netip_set(ProtobufCBinaryData *b, const struct ip_prefix *ip, struct err *err);
/* False for any other length, or a prefix longer than the address. */
bool netip_get(const ProtobufCBinaryData *b, uint32_t bits, struct ip_prefix *ret);
/* A link's name: 1 to 15 bytes. */
bool netip_link(const ProtobufCBinaryData *b, char ret[16]);
