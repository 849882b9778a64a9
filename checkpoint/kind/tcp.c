/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TCP sockets, both ways (tcp.h), by TCP_REPAIR on our own duplicate: the target is needed only for socket(), and for bind() and
 * listen() of listeners, which record who called them.
 *
 * The order was measured (docs/ARCHITECTURE.md, "TCP"):
 *
 *   dump     settle: pace, wait until nothing is in flight · the port closes · quiesce: REPAIR 1 · take
 *   restore  REPAIR 1 · buffers · sequence numbers less the queues · bind · connect · options · receive queue · window with
 *            snd_wnd 0 · size of segments · sent part of the send queue · NO_QUEUE
 *   park     TCP_TIMESTAMP as late as possible, once · REPAIR −1 (off, without a probe) · the unsent tail, which a zero window
 *            holds back · cork
 *   GO       REPAIR 0 on each socket, by whoever plays it: a window probe, whose answer opens the window
 *
 * A tail that is pushed in repair would count as sent, and wait for a retransmission. Pacing is moderate, because the time that
 * the kernel owes a paced packet outlives the option. TCP_REPAIR sets SO_REUSEADDR to a value of its own on its way in, and to 0
 * on its way out (any kernel): who plays it puts the program's value back each time, or its next bind() of the port would fail.
 *
 * Refused by name: closing states, a connection that has ended but is not closed, one that is shut down for reading, connections
 * that nobody has accepted yet, filters, an upper layer (kernel TLS), signatures, a bound device, urgent data and errors not read yet.
 */
#include "checkpoint/kind/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checkpoint/kind/tcp-option.h"

#define CHUNK 32768u
enum { REPAIR_OFF = 0, REPAIR_ON = 1, REPAIR_OFF_NO_WP = -1 };
enum { OPT_MSS = 2, OPT_WINDOW = 3, OPT_SACK = 4, OPT_TIMESTAMP = 8 };
enum { STATE_ESTABLISHED = 1, STATE_CLOSE = 7, STATE_LISTEN = 10 };

static int failed(struct err *err, const char *what)
{
        return err_sys(err, EX_FAIL, errno, what, "TCP");
}

static int get_u32(int fd, int level, int name, uint32_t *ret)
{
        socklen_t len = sizeof(*ret);

        return getsockopt(fd, level, name, ret, &len);
}

static int set_int(int fd, int level, int name, int value)
{
        return setsockopt(fd, level, name, &value, sizeof(value));
}

int tcp_refuse(const struct kind *k, const struct facts *f, struct err *err)
{
        static const char *const names[] = { "?", "established", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "closed",
                                             "CLOSE-WAIT", "LAST-ACK", "listening", "closing" };
        uint8_t s = f->file.tcp_state;
        char what[80];

        if (f->file.tcp_signed)
                return kind_refuse(k, f, err, "a TCP socket with keys for signatures (TCP_MD5SIG)", "End the program that holds it");
        if (f->file.tcp_steered)
                return kind_refuse(k, f, err, "a TCP socket of a group whose program chooses among them (SO_ATTACH_REUSEPORT_CBPF, _EBPF)",
                                   "Start the program without it");
        if (s == STATE_ESTABLISHED || s == STATE_CLOSE || s == STATE_LISTEN)
                return 0;
        snprintf(what, sizeof(what), "a TCP connection in state %s", names[s < ELEMENTSOF(names) ? s : 0]);
        return kind_refuse(k, f, err, what, "Wait until the connection has closed, or end the program");
}

/* ---- dump ---- */

static bool in_flight(int fd)
{
        int outq = 0, nsd = 0;

        return ioctl(fd, SIOCOUTQ, &outq) == 0 && ioctl(fd, SIOCOUTQNSD, &nsd) == 0 && outq > nsd;
}

struct before { unsigned long rate; };   /* what settle has changed */

