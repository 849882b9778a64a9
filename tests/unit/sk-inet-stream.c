/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP over IPv4: what tcp-common.c tests, the plans of a listener and of a connection, hostile records. */
#include <criterion/criterion.h>
#include <sys/socket.h>

#include "checkpoint/kind/tcp.h"
#include "proto/sk-inet-stream.pb-c.h"
#include "tests/unit/tcp-common.h"

#define FAMILY AF_INET
typedef struct sockaddr_in Address;
typedef Gantry__SkInetStream Message;

#define SHARED(name)                                                                                         \
        Test(sk_inet_stream, name)                                                                                \
        {                                                                                                    \
                tcp_test_##name(FAMILY);                                                                     \
        }
SHARED(listener)
SHARED(unconnected)
SHARED(options)
SHARED(queues)
SHARED(tail)
SHARED(state)
SHARED(cure)
SHARED(refused)

static void put(ProtobufCBinaryData *b, const void *p, size_t n)
{
        *b = (ProtobufCBinaryData){.len = n, .data = kind_memdup(p, n)};
}

static Address address(uint16_t port)
{
        struct sockaddr_storage any;
        Address a;

        (void)loopback(FAMILY, &any);
        memcpy(&a, &any, sizeof(a));
        a.sin_port = htons(port);
        return a;
}

static Message *message(struct kt *t, uint32_t state)
{
        Message *m = KIND_NEW(Message, gantry__sk_inet_stream__init);
        Address local = address(80);

        m->flags = O_RDWR;
        m->state = state;
        m->sndbuf = 16384;
        m->rcvbuf = 131072;
        m->has_local = true;
        put(&m->local, &local, sizeof(local));
        kt_give(t, 1, &kind_sk_inet_stream, &m->base);
        return m;
}

static void option(Message *m, uint32_t level, uint32_t name, const void *value, size_t n)
{
        Gantry__SkInetStream__Option *o = KIND_NEW(Gantry__SkInetStream__Option, gantry__sk_inet_stream__option__init);

        m->option = realloc(m->option, (m->n_option + 1) * sizeof(*m->option));
        m->option[m->n_option++] = o;
        o->level = level;
        o->name = name;
        put(&o->value, value, n);
}

static Gantry__SkInetStream__Established *established(Message *m)
{
        Gantry__SkInetStream__Established *e = KIND_NEW(Gantry__SkInetStream__Established, gantry__sk_inet_stream__established__init);
        Address peer = address(9999);

        m->established = e;
        put(&e->peer, &peer, sizeof(peer));
        e->snd_seq = 1005;
        e->rcv_seq = 2003;
        e->inq = 3;
        e->outq = 5;
        e->unsent = 2;
        e->mss_clamp = 1460;
        e->options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE;
        e->snd_wscale = e->rcv_wscale = 7;
        e->snd_wnd = e->max_window = e->rcv_wnd = 65536;
        e->has_queue = true;
        put(&e->queue, "inqoutqq", 8);
        return e;
}

