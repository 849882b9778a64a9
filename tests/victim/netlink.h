/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink requests of victims: a message, its attributes, the kernel's answer. */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/victim/victim.h"

struct request { struct nlmsghdr h; uint8_t body[512]; };

static inline void request_attr(struct request *m, uint16_t type, const void *value, size_t len)
{
        struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len));

        *a = (struct rtattr){.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};
        if (len)
                memcpy(RTA_DATA(a), value, len);
        m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* A nested attribute is open until its end is told. */
static inline struct rtattr *request_nest(struct request *m, uint16_t type)
{
        struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len));

        request_attr(m, type | NLA_F_NESTED, NULL, 0);
        return a;
}

static inline void request_end(struct request *m, struct rtattr *a)
{
        a->rta_len = (uint16_t)((uint8_t *)m + m->h.nlmsg_len - (uint8_t *)a);
}

/* Sends `len` bytes of messages on a socket of its own; the first error that comes back, 0 for an acknowledgement. */
static inline int request_send(int protocol, const void *m, size_t len)
{
        struct { struct nlmsghdr h; struct nlmsgerr e; uint8_t rest[1024]; } answer;
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

        VICTIM_MUST(fd >= 0);
        VICTIM_MUST(send(fd, m, len, 0) == (ssize_t)len);
        VICTIM_MUST(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)));
        VICTIM_MUST(answer.h.nlmsg_type == NLMSG_ERROR);
        VICTIM_MUST(close(fd) == 0);
        return -answer.e.error;
}

/* The ioctl for it asks for root of the node. */
static inline int link_queue(int index, uint32_t length)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWLINK, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
        struct ifinfomsg *i = NLMSG_DATA(&m.h);

        *i = (struct ifinfomsg){.ifi_index = index};
        request_attr(&m, IFLA_TXQLEN, &length, sizeof(length));
        return request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
}

/* Sends a dump request, and writes each answer as a line: its head and attributes in hex, but for the attribute `skip`. */
static inline void request_lines(int protocol, struct request *m, size_t head, uint16_t skip, void (*each)(void *arg, const char *line), void *arg)
{
        static union { struct nlmsghdr h; uint8_t bytes[65536]; } answer;
        static char line[4096];
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

        VICTIM_MUST(fd >= 0);
        m->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
        VICTIM_MUST(send(fd, m, m->h.nlmsg_len, 0) == (ssize_t)m->h.nlmsg_len);
        for (;;) {
                ssize_t n = recv(fd, &answer, sizeof(answer), 0);
                VICTIM_MUST(n > 0);
                unsigned left = (unsigned)n;
                for (const struct nlmsghdr *h = &answer.h; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        size_t at = 0;
                        VICTIM_MUST(h->nlmsg_type != NLMSG_ERROR);
                        if (h->nlmsg_type == NLMSG_DONE) {
                                VICTIM_MUST(close(fd) == 0);
                                return;
                        }
                        const uint8_t *p = NLMSG_DATA(h);
                        for (size_t i = 0; i < head; i++)
                                at += (size_t)snprintf(line + at, sizeof(line) - at, "%02x", p[i]);
                        unsigned rest = h->nlmsg_len - (unsigned)NLMSG_LENGTH(head);
                        for (const struct rtattr *a = (const struct rtattr *)(const void *)(p + NLMSG_ALIGN(head)); RTA_OK(a, rest);
                             a = RTA_NEXT(a, rest)) {
                                if (a->rta_type == skip)
                                        continue;
                                at += (size_t)snprintf(line + at, sizeof(line) - at, " %u=", a->rta_type);
                                for (size_t i = 0; i < RTA_PAYLOAD(a) && at < sizeof(line) - 8; i++)
                                        at += (size_t)snprintf(line + at, sizeof(line) - at, "%02x", ((const uint8_t *)RTA_DATA(a))[i]);
                        }
                        each(arg, line);
                }
        }
}

/* For addresses_settle(). */
static inline void address_tentative(void *any, const char *line)
{
        /* Of the head in hex: its first byte is the family, its third the flags. */
        if (strncmp(line, "0a", 2) == 0 && strtoul((char[]){line[4], line[5], 0}, NULL, 16) & IFA_F_TENTATIVE)
                *(bool *)any = true;
}

/*
 * Until duplicate detection is over an IPv6 address is tentative, and has no route to itself in the table local: the link-local
 * one for up to two seconds after its link came up. Sleeps until no address is.
 */
static inline void addresses_settle(void)
{
        const struct timespec tick = {.tv_nsec = 10000000};

        for (bool any = true; any;) {
                struct request m = {.h = {.nlmsg_type = RTM_GETADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
                any = false;
                request_lines(NETLINK_ROUTE, &m, sizeof(struct ifaddrmsg), IFA_CACHEINFO, address_tentative, &any);
                if (any)
                        VICTIM_MUST(nanosleep(&tick, NULL) == 0);
        }
}