/* 1: something is in flight; to be asked again. */
int tcp_settle(struct dump *d, const struct obj *o, int fd, struct err *err)
{
        unsigned long rate = TCP_PACE;
        struct before *old = *dump_slot(d, o);
        socklen_t len = sizeof(rate);

        if (o->facts.file.tcp_state != STATE_ESTABLISHED)
                return 0;
        if (!old) {
                old = calloc(1, sizeof(*old));
                if (!old)
                        return kind_nomem(err);
                if (getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &old->rate, &len) < 0) {
                        free(old);
                        return failed(err, "cannot ask how a connection is paced");
                }
                *dump_slot(d, o) = old;
                if (setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)) < 0)
                        return failed(err, "cannot pace a connection");
        }
        return in_flight(fd);
}

int tcp_quiesce(struct dump *d, const struct obj *o, int fd, struct err *err)
{
        uint32_t reuse = 0;

        (void)d;
        if (o->facts.file.tcp_state != STATE_ESTABLISHED)
                return 0;
        if (get_u32(fd, SOL_SOCKET, SO_REUSEADDR, &reuse) < 0 || set_int(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON) < 0 ||
            set_int(fd, SOL_SOCKET, SO_REUSEADDR, reuse != 0) < 0)
                return failed(err, "cannot put a connection into repair");
        return 0;
}

int tcp_cure(struct dump *d, const struct obj *o, int fd, struct err *err)
{
        const struct before *old = *dump_slot(d, o);
        uint32_t repair = 0, reuse = 0;

        if (o->facts.file.tcp_state != STATE_ESTABLISHED)
                return 0;
        if (get_u32(fd, IPPROTO_TCP, TCP_REPAIR, &repair) == 0 && repair &&
            (get_u32(fd, SOL_SOCKET, SO_REUSEADDR, &reuse) < 0 || set_int(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF) < 0 ||
             set_int(fd, SOL_SOCKET, SO_REUSEADDR, reuse != 0) < 0))
                return failed(err, "cannot take a connection out of repair");
        if (old && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &old->rate, sizeof(old->rate)) < 0)
                return failed(err, "cannot unpace a connection");
        return 0;
}

static int peek(int fd, int queue, uint8_t *buf, uint32_t len, struct err *err)
{
        if (set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue) < 0)
                return failed(err, "cannot choose a queue");
        if (len == 0)
                return 0;
        ssize_t n = recv(fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0)
                return failed(err, "cannot look into a queue");
        return (uint32_t)n == len ? 0 : err_set(err, EX_FAIL, "cannot look into a queue", "it is shorter than it says", "TCP");
}

static int take_queues(struct dump *d, const struct obj *o, int fd, struct tcp_conn *c, struct err *err)
{
        size_t total = (size_t)c->inq + c->outq;
        uint8_t *buf = malloc(total ? total : 1);

        if (!buf)
                return kind_nomem(err);
        int r = peek(fd, TCP_RECV_QUEUE, buf, c->inq, err);
        if (r >= 0)
                r = peek(fd, TCP_SEND_QUEUE, buf + c->inq, c->outq, err);
        if (r >= 0 && total > TCP_QUEUE_INLINE)
                r = dump_bytes(d, o->id, 0, buf, total, err);
        if (r >= 0 && total && total <= TCP_QUEUE_INLINE)
                c->queue = TAKE_PTR(buf);
        free(buf);
        return r;
}

