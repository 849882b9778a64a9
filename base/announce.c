/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling the network where an address lives now (base/netlink.h): gratuitous ARP, unsolicited neighbour
 * advertisement.
 *
 * The frames are sent on the bridge device itself, so they leave by all its other ports while the container's port is
 * still disabled. Their source is the container's MAC, so that the switches on the way learn the new port at the same
 * time. ARP goes out as request and as reply: some systems take news only from one of the two. The sender runs in the
 * network namespace of the bridge.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/sys.h"

struct arp_frame {
        unsigned char dst[6], src[6];
        uint16_t type;
        uint16_t hw, proto;
        unsigned char hw_len, proto_len;
        uint16_t op;
        unsigned char sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
} __attribute__((packed));

struct na_frame {
        unsigned char dst[6], src[6];
        uint16_t type;
        /* IPv6 */
        uint32_t version_flow;
        uint16_t payload;
        unsigned char next, hops;
        unsigned char ip_src[16], ip_dst[16];
        /* ICMPv6 neighbour advertisement with the target's link-layer address */
        unsigned char icmp_type, icmp_code;
        uint16_t sum;
        uint32_t flags;
        unsigned char target[16];
        unsigned char opt_type, opt_len, opt_mac[6];
} __attribute__((packed));

#define NA_ICMP_LEN 32

static void make_arp(struct arp_frame *f, const unsigned char mac[6], const unsigned char ip[4], uint16_t op)
{
        *f = (struct arp_frame){
                .type = htons(ETH_P_ARP),
                .hw = htons(1), /* Ethernet */
                .proto = htons(ETH_P_IP),
                .hw_len = 6,
                .proto_len = 4,
                .op = htons(op),
        };
        memset(f->dst, 0xff, 6);
        memcpy(f->src, mac, 6);
        memcpy(f->sender_mac, mac, 6);
        memcpy(f->sender_ip, ip, 4);
        memcpy(f->target_ip, ip, 4);
        if (op == 2)
                memcpy(f->target_mac, mac, 6);
}

/* RFC 4443: over the addresses, the length, the next header and the message. */
static uint16_t icmp_sum(const struct na_frame *f)
{
        unsigned char b[16 + 16 + 8 + NA_ICMP_LEN] = {};
        uint32_t sum = 0;

        memcpy(b, f->ip_src, 16);
        memcpy(b + 16, f->ip_dst, 16);
        b[35] = NA_ICMP_LEN;
        b[39] = f->next;
        memcpy(b + 40, &f->icmp_type, NA_ICMP_LEN);
        for (size_t i = 0; i < sizeof(b); i += 2)
                sum += (uint32_t)(b[i] << 8 | b[i + 1]);
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

static void make_na(struct na_frame *f, const unsigned char mac[6], const unsigned char ip[16])
{
        static const unsigned char all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

        *f = (struct na_frame){
                .type = htons(ETH_P_IPV6),
                .version_flow = htonl(6u << 28),
                .payload = htons(NA_ICMP_LEN),
                .next = 58,
                .hops = 255, /* receivers insist on it */
                .ip_dst = {0xff, 0x02, [15] = 1},
                .icmp_type = 136,
                .flags = htonl(0x20000000), /* override */
                .opt_type = 2,
                .opt_len = 1,
        };
        memcpy(f->dst, all_nodes_mac, 6);
        memcpy(f->src, mac, 6);
        memcpy(f->ip_src, ip, 16);
        memcpy(f->target, ip, 16);
        memcpy(f->opt_mac, mac, 6);
        f->sum = icmp_sum(f);
}

static int send_frame(int sock, int index, const void *frame, size_t len)
{
        struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = index, .sll_halen = 6};
        struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
        struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1};
        int64_t r;

        memcpy(to.sll_addr, frame, 6);
        do
                r = sys_sendmsg(sock, &m, 0);
        while (r == -EINTR);
        return r < 0 ? (int)r : 0;
}

static int send_all(int sock, int index, const unsigned char mac[6], const struct ip_prefix *ip)
{
        if (ip->family == AF_INET) {
                struct arp_frame f;
                for (uint16_t op = 1; op <= 2; op++) {
                        make_arp(&f, mac, ip->addr, op);
                        int r = send_frame(sock, index, &f, sizeof(f));
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        struct na_frame f;
        make_na(&f, mac, ip->addr);
        return send_frame(sock, index, &f, sizeof(f));
}

int nl_announce(const char *bridge, const unsigned char mac[6], const struct ip_prefix *ip, struct err *err)
{
        unsigned index = if_nametoindex(bridge);

        if (!index)
                return err_sys(err, EX_UNKNOWN, errno, "cannot announce an address", "%s", bridge);
        /* Protocol 0: it only sends. */
        _cleanup_close_ int sock = sys_socket(AF_PACKET, SOCK_RAW, 0);
        if (sock < 0)
                return err_sys(err, EX_FAIL, sock, "cannot announce an address", "%s", bridge);
        int r = send_all(sock, (int)index, mac, ip);
        return r < 0 ? err_sys(err, EX_FAIL, r, "cannot announce an address", "%s", bridge) : 0;
}
