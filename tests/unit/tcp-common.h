/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of TCP over both families share: loopback connections of this process, dumped and restored into it.
 * Both ends are in one process; GO is played here by hand.
 */
#pragma once

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/unit/harness.h"

struct pair { int server, client; };

static inline void set_int(int fd, int level, int name, int v)
{
        cr_assert_eq(setsockopt(fd, level, name, &v, sizeof(v)), 0, "option %d/%d", level, name);
}

static inline int get_int(int fd, int level, int name)
{
        int v = -1;
        socklen_t n = sizeof(v);

        cr_assert_eq(getsockopt(fd, level, name, &v, &n), 0, "option %d/%d", level, name);
        return v;
}

/* TCP_REPAIR is the node's administrator's. */
static inline void need_repair(void)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        int r = setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));

        close(fd);
        if (r < 0)
                cr_skip_test("TCP_REPAIR needs CAP_NET_ADMIN");
}

static inline socklen_t loopback(int family, struct sockaddr_storage *ret)
{
        struct sockaddr_in *a = (void *)ret;
        struct sockaddr_in6 *b = (void *)ret;

        *ret = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
        if (family == AF_INET)
                a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                b->sin6_addr = in6addr_loopback;
        return family == AF_INET ? sizeof(*a) : sizeof(*b);
}

static inline int tcp_socket(int family)
{
        int fd = socket(family, SOCK_STREAM, 0);

        cr_assert_geq(fd, 0);
        return fd;
}

static inline int tcp_bound(int family)
{
        struct sockaddr_storage a;
        socklen_t n = loopback(family, &a);
        int fd = tcp_socket(family);

        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (family == AF_INET6)
                set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        cr_assert_eq(bind(fd, (struct sockaddr *)&a, n), 0);
        return fd;
}

static inline int tcp_listener(int family)
{
        int fd = tcp_bound(family);

        cr_assert_eq(listen(fd, 17), 0);
        return fd;
}

static inline int tcp_client(int listener)
{
        struct sockaddr_storage a = {};
        socklen_t n = sizeof(a);

        cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &n), 0);
        int fd = tcp_socket(a.ss_family);
        cr_assert_eq(connect(fd, (struct sockaddr *)&a, n), 0);
        return fd;
}

static inline struct pair tcp_pair(int family)
{
        int l = tcp_listener(family);
        struct pair p = {.client = tcp_client(l)};

        cr_assert_geq(p.server = accept(l, NULL, NULL), 0);
        close(l);
        return p;
}

static inline uint8_t pattern(size_t at)
{
        return (uint8_t)(at * 31 + at / 257);
}

/* Until nothing more fits, or `max` bytes; how many they were. */
static inline size_t fill(int fd, size_t max)
{
        uint8_t buf[4096];
        size_t at = 0;

        while (at < max) {
                size_t want = max - at < sizeof(buf) ? max - at : sizeof(buf);
                for (size_t i = 0; i < want; i++)
                        buf[i] = pattern(at + i);
                ssize_t n = send(fd, buf, want, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0)
                        break;
                at += (size_t)n;
        }
        return at;
}

/* `want` bytes of the pattern from `at`, waiting for each at most five seconds. */
static inline void drain(int fd, size_t at, size_t want)
{
        uint8_t buf[4096];
        struct pollfd p = {.fd = fd, .events = POLLIN};

        for (size_t end = at + want; at < end;) {
                cr_assert_eq(poll(&p, 1, 5000), 1, "%zu bytes do not come", end - at);
                ssize_t n = recv(fd, buf, end - at < sizeof(buf) ? end - at : sizeof(buf), MSG_DONTWAIT);
                cr_assert_gt(n, 0, "%zu bytes are missing: %s", end - at, n ? strerror(errno) : "end of file");
                for (ssize_t i = 0; i < n; i++)
                        cr_assert_eq(buf[i], pattern(at + (size_t)i), "byte %zu is wrong", at + (size_t)i);
                at += (size_t)n;
        }
}

/* What GO plays on each socket. */
static inline void go(struct pair p)
{
        for (int i = 0; i < 2; i++) {
                int fd = i ? p.client : p.server, reuse = get_int(fd, SOL_SOCKET, SO_REUSEADDR);
                set_int(fd, IPPROTO_TCP, TCP_REPAIR, 0);
                set_int(fd, SOL_SOCKET, SO_REUSEADDR, reuse);
        }
}

static inline void talk(struct pair p)
{
        cr_assert_eq(fill(p.server, 5000), 5000);
        cr_assert_eq(fill(p.client, 3000), 3000);
        drain(p.client, 0, 5000);
        drain(p.server, 0, 3000);
}

void tcp_test_listener(int family);
void tcp_test_unconnected(int family);
void tcp_test_options(int family);
void tcp_test_queues(int family);
void tcp_test_tail(int family);
void tcp_test_state(int family);
void tcp_test_cure(int family);
void tcp_test_refused(int family);
