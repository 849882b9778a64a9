/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket options of TCP sockets, by table (tcp-option.h).
 *
 * Only what differs from a fresh socket is stored, so that a record is short and defaults stay those of the target. Buffer
 * sizes are not here: they must be large enough for the queues first. The congestion control goes by name; one that the
 * target does not have fails there, named.
 *
 * When each is set matters: SO_REUSEADDR is a listener's before it binds, and a connection's after repair, which changes it both
 * on its way in and out; TCP_NOTSENT_LOWAT and TCP_CORK would keep the tail from being queued. IPV6_V6ONLY is refused once a
 * port is bound, and binding one address sets it: a connection that was not bound by its program shows it afterwards. A socket of IPv6 has
 * the options of IPv4 too, for mapped addresses.
 *
 * What shows as an option and cannot be set again is refused (tcp_options_refuse): headers of the program's own, numbers of links, positions,
 * counters of notices. The window clamp of a connection is the kernel's own, which it moves; that the program has lowered it shows
 * nowhere.
 */
#include "checkpoint/kind/tcp-option.h"

#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"

#define SO_PASSPIDFD_ 76 /* 6.5 */
#define SO_RCVPRIORITY_ 82 /* 6.14 */
#define IP_LOCAL_PORT_RANGE_ 51 /* 6.3 */
#define IPV6_RECVERR_RFC4884_ 31 /* 5.8 */
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#define TCP_RTO_MAX_MS_ 44 /* 6.15 */
#define TCP_RTO_MIN_US_ 45 /* 6.16 */
#define TCP_DELACK_MAX_US_ 46