static int take_numbers(int fd, struct tcp_conn *c, struct err *err)
{
        int inq = 0, outq = 0, nsd = 0;
        struct tcp_info info = {};
        struct tcp_repair_window w = {};
        socklen_t len = sizeof(info), wlen = sizeof(w);

        if (ioctl(fd, SIOCINQ, &inq) < 0 || ioctl(fd, SIOCOUTQ, &outq) < 0 || ioctl(fd, SIOCOUTQNSD, &nsd) < 0)
                return failed(err, "cannot measure the queues");
        if (set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) < 0 || get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &c->snd_seq) < 0 ||
            set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) < 0 || get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &c->rcv_seq) < 0)
                return failed(err, "cannot read the sequence numbers");
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &wlen) < 0 ||
            get_u32(fd, IPPROTO_TCP, TCP_MAXSEG, &c->mss_clamp) < 0 || get_u32(fd, IPPROTO_TCP, TCP_TIMESTAMP, &c->timestamp) < 0)
                return failed(err, "cannot read the connection's state");
        c->inq = (uint32_t)inq;
        c->outq = (uint32_t)outq;
        c->unsent = (uint32_t)nsd;
        c->options = info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
        c->snd_wscale = info.tcpi_snd_wscale;
        c->rcv_wscale = info.tcpi_rcv_wscale;
        c->snd_wl1 = w.snd_wl1;
        c->snd_wnd = w.snd_wnd;
        c->max_window = w.max_window;
        c->rcv_wnd = w.rcv_wnd;
        c->rcv_wup = w.rcv_wup;
        return 0;
}

static int take_conn(struct dump *d, const struct obj *o, int fd, struct tcp_conn *c, struct err *err)
{
        socklen_t len = sizeof(c->peer);

        if (getpeername(fd, (struct sockaddr *)&c->peer, &len) < 0)
                return failed(err, "cannot read the peer's address");
        int r = take_numbers(fd, c, err);
        if (r >= 0)
                r = take_queues(d, o, fd, c, err);
        if (r >= 0 && set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE) < 0)
                r = failed(err, "cannot leave a queue");
        return r;
}

static int take_local(int fd, int family, struct tcp *x, struct err *err)
{
        socklen_t len = sizeof(x->local);

        if (getsockname(fd, (struct sockaddr *)&x->local, &len) < 0)
                return failed(err, "cannot read the local address");
        in_port_t port = family == AF_INET ? ((struct sockaddr_in *)&x->local)->sin_port : ((struct sockaddr_in6 *)&x->local)->sin6_port;
        x->bound = port != 0;
        return 0;
}

static int refuse_options(const struct kind *k, const struct obj *o, int fd, const struct tcp_info *info, struct err *err)
{
        const char *shown = tcp_options_refuse(o->facts.file.family, fd, info->tcpi_state == STATE_ESTABLISHED && info->tcpi_bytes_sent);
        char dev[16] = "", ulp[16] = "";
        socklen_t len = sizeof(dev), none = 0, ulp_len = sizeof(ulp);

        if (shown)
                return kind_refuse(k, &o->facts, err, shown, "End the program that holds it");
        if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, &len) == 0 && len && dev[0])
                return kind_refuse(k, &o->facts, err, "a TCP socket bound to a device", "End the program that holds it");
        /* A filter that is no classic BPF program cannot be read: EACCES. */
        int r = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &none);
        if (r == 0 ? none > 0 : errno == EACCES)
                return kind_refuse(k, &o->facts, err, "a TCP socket with a packet filter", "End the program that holds it");
        if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &ulp_len) == 0 && ulp_len && ulp[0]) {
                char what[64];
                snprintf(what, sizeof(what), "a TCP socket under the kernel's %.15s", ulp);
                return kind_refuse(k, &o->facts, err, what, "Turn it off in the program, or end the program");
        }
        return 0;
}

