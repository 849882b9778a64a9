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
 * port is bound, and binding one address sets it: a connection that was not bound by its program shows it afterwards. What no call reads back (TCP_MD5SIG, programs of SO_REUSEPORT groups) cannot be kept.
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
        { SOL_SOCKET, SO_TIMESTAMP, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_TIMESTAMPNS, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_ZEROCOPY, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_BUSY_POLL, 4, TCP_EARLY, 0, false },
        { SOL_SOCKET, SO_MAX_PACING_RATE, 8, TCP_LAST, 0, false },
        { SOL_SOCKET, SO_BUF_LOCK, 4, 0, 0, false },
        { SOL_IP, IP_TOS, 4, TCP_EARLY, AF_INET, false },
        { SOL_IP, IP_TTL, 4, TCP_EARLY, AF_INET, false },
        { SOL_IP, IP_MINTTL, 4, TCP_EARLY, AF_INET, false },
        { SOL_IP, IP_RECVERR, 4, TCP_EARLY, AF_INET, false },
        { SOL_IP, IP_FREEBIND, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_TRANSPARENT, 4, TCP_EARLY, 0, false },
        { SOL_IP, IP_MTU_DISCOVER, 4, TCP_EARLY, AF_INET, false },
        { SOL_IP, IP_BIND_ADDRESS_NO_PORT, 4, TCP_EARLY, AF_INET, false },
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
                if ((rows[i].family && rows[i].family != family) || (rows[i].idle && ret->state == TCP_ESTABLISHED))
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
