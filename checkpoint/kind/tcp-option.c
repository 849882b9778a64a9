/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket options of TCP sockets, by table (tcp-option.h).
 *
 * Only what differs from a fresh socket is stored, so that a record is short and defaults stay those of the target. Buffer
 * sizes are not here: they must be large enough for the queues first. The congestion control goes by name; one that the
 * target does not have fails there, named.
 */
#include "checkpoint/kind/tcp-option.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"

enum when { EARLY, LATE };
static const struct row { int level, name; uint32_t max; enum when when; int family; } rows[] = {
        { SOL_SOCKET, SO_REUSEADDR, 4, EARLY, 0 },        { SOL_SOCKET, SO_REUSEPORT, 4, EARLY, 0 },
        { SOL_SOCKET, SO_KEEPALIVE, 4, EARLY, 0 },        { SOL_SOCKET, SO_PRIORITY, 4, EARLY, 0 },
        { SOL_SOCKET, SO_OOBINLINE, 4, EARLY, 0 },        { SOL_SOCKET, SO_RCVLOWAT, 4, EARLY, 0 },
        { SOL_SOCKET, SO_MARK, 4, EARLY, 0 },             { SOL_SOCKET, SO_LINGER, 8, EARLY, 0 },
        { SOL_SOCKET, SO_RCVTIMEO, 16, EARLY, 0 },        { SOL_SOCKET, SO_SNDTIMEO, 16, EARLY, 0 },
        { SOL_SOCKET, SO_DONTROUTE, 4, EARLY, 0 },        { SOL_SOCKET, SO_TIMESTAMP, 4, EARLY, 0 },
        { SOL_SOCKET, SO_ZEROCOPY, 4, EARLY, 0 },         { SOL_SOCKET, SO_BUSY_POLL, 4, EARLY, 0 },
        { SOL_IP, IP_TOS, 4, EARLY, AF_INET },            { SOL_IP, IP_TTL, 4, EARLY, AF_INET },
        { SOL_IP, IP_FREEBIND, 4, EARLY, 0 },             { SOL_IP, IP_TRANSPARENT, 4, EARLY, 0 },
        { SOL_IP, IP_MTU_DISCOVER, 4, EARLY, AF_INET },   { SOL_IP, IP_BIND_ADDRESS_NO_PORT, 4, EARLY, AF_INET },
        { SOL_IPV6, IPV6_V6ONLY, 4, EARLY, AF_INET6 },    { SOL_IPV6, IPV6_TCLASS, 4, EARLY, AF_INET6 },
        { SOL_IPV6, IPV6_UNICAST_HOPS, 4, EARLY, AF_INET6 }, { SOL_IPV6, IPV6_MTU_DISCOVER, 4, EARLY, AF_INET6 },
        { SOL_TCP, TCP_NODELAY, 4, EARLY, 0 },            { SOL_TCP, TCP_KEEPIDLE, 4, EARLY, 0 },
        { SOL_TCP, TCP_KEEPINTVL, 4, EARLY, 0 },          { SOL_TCP, TCP_KEEPCNT, 4, EARLY, 0 },
        { SOL_TCP, TCP_SYNCNT, 4, EARLY, 0 },             { SOL_TCP, TCP_LINGER2, 4, EARLY, 0 },
        { SOL_TCP, TCP_DEFER_ACCEPT, 4, EARLY, 0 },       { SOL_TCP, TCP_USER_TIMEOUT, 4, EARLY, 0 },
        { SOL_TCP, TCP_FASTOPEN, 4, EARLY, 0 },           { SOL_TCP, TCP_NOTSENT_LOWAT, 4, EARLY, 0 },
        { SOL_TCP, TCP_CONGESTION, 16, EARLY, 0 },        { SOL_TCP, TCP_SAVE_SYN, 4, EARLY, 0 },
        { SOL_TCP, TCP_CORK, 4, LATE, 0 },
};

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

int tcp_options_take(int family, int fd, struct tcp *ret, struct err *err)
{
        _cleanup_close_ int fresh = sys_socket(family, SOCK_STREAM, IPPROTO_TCP);

        if (fresh < 0)
                return err_sys(err, EX_FAIL, fresh, "cannot make a socket to compare options with", "%s", "");
        ret->n_option = 0;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct tcp_option o = { rows[i].level, rows[i].name, 0, {} };
                uint8_t plain[TCP_VALUE_MAX];
                socklen_t len, n;
                if (rows[i].family && rows[i].family != family)
                        continue;
                if (!get(fd, &rows[i], o.value, &len))
                        continue;   /* this kernel, or this state, does not have it */
                if (get(fresh, &rows[i], plain, &n) && n == len && memcmp(plain, o.value, len) == 0)
                        continue;
                o.len = len;
                ret->option[ret->n_option++] = o;
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

void tcp_options_plan(struct tape *t, struct arg fd, const struct tcp *x, bool late)
{
        for (size_t i = 0; i < x->n_option; i++) {
                const struct tcp_option *o = &x->option[i];
                const struct row *row = find(o->level, o->name);
                if (!row || (row->when == LATE) != late)
                        continue;
                TAPE(t, SYS_setsockopt, fd, A_IMM(o->level), A_IMM(o->name), A_DATA(tape_data(t, o->value, o->len)), A_IMM(o->len));
        }
}