/* `idle`: of sockets that are not connected; a connection shows something else under the name, or refuses it. */
static const struct row { int level, name; uint32_t max; unsigned when; int family; bool idle; } rows[] = {
        { SOL_IPV6, IPV6_V6ONLY, 4, TCP_EARLY, AF_INET6, true },
        { SOL_SOCKET, SO_REUSEADDR, 4, TCP_AFTER, 0, false },
        { SOL_SOCKET, SO_REUSEPORT, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_KEEPALIVE, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_OOBINLINE, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RCVLOWAT, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_MARK, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_LINGER, 8, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RCVTIMEO, 16, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_SNDTIMEO, 16, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_DONTROUTE, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMPING_OLD, 8, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMPING_NEW, 8, TCP_EARLY, 0, false },   /* the old name shows it too, so it is set last */
        { SOL_SOCKET, SO_TIMESTAMP_OLD, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMPNS_OLD, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMP_NEW, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMPNS_NEW, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_DEBUG, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_BROADCAST, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_PASSCRED, 4, TCP_EARLY, 0, false },           /* of unix and netlink alone since 6.16, as the next ones */
        { SOL_SOCKET, SO_PASSSEC, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_PASSPIDFD_, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RXQ_OVFL, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_WIFI_STATUS, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_NOFCS, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_LOCK_FILTER, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_SELECT_ERR_QUEUE, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_INCOMING_CPU, 4, TCP_EARLY, 0, true },        /* of a connection it follows the packets */
        { SOL_SOCKET, SO_TXTIME, 8, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_PREFER_BUSY_POLL, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_BUSY_POLL_BUDGET, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RESERVE_MEM, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TXREHASH, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RCVMARK, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_RCVPRIORITY_, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_ZEROCOPY, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_BUSY_POLL, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_MAX_PACING_RATE, 8, TCP_LAST, 0, false },
        { SOL_SOCKET, SO_BUF_LOCK, 4, 0, 0, false },
        { SOL_IP, IP_TOS, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_TTL, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_MINTTL, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVERR, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_FREEBIND, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_TRANSPARENT, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_MTU_DISCOVER, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_BIND_ADDRESS_NO_PORT, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_PKTINFO, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVTTL, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVTOS, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVOPTS, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RETOPTS, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_PASSSEC, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVORIGDSTADDR, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVFRAGSIZE, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_RECVERR_RFC4884, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_MULTICAST_LOOP, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_MULTICAST_ALL, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_LOCAL_PORT_RANGE_, 4, TCP_EARLY, 0, false },
        { SOL_IPV6, IPV6_RECVPKTINFO, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_2292PKTINFO, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVHOPLIMIT, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_2292HOPLIMIT, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVRTHDR, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_2292RTHDR, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVHOPOPTS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_2292HOPOPTS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVDSTOPTS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_2292DSTOPTS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVTCLASS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_FLOWINFO, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVPATHMTU, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVORIGDSTADDR, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVFRAGSIZE, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVERR_RFC4884_, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_DONTFRAG, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_AUTOFLOWLABEL, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_FLOWINFO_SEND, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_ADDR_PREFERENCES, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_MULTICAST_LOOP, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_MULTICAST_ALL, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_TCLASS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_UNICAST_HOPS, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_MINHOPCOUNT, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_RECVERR, 4, TCP_EARLY, AF_INET6, false },
        { SOL_IPV6, IPV6_MTU_DISCOVER, 4, TCP_EARLY, AF_INET6, false },
        { SOL_SOCKET, SO_PRIORITY, 4, TCP_EARLY, 0, false },   /* after IP_TOS, which sets it too */
        { SOL_TCP, TCP_NODELAY, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_KEEPIDLE, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_KEEPINTVL, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_KEEPCNT, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_SYNCNT, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_LINGER2, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_DEFER_ACCEPT, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_USER_TIMEOUT, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_FASTOPEN, 4, TCP_EARLY, 0, true },
        { SOL_TCP, TCP_MAXSEG, 4, TCP_EARLY, 0, true },
        { SOL_TCP, TCP_CONGESTION, 16, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_SAVE_SYN, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_INQ, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_WINDOW_CLAMP, 4, TCP_EARLY, 0, true },   /* of a connection the kernel moves it */
        { SOL_TCP, TCP_FASTOPEN_CONNECT, 4, TCP_EARLY, 0, true },
        { SOL_TCP, TCP_FASTOPEN_NO_COOKIE, 4, TCP_EARLY, 0, true },
        { SOL_TCP, TCP_FASTOPEN_KEY, 32, TCP_EARLY, 0, true },     /* shows its namespace's where it has none */
        { SOL_TCP, TCP_TX_DELAY, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_RTO_MAX_MS_, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_RTO_MIN_US_, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_DELACK_MAX_US_, 4, TCP_EARLY, 0, false },
        { SOL_TCP, TCP_NOTSENT_LOWAT, 4, TCP_LAST, 0, false },
        { SOL_TCP, TCP_CORK, 4, TCP_LAST, 0, false },
};
_Static_assert(ELEMENTSOF(rows) <= TCP_OPTIONS_MAX, "a record holds every option");

static const struct row *find(int level, int name)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].level == level && rows[i].name == name)
                        return &rows[i];
        return NULL;
}

static bool get(int fd, const struct row *o, uint8_t *buf, socklen_t *len)
{
        memset(buf, 0, TCP_VALUE_MAX);
        *len = o->max;
        return getsockopt(fd, o->level, o->name, buf, len) == 0 && *len <= o->max;
}

/* Has it anything under that name? The length is asked for with room for no value. */
static bool has_bytes(int fd, int level, int name)
{
        uint8_t buf[512];
        socklen_t n = sizeof(buf);

        return getsockopt(fd, level, name, buf, &n) == 0 && n > 0;
}

static uint32_t number(int fd, int level, int name)
{
        uint32_t v[2] = {0, 0};
        socklen_t n = sizeof(v);

        return getsockopt(fd, level, name, v, &n) == 0 && n >= sizeof(v[0]) ? v[0] : 0;
}

static const char *headers(int family, int fd)
{
        static const int six[] = { IPV6_HOPOPTS, IPV6_RTHDR, IPV6_DSTOPTS, IPV6_RTHDRDSTOPTS };

        if (has_bytes(fd, SOL_IP, IP_OPTIONS))
                return "a TCP socket with IP options of its own";
        for (size_t i = 0; family == AF_INET6 && i < ELEMENTSOF(six); i++)
                if (has_bytes(fd, SOL_IPV6, six[i]))
                        return "a TCP socket with IPv6 headers of its own";
        if (number(fd, SOL_IP, IP_UNICAST_IF) || (family == AF_INET6 && number(fd, SOL_IPV6, IPV6_UNICAST_IF)))
                return "a TCP socket whose packets leave by a link of its choice";
        return NULL;
}

