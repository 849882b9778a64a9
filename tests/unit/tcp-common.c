/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests of TCP that are the same over both families (tcp-common.h).
 */
#include "tests/unit/tcp-common.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <string.h>

/* A listener goes on: its address, its backlog, its options, its mode. */
void tcp_test_listener(int family)
{
        struct kt *t = kt_new();
        struct sockaddr_storage before = {}, after = {};
        socklen_t n = sizeof(before), m = sizeof(after);
        int l = tcp_listener(family);
        struct tcp_info info;
        socklen_t len = sizeof(info);

        cr_assert_eq(fcntl(l, F_SETFL, O_NONBLOCK), 0);
        cr_assert_eq(getsockname(l, (struct sockaddr *)&before, &n), 0);
        kt_add_fd(t, l);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(getsockname(l, (struct sockaddr *)&after, &m), 0);
        cr_assert(n == m && memcmp(&before, &after, n) == 0, "it listens elsewhere");
        cr_assert(fcntl(l, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
        cr_assert_eq(getsockopt(l, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        cr_assert_eq(info.tcpi_state, TCP_LISTEN);
        cr_assert_eq(info.tcpi_sacked, 17, "the backlog is %u", info.tcpi_sacked);
        cr_assert_eq(get_int(l, SOL_SOCKET, SO_REUSEADDR), 1);
        if (family == AF_INET6)
                cr_assert_eq(get_int(l, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        struct pair p = {.client = tcp_client(l)};
        cr_assert_geq(p.server = accept(l, NULL, NULL), 0);
        talk(p);
        kt_free(t);
}

/* One that is bound and one that is not, neither of which has ever been connected. */
void tcp_test_unconnected(int family)
{
        struct kt *t = kt_new();
        struct sockaddr_storage before = {}, after = {};
        socklen_t n = sizeof(before), m = sizeof(after);
        int bound = tcp_bound(family), plain = tcp_socket(family);

        cr_assert_eq(getsockname(bound, (struct sockaddr *)&before, &n), 0);
        kt_add_fd(t, bound);
        kt_add_fd(t, plain);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        cr_assert_eq(getsockname(bound, (struct sockaddr *)&after, &m), 0);
        cr_assert(n == m && memcmp(&before, &after, n) == 0, "it is bound elsewhere");
        cr_assert_eq(listen(bound, 1), 0);
        close(plain);
        plain = tcp_client(bound);
        kt_free(t);
}

/* Every option that is kept, on a socket that listens. */
void tcp_test_options(int family)
{
        static const struct { int level, name, value, family; } rows[] = {
                {SOL_SOCKET, SO_REUSEPORT, 1, 0},          {SOL_SOCKET, SO_KEEPALIVE, 1, 0},
                {SOL_SOCKET, SO_OOBINLINE, 1, 0},          {SOL_SOCKET, SO_RCVLOWAT, 7, 0},
                {SOL_SOCKET, SO_DONTROUTE, 1, 0},          {SOL_SOCKET, SO_TIMESTAMP, 1, 0},
                {SOL_SOCKET, SO_ZEROCOPY, 1, 0},           {IPPROTO_IP, IP_TOS, 0x10, AF_INET},
                {SOL_SOCKET, SO_PRIORITY, 3, 0},           {IPPROTO_IP, IP_TTL, 9, AF_INET},
                {IPPROTO_IP, IP_MINTTL, 2, AF_INET},       {IPPROTO_IP, IP_RECVERR, 1, AF_INET},
                {IPPROTO_IP, IP_FREEBIND, 1, 0},           {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, AF_INET},
                {IPPROTO_IPV6, IPV6_TCLASS, 0x20, AF_INET6}, {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9, AF_INET6},
                {IPPROTO_IPV6, IPV6_RECVERR, 1, AF_INET6}, {IPPROTO_TCP, TCP_NODELAY, 1, 0},
                {IPPROTO_TCP, TCP_KEEPIDLE, 11, 0},        {IPPROTO_TCP, TCP_KEEPINTVL, 12, 0},
                {IPPROTO_TCP, TCP_KEEPCNT, 4, 0},          {IPPROTO_TCP, TCP_SYNCNT, 5, 0},
                {IPPROTO_TCP, TCP_LINGER2, 6, 0},          {IPPROTO_TCP, TCP_DEFER_ACCEPT, 5, 0},
                {IPPROTO_TCP, TCP_USER_TIMEOUT, 1234, 0},  {IPPROTO_TCP, TCP_MAXSEG, 800, 0},
                {IPPROTO_TCP, TCP_SAVE_SYN, 1, 0},         {IPPROTO_TCP, TCP_INQ, 1, 0},
                {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384, 0}, {IPPROTO_TCP, TCP_CORK, 1, 0},
        };
        struct kt *t = kt_new();
        int l = tcp_listener(family), want[ELEMENTSOF(rows)];
        struct timeval wait = {.tv_sec = 3, .tv_usec = 500000}, waits = {};
        struct linger linger = {1, 5}, lingers = {};
        unsigned long rate = 12345678, rates = 0;
        socklen_t n = sizeof(waits), m = sizeof(lingers), k = sizeof(rates);

        cr_assert_eq(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
        cr_assert_eq(setsockopt(l, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
        cr_assert_eq(setsockopt(l, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (!rows[i].family || rows[i].family == family) {
                        set_int(l, rows[i].level, rows[i].name, rows[i].value);
                        want[i] = get_int(l, rows[i].level, rows[i].name);
                }
        kt_add_fd(t, l);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (!rows[i].family || rows[i].family == family)
                        cr_assert_eq(get_int(l, rows[i].level, rows[i].name), want[i], "option %d/%d is %d", rows[i].level,
                                     rows[i].name, get_int(l, rows[i].level, rows[i].name));
        cr_assert(getsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &waits, &n) == 0 && waits.tv_sec == 3 && waits.tv_usec == 500000);
        cr_assert(getsockopt(l, SOL_SOCKET, SO_LINGER, &lingers, &m) == 0 && lingers.l_onoff == 1 && lingers.l_linger == 5);
        cr_assert(getsockopt(l, SOL_SOCKET, SO_MAX_PACING_RATE, &rates, &k) == 0 && rates == rate);
        kt_free(t);
}

static void add_pair(struct kt *t, struct pair p)
{
        kt_add_fd(t, p.server);
        kt_add_fd(t, p.client);
}

/* Both ends have something to read; every entry fails once. What an attempt leaves closes with a reset, for that reason. */
void tcp_test_queues(int family)
{
        need_repair();
        struct kt *t = kt_new();
        struct pair p = tcp_pair(family);

        set_int(p.client, IPPROTO_TCP, TCP_NODELAY, 1);
        cr_assert_eq(fill(p.server, 40000), 40000);
        cr_assert_eq(fill(p.client, 700), 700);
        add_pair(t, p);
        kt_dump(t);
        kt_close(t);
        kt_sweep(t);
        go(p);
        drain(p.client, 0, 40000);
        drain(p.server, 0, 700);
        talk(p);
        cr_assert_eq(get_int(p.client, IPPROTO_TCP, TCP_NODELAY), 1);
        kt_free(t);
}

/* A writer that the reader keeps waiting: most of it is not even sent, and stands beside the record. */
void tcp_test_tail(int family)
{
        need_repair();
        struct kt *t = kt_new();
        struct pair p = tcp_pair(family);
        int tail = 0;

        set_int(p.server, SOL_SOCKET, SO_SNDBUF, 1 << 20);
        size_t n = fill(p.server, 64u << 20);
        add_pair(t, p);
        kt_dump(t);
        cr_assert_eq(ioctl(p.server, SIOCOUTQNSD, &tail), 0);
        cr_assert_gt(tail, 0, "nothing is unsent, so that nothing is tested");
        kt_close(t);
        kt_restore(t);
        go(p);
        drain(p.client, 0, n);
        talk(p);
        kt_free(t);
}

/* What a program sees of a connection beside its bytes. */
void tcp_test_state(int family)
{
        need_repair();
        struct kt *t = kt_new();
        struct pair p = tcp_pair(family);
        unsigned long rate = 5000000, rates = 0;
        socklen_t k = sizeof(rates);

        set_int(p.server, SOL_SOCKET, SO_RCVBUF, 100000);
        set_int(p.client, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096);
        cr_assert_eq(setsockopt(p.client, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
        int rcvbuf = get_int(p.server, SOL_SOCKET, SO_RCVBUF);
        cr_assert_eq(get_int(p.server, SOL_SOCKET, SO_REUSEADDR), 1, "it is the listener's");
        add_pair(t, p);
        kt_dump(t);
        kt_close(t);
        kt_restore(t);
        go(p);
        cr_assert_eq(get_int(p.server, SOL_SOCKET, SO_REUSEADDR), 1, "the server could not be started again");
        cr_assert_eq(get_int(p.client, SOL_SOCKET, SO_REUSEADDR), 0);
        if (family == AF_INET6)
                cr_assert_eq(get_int(p.server, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        cr_assert_eq(get_int(p.server, SOL_SOCKET, SO_RCVBUF), rcvbuf);
        cr_assert_eq(get_int(p.server, SOL_SOCKET, SO_BUF_LOCK), 2, "the size that was set grows again");
        cr_assert_eq(get_int(p.client, SOL_SOCKET, SO_BUF_LOCK), 0, "sizes that nobody has set are fixed");
        cr_assert_eq(get_int(p.client, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 4096);
        cr_assert(getsockopt(p.client, SOL_SOCKET, SO_MAX_PACING_RATE, &rates, &k) == 0 && rates == rate, "the rate is %lu", rates);
        talk(p);
        kt_free(t);
}

/* A dump that is undone leaves nothing. */
void tcp_test_cure(int family)
{
        need_repair();
        struct kt *t = kt_new();
        struct pair p = tcp_pair(family);
        unsigned long rate = 0;
        socklen_t k = sizeof(rate);

        cr_assert_eq(fill(p.server, 300), 300);
        add_pair(t, p);
        kt_dump(t);
        cr_assert_eq(get_int(p.server, IPPROTO_TCP, TCP_REPAIR), 1);
        kt_cure(t);
        kt_cure(t);
        cr_assert_eq(get_int(p.server, IPPROTO_TCP, TCP_REPAIR), 0);
        cr_assert_eq(get_int(p.server, SOL_SOCKET, SO_REUSEADDR), 1, "the dump has changed SO_REUSEADDR");
        cr_assert_eq(get_int(p.client, SOL_SOCKET, SO_REUSEADDR), 0, "the dump has changed SO_REUSEADDR");
        cr_assert(getsockopt(p.server, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &k) == 0 && rate == ~0ul, "it is still paced");
        drain(p.client, 0, 300);
        talk(p);
        kt_free(t);
}

/* Refused, with a word of the reason; fds of the pair are closed. */
static void refused(struct pair p, int which, const char *word)
{
        struct kt *t = kt_new();
        struct err err = {};

        kt_add_fd(t, which ? p.client : p.server);
        cr_assert_eq(kt_try_dump(t, &err), -EX_UNSUPPORTED, "'%s' is not refused", word);
        cr_assert_not_null(strstr(err.why, word), "%s", err.why);
        kt_cure(t);
        close(p.server);
        if (p.client != p.server)
                close(p.client);
        kt_free(t);
}

/* What getsockopt() shows and setsockopt() cannot make again. */
static void refused_options(int family)
{
        static const uint8_t options[4] = {1, 1, 1, 0}, hop[8] = {0, 0, 1, 4};
        struct pair p = {.server = tcp_listener(family)};

        p.client = p.server;
        cr_assert_eq(setsockopt(p.server, IPPROTO_IP, IP_OPTIONS, options, sizeof(options)), 0);
        refused(p, 0, "IP options");
        p.server = p.client = tcp_listener(family);
        if (family == AF_INET6) {
                cr_assert_eq(setsockopt(p.server, IPPROTO_IPV6, IPV6_HOPOPTS, hop, sizeof(hop)), 0);
                refused(p, 0, "IPv6 headers");
                p.server = p.client = tcp_listener(family);
        }
        uint32_t lo = htonl(1), on = 1, ids = SOF_TIMESTAMPING_OPT_ID;
        cr_assert_eq(setsockopt(p.server, IPPROTO_IP, IP_UNICAST_IF, &lo, sizeof(lo)), 0);
        refused(p, 0, "leave by a link");
        p.server = tcp_listener(family);
        cr_assert_eq(setsockopt(p.server, IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof(on)), 0);
        int listener = p.server;
        p.client = tcp_client(listener);
        p.server = accept(listener, NULL, NULL);
        close(listener);
        refused(p, 0, "first packet");
        p = tcp_pair(family);
        cr_assert_eq(setsockopt(p.client, SOL_SOCKET, SO_TIMESTAMPING, &ids, sizeof(ids)), 0);
        refused(p, 1, "counted");
        p = tcp_pair(family);
        cr_assert_eq(setsockopt(p.client, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
        cr_assert_eq(send(p.client, "x", 1, 0), 1);
        refused(p, 1, "MSG_ZEROCOPY");
        p = tcp_pair(family);
        if (setsockopt(p.client, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof(on)) == 0)   /* 6.9 */
                refused(p, 1, "SO_PEEK_OFF");
        else
                close(p.client), close(p.server);
}

void tcp_test_refused(int family)
{
        struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
        struct sock_fprog filter = {1, &all};
        struct pair p = {.server = tcp_listener(family)};

        p.client = tcp_client(p.server);
        refused(p, 0, "not accepted yet");
        p = tcp_pair(family);
        cr_assert_eq(shutdown(p.client, SHUT_WR), 0);
        refused(p, 0, "CLOSE-WAIT");
        p = tcp_pair(family);
        cr_assert_eq(fill(p.client, 3), 3);
        close(p.server);
        p.server = p.client;
        refused(p, 0, "has ended");
        need_repair();
        p.server = p.client = tcp_listener(family);
        cr_assert_eq(setsockopt(p.server, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)), 0);
        refused(p, 0, "packet filter");
        p = tcp_pair(family);
        cr_assert_eq(shutdown(p.client, SHUT_RD), 0);
        refused(p, 1, "shut down for reading");
        p = tcp_pair(family);
        cr_assert_eq(send(p.server, "x", 1, MSG_OOB), 1);
        refused(p, 1, "urgent");
        refused_options(family);
}
