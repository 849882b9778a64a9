/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The victim of TCP over either family: a listener with options, a bound socket, a connection to itself with bytes to be
 * read at both ends, one whose writer waits for its reader with most of its bytes unsent, and options of each. Where two
 * dumps are compared (VICTIM_CALM) the writer has less to say: what waits goes on to the reader between them.
 */
#pragma once

#include <arpa/inet.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/victim/victim.h"

struct ends { int server, client; };
struct tcp_state { int listener, bound; struct ends quiet, full; size_t sent; unsigned segment[4]; };

static inline void option(int fd, int level, int name, int v)
{
        VICTIM_MUST(setsockopt(fd, level, name, &v, sizeof(v)) == 0);
}

static inline int asked(int fd, int level, int name)
{
        int v = -1;
        socklen_t n = sizeof(v);

        return getsockopt(fd, level, name, &v, &n) < 0 ? -1 : v;
}

static inline uint8_t pattern(size_t at)
{
        return (uint8_t)(at * 31 + at / 257);
}

/* Until nothing more fits, or `max` bytes. */
static inline size_t fill(int fd, size_t at, size_t max)
{
        uint8_t buf[4096];
        size_t end = at + max, from = at;

        while (at < end) {
                size_t want = end - at < sizeof(buf) ? end - at : sizeof(buf);
                for (size_t i = 0; i < want; i++)
                        buf[i] = pattern(at + i);
                ssize_t n = send(fd, buf, want, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0)
                        break;
                at += (size_t)n;
        }
        return at - from;
}

static inline bool drain(struct victim *v, int fd, size_t at, size_t want, const char *which)
{
        uint8_t buf[4096];
        struct pollfd p = {.fd = fd, .events = POLLIN};

        for (size_t end = at + want; at < end;) {
                ssize_t n = poll(&p, 1, 10000) == 1 ? recv(fd, buf, end - at < sizeof(buf) ? end - at : sizeof(buf), MSG_DONTWAIT) : -1;
                if (n <= 0) {
                        victim_fail(v, "%s: %zu bytes of %zu do not come: %s", which, end - at, want, n ? strerror(errno) : "end of file");
                        return false;
                }
                for (ssize_t i = 0; i < n; i++)
                        if (buf[i] != pattern(at + (size_t)i)) {
                                victim_fail(v, "%s: byte %zu is wrong", which, at + (size_t)i);
                                return false;
                        }
                at += (size_t)n;
        }
        return true;
}

static inline void talk(struct victim *v, struct ends e, const char *which)
{
        VICTIM_CHECK(v, fill(e.server, 0, 5000) == 5000 && fill(e.client, 0, 3000) == 3000, "%s: send: %s", which, strerror(errno));
        (void)(drain(v, e.client, 0, 5000, which) && drain(v, e.server, 0, 3000, which));
}

static inline int bound_socket(int family)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        VICTIM_MUST(fd >= 0);
        option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (family == AF_INET6)
                option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        VICTIM_MUST(bind(fd, family == AF_INET ? (struct sockaddr *)&a : (struct sockaddr *)&b, family == AF_INET ? sizeof(a) : sizeof(b)) == 0);
        return fd;
}

static inline int connected(int listener)
{
        struct sockaddr_storage a = {0};
        socklen_t n = sizeof(a);

        VICTIM_MUST(getsockname(listener, (struct sockaddr *)&a, &n) == 0);
        int fd = socket(a.ss_family, SOCK_STREAM, 0);
        VICTIM_MUST(fd >= 0 && connect(fd, (struct sockaddr *)&a, n) == 0);
        return fd;
}

static inline struct ends pair(int listener)
{
        struct ends e = {.client = connected(listener)};

        VICTIM_MUST((e.server = accept(listener, NULL, NULL)) >= 0);
        return e;
}

/* Bytes of a full segment. */
static inline unsigned segment(int fd)
{
        struct tcp_info info = {0};
        socklen_t n = sizeof(info);

        return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ? 0 : info.tcpi_snd_mss;
}

static inline void segments(const struct tcp_state *s, unsigned ret[4])
{
        const int fd[4] = {s->quiet.server, s->quiet.client, s->full.server, s->full.client};

        for (unsigned i = 0; i < 4; i++)
                ret[i] = segment(fd[i]);
}