/* What neither a record nor a fresh socket can hold. */
static int refuse_state(const struct kind *k, const struct obj *o, int fd, const struct tcp_info *info, struct err *err)
{
        struct pollfd p = { .fd = fd, .events = POLLPRI | POLLRDHUP };
        uint8_t state = o->facts.file.tcp_state;

        if (state == STATE_CLOSE && (info->tcpi_segs_out || info->tcpi_segs_in))
                return kind_refuse(k, &o->facts, err, "a TCP connection that has ended and is not closed yet",
                                   "Wait until the program closes it, or end the program");
        if (state == STATE_LISTEN && info->tcpi_unacked)
                return kind_refuse(k, &o->facts, err, "a connection that it has not accepted yet", "Try again; the program is slow to accept");
        if (state != STATE_ESTABLISHED)
                return 0;
        if (poll(&p, 1, 0) < 0)
                return failed(err, "cannot ask for a connection's events");
        if (p.revents & POLLPRI)
                return kind_refuse(k, &o->facts, err, "a TCP connection with urgent data", "Try again when the program has read it");
        if (p.revents & POLLRDHUP)
                return kind_refuse(k, &o->facts, err, "a TCP connection that is shut down for reading", "End the program that holds it");
        if (p.revents & POLLERR)
                return kind_refuse(k, &o->facts, err, "a TCP connection with an error or a notice that nobody has read yet",
                                   "Try again when the program has read it");
        return 0;
}

int tcp_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, const struct tape *t, struct tcp *ret, struct err *err)
{
        int family = o->facts.file.family;
        struct tcp_info info = {};
        socklen_t len = sizeof(info);

        *ret = (struct tcp){ .state = o->facts.file.tcp_state };
        int r = ofd_take(k, o, fd, t, &ret->ofd, err);
        if (r >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
                r = failed(err, "cannot ask for a connection's state");
        if (r >= 0)
                r = refuse_options(k, o, fd, &info, err);
        if (r >= 0)
                r = take_local(fd, family, ret, err);
        if (r >= 0)
                r = tcp_options_take(d, o, fd, ret, err);
        if (r < 0)
                return r;
        if (get_u32(fd, SOL_SOCKET, SO_SNDBUF, &ret->sndbuf) < 0 || get_u32(fd, SOL_SOCKET, SO_RCVBUF, &ret->rcvbuf) < 0)
                return failed(err, "cannot read a socket's buffers");
        r = refuse_state(k, o, fd, &info, err);
        if (r < 0)
                return r;
        if (ret->state == STATE_LISTEN)
                ret->backlog = info.tcpi_sacked;
        if (ret->state != STATE_ESTABLISHED)
                return 0;
        const struct before *old = *dump_slot(d, o);
        if (old)
                tcp_option_set(ret, SOL_SOCKET, SO_MAX_PACING_RATE, &old->rate, sizeof(old->rate), old->rate == ~0UL);
        return take_conn(d, o, fd, &ret->conn, err);
}

void tcp_done(struct tcp *x)
{
        free(x->conn.queue);
        x->conn.queue = NULL;
}

/* ---- restore ---- */

int tcp_check(const struct kind *k, const struct record *r, const struct tcp *x, int family, struct need *need, struct err *err)
{
        const struct tcp_conn *c = &x->conn;

        if (!ofd_ok(&x->ofd))
                return kind_bad(k, r, err, "flags or owner are not those of an open file");
        if (x->state != STATE_ESTABLISHED && x->state != STATE_CLOSE && x->state != STATE_LISTEN)
                return kind_bad(k, r, err, "its state cannot be restored");
        if ((x->bound && x->local.ss_family != family) || (x->state != STATE_CLOSE && !x->bound))
                return kind_bad(k, r, err, "its address is impossible");
        if (!tcp_options_ok(x))
                return kind_bad(k, r, err, "an option is not one that is kept");
        if (x->sndbuf > TCP_QUEUE_MAX || x->rcvbuf > TCP_QUEUE_MAX || x->backlog > INT32_MAX)
                return kind_bad(k, r, err, "a buffer is too large");
        need->fds++;
        if (x->state != STATE_ESTABLISHED)
                return 0;
        if (c->peer.ss_family != family || c->inq > TCP_QUEUE_MAX || c->outq > TCP_QUEUE_MAX || c->unsent > c->outq)
                return kind_bad(k, r, err, "its queues are impossible");
        if (c->snd_wscale > 14 || c->rcv_wscale > 14 || c->mss_clamp < 48 || c->mss_clamp > 65535 || c->max_window < c->snd_wnd)
                return kind_bad(k, r, err, "its windows are impossible");
        need->bytes += (uint64_t)c->inq + c->outq;
        return 0;
}

static socklen_t address_len(const struct sockaddr_storage *a)
{
        return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void tape_setopt(struct tape *t, struct arg fd, int level, int name, const void *value, uint32_t len)
{
        TAPE(t, SYS_setsockopt, fd, A_IMM(level), A_IMM(name), A_DATA(tape_data(t, value, len)), A_IMM(len));
}

static void tape_setint(struct tape *t, struct arg fd, int level, int name, int value)
{
        tape_setopt(t, fd, level, name, &value, sizeof(value));
}

static uint32_t tape_address(struct tape *t, const struct sockaddr_storage *a)
{
        return tape_data(t, a, address_len(a));
}

/* socket() in the owner: network namespace, credentials, label and cgroup stick to it there. A listener is made whole, in the
 * next phase, by the same task. */
void tcp_plan_make(struct restore *rs, uint64_t id, int family, const struct tcp *x)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, id));
        int type = SOCK_STREAM | SOCK_CLOEXEC | (x->ofd.flags & O_NONBLOCK ? SOCK_NONBLOCK : 0);

        tape_label(t, "make a TCP socket (%" PRIu64 ")", id);
        tape_keep_fd(t, TAPE(t, SYS_socket, A_IMM(family), A_IMM(type), A_IMM(IPPROTO_TCP)), id);
}