const char *tcp_options_refuse(int family, int fd, bool sent)
{
        const char *why = headers(family, fd);
        int peek = -1;
        socklen_t n = sizeof(peek), none = 0;

        if (why)
                return why;
        if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &peek, &n) == 0 && peek >= 0)
                return "a TCP socket that peeks at a position (SO_PEEK_OFF)";
        if (number(fd, SOL_SOCKET, SO_TIMESTAMPING_OLD) & (SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_BIND_PHC))
                return "a TCP socket whose timestamps are counted, or from a device";
        if (sent && number(fd, SOL_SOCKET, SO_ZEROCOPY))
                return "a TCP socket whose sends without copying (MSG_ZEROCOPY) are counted";
        /* EINVAL, and how long it is: nobody has read it yet, and only once can one. */
        if (getsockopt(fd, SOL_TCP, TCP_SAVED_SYN, NULL, &none) < 0 && errno == EINVAL && none > 0)
                return "a TCP connection whose first packet (TCP_SAVED_SYN) it has not read";
        return NULL;
}

int tcp_options_take(struct dump *d, const struct obj *o, int fd, struct tcp *ret, struct err *err)
{
        int family = o->facts.file.family, fresh = dump_fresh_socket(d, o, err);

        if (fresh < 0)
                return fresh;
        ret->n_option = 0;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct tcp_option x = { rows[i].level, rows[i].name, 0, {} };
                uint8_t plain[TCP_VALUE_MAX];
                socklen_t len, n;
                if ((rows[i].family && rows[i].family != family) || (rows[i].idle && ret->state == TCP_ESTABLISHED))
                        continue;
                if (!get(fd, &rows[i], x.value, &len))
                        continue;   /* this kernel, or this state, does not have it */
                if (get(fresh, &rows[i], plain, &n) && n == len && memcmp(plain, x.value, len) == 0)
                        continue;
                x.len = len;
                ret->option[ret->n_option++] = x;
        }
        return 0;
}

bool tcp_options_ok(const struct tcp *x)
{
        for (size_t i = 0; i < x->n_option; i++) {
                const struct row *o = find(x->option[i].level, x->option[i].name);
                if (!o || x->option[i].len == 0 || x->option[i].len > o->max)
                        return false;
        }
        return true;
}

void tcp_options_plan(struct tape *t, struct arg fd, const struct tcp *x, unsigned when)
{
        for (size_t i = 0; i < x->n_option; i++) {
                const struct tcp_option *o = &x->option[i];
                const struct row *row = find(o->level, o->name);
                if (!row || !(row->when & when))
                        continue;
                TAPE(t, SYS_setsockopt, fd, A_IMM(o->level), A_IMM(o->name), A_DATA(tape_data(t, o->value, o->len)), A_IMM(o->len));
        }
}

const struct tcp_option *tcp_option_find(const struct tcp *x, int level, int name)
{
        for (size_t i = 0; i < x->n_option; i++)
                if (x->option[i].level == level && x->option[i].name == name)
                        return &x->option[i];
        return NULL;
}

void tcp_option_set(struct tcp *x, int level, int name, const void *value, uint32_t len, bool plain)
{
        size_t i = 0;

        while (i < x->n_option && (x->option[i].level != level || x->option[i].name != name))
                i++;
        if (plain) {
                for (; i + 1 < x->n_option; i++)
                        x->option[i] = x->option[i + 1];
                x->n_option = i < x->n_option ? i : x->n_option;
        } else if (i < TCP_OPTIONS_MAX && len <= TCP_VALUE_MAX) {
                x->option[i] = (struct tcp_option){ level, name, len, {} };
                memcpy(x->option[i].value, value, len);
                x->n_option = i == x->n_option ? i + 1 : x->n_option;
        }
}