/* Some of each level, with a value that a new socket does not have; those of IPv4 on IPv6 sockets too. */
static const struct chosen { int family, level, name, value; } chosen[] = {
        {0, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE},
        {0, SOL_SOCKET, SO_BROADCAST, 1},
        {0, SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1},
        {0, SOL_SOCKET, SO_RXQ_OVFL, 1},
        {0, IPPROTO_IP, IP_TOS, 0x10},
        {0, IPPROTO_IP, IP_TTL, 77},
        {0, IPPROTO_IP, IP_PKTINFO, 1},
        {0, IPPROTO_IP, IP_RECVTOS, 1},
        {0, IPPROTO_IP, IP_MULTICAST_ALL, 0},
        {AF_INET6, IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
        {AF_INET6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
        {AF_INET6, IPPROTO_IPV6, IPV6_DONTFRAG, 1},
};
enum { CHOSEN = sizeof(chosen) / sizeof(chosen[0]) };

static const uint8_t fastopen_key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline void choose(int fd, int family)
{
        for (unsigned i = 0; i < CHOSEN; i++)
                if (!chosen[i].family || chosen[i].family == family)
                        option(fd, chosen[i].level, chosen[i].name, chosen[i].value);
}

static inline void still_chosen(struct victim *v, int fd, int family, const char *which)
{
        for (unsigned i = 0; i < CHOSEN; i++) {
                int now = asked(fd, chosen[i].level, chosen[i].name);
                VICTIM_CHECK(v, (chosen[i].family && chosen[i].family != family) || now == chosen[i].value, "%s: option %d of level %d is %d", which,
                             chosen[i].name, chosen[i].level, now);
        }
}

/* A container's own setting, from which one of its sockets differs and the node's do not. */
static inline void other_defaults(const struct tcp_state *s)
{
        static const char own[] = "600";
        int fd = open("/proc/sys/net/ipv4/tcp_keepalive_time", O_WRONLY | O_CLOEXEC);

        VICTIM_MUST(fd >= 0 && write(fd, own, sizeof(own) - 1) == sizeof(own) - 1 && close(fd) == 0);
        option(s->bound, IPPROTO_TCP, TCP_KEEPIDLE, 7200);
}

static inline void tcp_build(struct tcp_state *s, int family)
{
        bool calm = victim_calm();

        s->listener = bound_socket(family);
        option(s->listener, IPPROTO_TCP, TCP_KEEPIDLE, 77);
        VICTIM_MUST(listen(s->listener, 9) == 0);
        s->bound = bound_socket(family);
        choose(s->bound, family);
        option(s->bound, IPPROTO_TCP, TCP_WINDOW_CLAMP, 7777);
        VICTIM_MUST(setsockopt(s->bound, IPPROTO_TCP, TCP_FASTOPEN_KEY, fastopen_key, sizeof(fastopen_key)) == 0);
        s->quiet = pair(s->listener);
        choose(s->quiet.client, family);
        option(s->quiet.client, IPPROTO_TCP, TCP_NODELAY, 1);
        VICTIM_MUST(fill(s->quiet.server, 0, 30000) == 30000 && fill(s->quiet.client, 0, 70) == 70);
        s->full = pair(s->listener);
        option(s->full.server, SOL_SOCKET, SO_SNDBUF, 1 << 20);
        s->sent = fill(s->full.server, 0, calm ? 20000 : 64u << 20);
        segments(s, s->segment);
        if (getenv("container"))
                other_defaults(s);
}

static inline void tcp_verify(struct tcp_state *s, struct victim *v, int family)
{
        unsigned now[4];

        /* Of a fast link they are half the largest window that the peer has shown when they were reckoned last, which may grow. */
        segments(s, now);
        for (unsigned i = 0; i < 4; i++)
                VICTIM_CHECK(v, now[i] >= s->segment[i], "segments of connection %u had %u bytes and have %u", i, s->segment[i], now[i]);
        VICTIM_CHECK(v, fcntl(s->listener, F_GETFD) == FD_CLOEXEC && fcntl(s->quiet.client, F_GETFD) == 0, "close-on-exec is lost");
        if (drain(v, s->quiet.client, 0, 30000, "client of the quiet one") && drain(v, s->quiet.server, 0, 70, "server of the quiet one"))
                talk(v, s->quiet, "the quiet one");
        if (drain(v, s->full.client, 0, s->sent, "client of the full one"))
                talk(v, s->full, "the full one");
        still_chosen(v, s->bound, family, "the bound one");
        still_chosen(v, s->quiet.client, family, "the quiet one");
        uint8_t key[32] = {0};
        socklen_t n = sizeof(key);
        VICTIM_CHECK(v, getsockopt(s->bound, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, &n) == 0 && n == sizeof(fastopen_key) &&
                     memcmp(key, fastopen_key, n) == 0, "TCP_FASTOPEN_KEY is lost");
        VICTIM_CHECK(v, asked(s->bound, IPPROTO_TCP, TCP_WINDOW_CLAMP) == 7777, "TCP_WINDOW_CLAMP is lost");
        VICTIM_CHECK(v, asked(s->bound, IPPROTO_TCP, TCP_KEEPIDLE) == 7200, "TCP_KEEPIDLE is another: %d", asked(s->bound, IPPROTO_TCP, TCP_KEEPIDLE));
        VICTIM_CHECK(v, asked(s->quiet.client, IPPROTO_TCP, TCP_NODELAY) == 1, "TCP_NODELAY is lost");
        VICTIM_CHECK(v, asked(s->quiet.server, IPPROTO_TCP, TCP_KEEPIDLE) == 77, "TCP_KEEPIDLE is lost");
        VICTIM_CHECK(v, asked(s->quiet.server, SOL_SOCKET, SO_REUSEADDR) == 1, "SO_REUSEADDR of a connection is lost");
        VICTIM_CHECK(v, asked(s->quiet.client, SOL_SOCKET, SO_REUSEADDR) == 0, "SO_REUSEADDR of a connection has appeared");
        VICTIM_CHECK(v, asked(s->quiet.client, SOL_SOCKET, SO_BUF_LOCK) == 0, "the buffers of a connection are fixed");
        VICTIM_CHECK(v, asked(s->full.server, SOL_SOCKET, SO_BUF_LOCK) == 1, "the buffer that was fixed is not");
        VICTIM_CHECK(v, family == AF_INET || asked(s->quiet.server, IPPROTO_IPV6, IPV6_V6ONLY) == 1, "IPV6_V6ONLY is lost");
        VICTIM_CHECK(v, asked(s->listener, SOL_SOCKET, SO_ACCEPTCONN) == 1 && asked(s->bound, SOL_SOCKET, SO_ACCEPTCONN) == 0,
                     "the listener does not listen, or the bound one does");
        talk(v, pair(s->listener), "a new connection");
        VICTIM_CHECK(v, listen(s->bound, 1) == 0, "the bound socket cannot listen: %s", strerror(errno));
        talk(v, pair(s->bound), "a connection to the bound one");
}