static bool buffer_locked(const struct tcp *x, uint32_t bit)
{
        const struct tcp_option *o = tcp_option_find(x, SOL_SOCKET, SO_BUF_LOCK);
        uint32_t v = 0;

        if (o && o->len == sizeof(v))
                memcpy(&v, o->value, sizeof(v));
        return v & bit;
}

/* Sizes that the program has set: only our own duplicate may pass the node's limits. The kernel doubles what it is given. */
static void plan_fixed_buffers(struct restore *rs, uint64_t id, const struct tcp *x)
{
        if (!buffer_locked(x, SOCK_SNDBUF_LOCK) && !buffer_locked(x, SOCK_RCVBUF_LOCK))
                return;
        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_SELF, 0 });
        tape_label(t, "buffers of a TCP socket (%" PRIu64 ")", id);
        if (buffer_locked(x, SOCK_SNDBUF_LOCK))
                tape_setint(t, A_FD(id), SOL_SOCKET, SO_SNDBUFFORCE, (int)(x->sndbuf / 2));
        if (buffer_locked(x, SOCK_RCVBUF_LOCK))
                tape_setint(t, A_FD(id), SOL_SOCKET, SO_RCVBUFFORCE, (int)(x->rcvbuf / 2));
}

static void plan_listen(struct restore *rs, uint64_t id, const struct tcp *x)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, id));

        tape_label(t, "bind a TCP socket (%" PRIu64 ")", id);
        tcp_options_plan(t, A_FD(id), x, TCP_EARLY | TCP_AFTER);
        if (x->bound)
                TAPE(t, SYS_bind, A_FD(id), A_DATA(tape_address(t, &x->local)), A_IMM(address_len(&x->local)));
        if (x->state == STATE_LISTEN)
                TAPE(t, SYS_listen, A_FD(id), A_IMM(x->backlog));
        tcp_options_plan(t, A_FD(id), x, TCP_LAST);
        plan_fixed_buffers(rs, id, x);
}

/* Room for the queues, whatever the sizes were. */
static void plan_buffers(struct tape *t, uint64_t id, const struct tcp *x)
{
        uint32_t snd = x->sndbuf, rcv = x->rcvbuf;

        if (snd < 2 * x->conn.outq + 65536)
                snd = 2 * x->conn.outq + 65536;
        if (rcv < 2 * x->conn.inq + 65536)
                rcv = 2 * x->conn.inq + 65536;
        tape_setint(t, A_FD(id), SOL_SOCKET, SO_SNDBUFFORCE, (int)(snd / 2));
        tape_setint(t, A_FD(id), SOL_SOCKET, SO_RCVBUFFORCE, (int)(rcv / 2));
}