Test(sk_inet_stream, golden_listener)
{
        struct kt *t = kt_new();
        Message *m = message(t, TCP_LISTEN);
        uint32_t one = 1, fixed = 2;

        m->has_backlog = true;
        m->backlog = 5;
        m->flags = O_RDWR | O_NONBLOCK;
        option(m, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        option(m, IPPROTO_TCP, TCP_CORK, &one, sizeof(one));
        option(m, SOL_SOCKET, SO_BUF_LOCK, &fixed, sizeof(fixed));
        kt_golden(t, PH_MAKE, "tape of task 1000, 1 calls\n"
                              "# make a TCP socket (1)\n"
                              "0 socket(2, 0x80801, 6) keep 1\n");
        kt_golden(t, PH_BIND, "tape of task 1000, 4 calls\n"
                              "# bind a TCP socket (1)\n"
                              "0 setsockopt(fd#1, 1, 2, hex:01000000, 4)\n"
                              "1 bind(fd#1, hex:020000507f0000010000000000000000, 16)\n"
                              "2 listen(fd#1, 5)\n"
                              "3 setsockopt(fd#1, 6, 3, hex:01000000, 4)\n"
                              "tape of self 0, 1 calls\n"
                              "# buffers of a TCP socket (1)\n"
                              "0 setsockopt(fd#1, 1, 33, hex:00000100, 4)\n");
        kt_golden(t, PH_PARK, "");
        kt_free(t);
}

Test(sk_inet_stream, golden_connection)
{
        struct kt *t = kt_new();
        Message *m = message(t, TCP_ESTABLISHED);
        uint32_t one = 1;

        option(m, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        option(m, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)established(m);
        kt_golden(t, PH_BIND, "tape of self 0, 18 calls\n"
                              "# restore a TCP connection (1)\n"
                              "0 setsockopt(fd#1, 6, 19, hex:01000000, 4)\n"
                              "1 setsockopt(fd#1, 1, 32, hex:05800000, 4)\n"
                              "2 setsockopt(fd#1, 1, 33, hex:00000100, 4)\n"
                              "3 setsockopt(fd#1, 6, 20, hex:02000000, 4)\n"
                              "4 setsockopt(fd#1, 6, 21, hex:e8030000, 4)\n"
                              "5 setsockopt(fd#1, 6, 20, hex:01000000, 4)\n"
                              "6 setsockopt(fd#1, 6, 21, hex:d0070000, 4)\n"
                              "7 bind(fd#1, hex:020000507f0000010000000000000000, 16)\n"
                              "8 connect(fd#1, hex:0200270f7f0000010000000000000000, 16)\n"
                              "9 setsockopt(fd#1, 6, 22, hex:02000000b405000003000000070007000800000000000000, 24)\n"
                              "10 setsockopt(fd#1, 6, 1, hex:01000000, 4)\n"
                              "11 setsockopt(fd#1, 6, 20, hex:01000000, 4)\n"
                              "12 sendto(fd#1, hex:696e71, 3, 0, 0, 0) = 3\n"
                              "13 setsockopt(fd#1, 6, 29, hex:0000000000000000000001000000010000000000, 20)\n"
                              "14 setsockopt(fd#1, 0, 4, 0, 0)\n"
                              "15 setsockopt(fd#1, 6, 20, hex:02000000, 4)\n"
                              "16 sendto(fd#1, hex:6f7574, 3, 0, 0, 0) = 3\n"
                              "17 setsockopt(fd#1, 6, 20, hex:00000000, 4)\n");
        kt_golden(t, PH_PARK, "tape of self 0, 7 calls\n"
                              "# queue the tail of a TCP connection (1)\n"
                              "0 setsockopt(fd#1, 6, 24, hex:00000000, 4)\n"
                              "1 setsockopt(fd#1, 6, 19, hex:ffffffff, 4)\n"
                              "2 setsockopt(fd#1, 1, 2, hex:01000000, 4)\n"
                              "3 sendto(fd#1, hex:7171, 2, 0x4040, 0, 0) = 2\n"
                              "4 setsockopt(fd#1, 1, 32, hex:00200000, 4)\n"
                              "5 setsockopt(fd#1, 1, 33, hex:00000100, 4)\n"
                              "6 setsockopt(fd#1, 1, 72, hex:00000000, 4) may fail ENOPROTOOPT\n");
        kt_free(t);
}

enum bend { NOTHING, FLAGS, STATE, STATE_WIDE, LOCAL_SHORT, LOCAL_FAMILY, UNBOUND, OPTION_UNKNOWN, OPTION_EMPTY, OPTION_LONG, OPTION_HUGE,
            OPTION_LEVEL, OPTION_MANY, SNDBUF, RCVBUF, BACKLOG, NO_CONNECTION, PEER_SHORT, PEER_FAMILY, INQ, OUTQ, UNSENT, QUEUE_SHORT,
            QUEUE_NONE, QUEUE_BESIDE, WSCALE, RCV_WSCALE, MSS_LOW, MSS_HIGH, WINDOW, BENDS };

static void bend_options(Message *m, enum bend how)
{
        static const uint8_t bytes[128];
        uint32_t one = 1;

        if (how == OPTION_UNKNOWN)
                option(m, SOL_SOCKET, SO_ATTACH_FILTER, &one, sizeof(one));
        if (how == OPTION_EMPTY)
                option(m, IPPROTO_TCP, TCP_NODELAY, &one, 0);
        if (how == OPTION_LONG)
                option(m, IPPROTO_TCP, TCP_NODELAY, bytes, 8);
        if (how == OPTION_HUGE)
                option(m, IPPROTO_TCP, TCP_CONGESTION, bytes, sizeof(bytes));
        if (how == OPTION_LEVEL)
                option(m, UINT32_MAX, TCP_NODELAY, &one, sizeof(one));
        for (int i = 0; how == OPTION_MANY && i <= TCP_OPTIONS_MAX; i++)
                option(m, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void bend_connection(Message *m, Gantry__SkInetStream__Established *e, enum bend how)
{
        e->inq = how == INQ ? 1u << 27 : e->inq;
        e->outq = how == OUTQ ? 1u << 27 : how == QUEUE_BESIDE ? 70000 : e->outq;
        e->unsent = how == UNSENT ? 6 : e->unsent;
        e->queue.len = how == QUEUE_SHORT ? 7 : e->queue.len;
        e->has_queue = how != QUEUE_NONE && how != INQ && how != OUTQ;
        e->peer.len = how == PEER_SHORT ? 3 : e->peer.len;
        if (how == PEER_FAMILY)
                e->peer.data[0] = AF_UNIX;
        e->snd_wscale = how == WSCALE ? 15 : e->snd_wscale;
        e->rcv_wscale = how == RCV_WSCALE ? 15 : e->rcv_wscale;
        e->mss_clamp = how == MSS_LOW ? 1 : how == MSS_HIGH ? 70000 : e->mss_clamp;
        e->max_window = how == WINDOW ? 1 : e->max_window;
        if (how == NO_CONNECTION)
                m->state = TCP_LISTEN;
}

Test(sk_inet_stream, hostile)
{
        for (int how = 0; how < BENDS; how++) {
                struct kt *t = kt_new();
                Message *m = message(t, TCP_ESTABLISHED);
                Gantry__SkInetStream__Established *e = established(m);
                m->flags = how == FLAGS ? ~0u : m->flags;
                m->state = how == STATE ? TCP_CLOSE_WAIT : how == STATE_WIDE ? 257 : m->state;
                m->local.len = how == LOCAL_SHORT ? 2 : m->local.len;
                if (how == LOCAL_FAMILY)
                        m->local.data[0] = AF_UNIX;
                m->has_local = how != UNBOUND;
                m->sndbuf = how == SNDBUF ? 1u << 31 : m->sndbuf;
                m->rcvbuf = how == RCVBUF ? 1u << 31 : m->rcvbuf;
                m->has_backlog = how == BACKLOG;
                m->backlog = how == BACKLOG ? UINT32_MAX : 0;
                bend_options(m, (enum bend)how);
                bend_connection(m, e, (enum bend)how);
                cr_assert_eq(kt_check(t, NULL), how == NOTHING ? 0 : -EX_IMAGE, "bend %d", how);
                kt_free(t);
        }
}

/* A state that no record has is not accepted without a connection either. */
Test(sk_inet_stream, hostile_state)
{
        struct kt *t = kt_new();

        (void)message(t, TCP_SYN_SENT);
        cr_assert_eq(kt_check(t, NULL), -EX_IMAGE);
        kt_free(t);
}
