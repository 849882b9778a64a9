/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind a socket belongs to: address family, then type, then protocol. Protocol 0 is the default one of its type.
 * A type or protocol that no rule names is sk-other, so that nothing new passes for something known.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/kinds.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static uint16_t classify_unix(int type)
{
        switch (type) {
        case SOCK_STREAM:
                return KIND_SK_UNIX_STREAM;
        case SOCK_DGRAM:
                return KIND_SK_UNIX_DGRAM;
        case SOCK_SEQPACKET:
                return KIND_SK_UNIX_SEQPACKET;
        default:
                return KIND_SK_OTHER;
        }
}

static uint16_t classify_inet_dgram(int protocol, bool six)
{
        switch (protocol) {
        case 0:
        case IPPROTO_UDP:
                return six ? KIND_SK_INET6_DGRAM : KIND_SK_INET_DGRAM;
        case IPPROTO_UDPLITE:
                return KIND_SK_INET_UDPLITE;
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return KIND_SK_INET_ICMP;
        default:
                return KIND_SK_OTHER;
        }
}

static uint16_t classify_inet(const struct facts *f)
{
        bool six = f->file.family == AF_INET6;
        int protocol = f->file.protocol;

        if (protocol == IPPROTO_SCTP && f->file.type != SOCK_RAW)
                return KIND_SK_INET_SCTP;
        switch (f->file.type) {
        case SOCK_STREAM:
                if (protocol == IPPROTO_MPTCP)
                        return KIND_SK_INET_MPTCP;
                if (protocol != 0 && protocol != IPPROTO_TCP)
                        return KIND_SK_OTHER;
                return six ? KIND_SK_INET6_STREAM : KIND_SK_INET_STREAM;
        case SOCK_DGRAM:
                return classify_inet_dgram(protocol, six);
        case SOCK_RAW:
                return six ? KIND_SK_INET6_RAW : KIND_SK_INET_RAW;
        default:
                return KIND_SK_OTHER;
        }
}

uint16_t classify_socket(const struct facts *f)
{
        static const struct { int family; uint16_t number; } rules[] = {
                {AF_NETLINK, KIND_SK_NETLINK}, {AF_PACKET, KIND_SK_PACKET}, {AF_VSOCK, KIND_SK_VSOCK},
                {AF_XDP, KIND_SK_XDP},         {AF_ALG, KIND_SK_ALG},       {AF_KEY, KIND_SK_KEY},
                {AF_BLUETOOTH, KIND_SK_BLUETOOTH}, {AF_CAN, KIND_SK_CAN},   {AF_TIPC, KIND_SK_TIPC},
        };

        if (f->file.family == AF_UNIX)
                return classify_unix(f->file.type);
        if (f->file.family == AF_INET || f->file.family == AF_INET6)
                return classify_inet(f);
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (rules[i].family == f->file.family)
                        return rules[i].number;
        return KIND_SK_OTHER;
}