/*
 * The sizes as they were, now that the queues are in: the room that was made for them would be filled by a writer that has more,
 * and be doubled by every further move. Sizes that the program has set are fixed from then on; the others go on growing and
 * shrinking (5.14+).
 */
static void plan_buffer_lock(struct tape *t, uint64_t id, const struct tcp *x)
{
        uint32_t lock = (buffer_locked(x, SOCK_SNDBUF_LOCK) ? SOCK_SNDBUF_LOCK : 0u) |
                        (buffer_locked(x, SOCK_RCVBUF_LOCK) ? SOCK_RCVBUF_LOCK : 0u);

        tape_setint(t, A_FD(id), SOL_SOCKET, SO_SNDBUFFORCE, (int)(x->sndbuf / 2));
        tape_setint(t, A_FD(id), SOL_SOCKET, SO_RCVBUFFORCE, (int)(x->rcvbuf / 2));
        uint32_t e = TAPE(t, SYS_setsockopt, A_FD(id), A_IMM(SOL_SOCKET), A_IMM(SO_BUF_LOCK), A_DATA(tape_data(t, &lock, sizeof(lock))),
                          A_IMM(sizeof(lock)));

        tape_may_fail(t, e, ENOPROTOOPT);
}

static void plan_seqs(struct tape *t, uint64_t id, const struct tcp_conn *c)
{
        uint32_t snd = c->snd_seq - c->outq, rcv = c->rcv_seq - c->inq;

        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
        tape_setopt(t, A_FD(id), IPPROTO_TCP, TCP_QUEUE_SEQ, &snd, sizeof(snd));
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
        tape_setopt(t, A_FD(id), IPPROTO_TCP, TCP_QUEUE_SEQ, &rcv, sizeof(rcv));
}

static void plan_negotiated(struct tape *t, uint64_t id, const struct tcp_conn *c)
{
        struct tcp_repair_opt opt[4] = { { OPT_MSS, c->mss_clamp } };
        uint32_t n = 1;

        if (c->options & TCPI_OPT_WSCALE)
                opt[n++] = (struct tcp_repair_opt){ OPT_WINDOW, c->snd_wscale | c->rcv_wscale << 16 };
        if (c->options & TCPI_OPT_SACK)
                opt[n++] = (struct tcp_repair_opt){ OPT_SACK, 0 };
        if (c->options & TCPI_OPT_TIMESTAMPS)
                opt[n++] = (struct tcp_repair_opt){ OPT_TIMESTAMP, 0 };
        tape_setopt(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, n * (uint32_t)sizeof(opt[0]));
}

static void tape_send(struct tape *t, uint64_t id, const uint8_t *p, uint32_t len, int flags)
{
        for (uint32_t at = 0; at < len; at += CHUNK) {
                uint32_t n = len - at < CHUNK ? len - at : CHUNK;
                uint32_t e = TAPE(t, SYS_sendto, A_FD(id), A_DATA(tape_data(t, p + at, n)), A_IMM(n), A_IMM(flags), A_IMM(0), A_IMM(0));
                tape_expect(t, e, n);
        }
}

/* inq bytes, then outq bytes; caller frees. */
static int queue_bytes(struct restore *rs, uint64_t id, const struct tcp_conn *c, uint8_t **ret, struct err *err)
{
        size_t total = (size_t)c->inq + c->outq;

        *ret = malloc(total ? total : 1);
        if (!*ret)
                return kind_nomem(err);
        if (total <= TCP_QUEUE_INLINE) {
                if (total)
                        memcpy(*ret, c->queue, total);
                return 0;
        }
        return restore_bytes(rs, id, 0, *ret, total, err);
}

/*
 * A connect() in repair reckons with segments of 536 bytes (IPv4) or 1220 (IPv6), and the options that come after it do not make it
 * reckon again. Setting IP options of no length does (do_ip_setsockopt()), with the largest window that the peer has shown. For
 * IPv6 (ipv6_update_options()) there must be a set of options: an empty one, of a control message too short to be one, which goes
 * again with the removal of a routing header that is not in it.
 */
static void plan_segments(struct tape *t, uint64_t id, const struct tcp_conn *c)
{
        const uint32_t none = 0;

        if (c->peer.ss_family == AF_INET) {
                TAPE(t, SYS_setsockopt, A_FD(id), A_IMM(IPPROTO_IP), A_IMM(IP_OPTIONS), A_IMM(0), A_IMM(0));
                return;
        }
        tape_setopt(t, A_FD(id), IPPROTO_IPV6, IPV6_2292PKTOPTIONS, &none, sizeof(none));
        TAPE(t, SYS_setsockopt, A_FD(id), A_IMM(IPPROTO_IPV6), A_IMM(IPV6_RTHDR), A_IMM(0), A_IMM(0));
}

static int plan_connection(struct restore *rs, uint64_t id, const struct tcp *x, struct err *err)
{
        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_SELF, 0 });
        const struct tcp_conn *c = &x->conn;
        _cleanup_free_ uint8_t *q = NULL;
        int r = queue_bytes(rs, id, c, &q, err);

        if (r < 0)
                return r;
        tape_label(t, "restore a TCP connection (%" PRIu64 ")", id);
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR, REPAIR_ON);
        plan_buffers(t, id, x);
        plan_seqs(t, id, c);
        TAPE(t, SYS_bind, A_FD(id), A_DATA(tape_address(t, &x->local)), A_IMM(address_len(&x->local)));
        TAPE(t, SYS_connect, A_FD(id), A_DATA(tape_address(t, &c->peer)), A_IMM(address_len(&c->peer)));
        plan_negotiated(t, id, c);
        tcp_options_plan(t, A_FD(id), x, TCP_EARLY);
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
        tape_send(t, id, q, c->inq, 0);
        struct tcp_repair_window w = { c->snd_wl1, 0, c->max_window, c->rcv_wnd, c->rcv_wup };
        tape_setopt(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w));
        plan_segments(t, id, c);
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
        tape_send(t, id, q + c->inq, c->outq - c->unsent, 0);
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
        return 0;
}

int tcp_plan_bind(struct restore *rs, uint64_t id, const struct tcp *x, struct err *err)
{
        if (x->state == STATE_ESTABLISHED)
                return plan_connection(rs, id, x, err);
        plan_listen(rs, id, x);
        return 0;
}

int tcp_plan_park(struct restore *rs, uint64_t id, const struct tcp *x, struct err *err)
{
        const struct tcp_conn *c = &x->conn;
        _cleanup_free_ uint8_t *q = NULL;

        if (x->state != STATE_ESTABLISHED)
                return 0;
        struct tape *t = restore_tape(rs, (struct actor){ ACTOR_SELF, 0 });
        int r = queue_bytes(rs, id, c, &q, err);
        if (r < 0)
                return r;
        tape_label(t, "queue the tail of a TCP connection (%" PRIu64 ")", id);
        if (c->options & TCPI_OPT_TIMESTAMPS)
                tape_setopt(t, A_FD(id), IPPROTO_TCP, TCP_TIMESTAMP, &c->timestamp, sizeof(c->timestamp));
        tape_setint(t, A_FD(id), IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP);
        tcp_options_plan(t, A_FD(id), x, TCP_AFTER);
        tape_send(t, id, q + c->inq + (c->outq - c->unsent), c->unsent, MSG_DONTWAIT | MSG_NOSIGNAL);
        tcp_options_plan(t, A_FD(id), x, TCP_LAST);
        plan_buffer_lock(t, id, x);
        return 0;
}
