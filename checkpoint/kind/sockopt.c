/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket options by one table (sockopt.h).
 *
 * Kept are values that differ from those of a fresh socket of the same family in the container's network namespace: most
 * sockets have two or three. The numbers in records are the table's, never reused.
 *
 * SO_SNDBUF and SO_RCVBUF double what they are given and stop autotuning: they have their own functions, with
 * SO_BUF_LOCK to set autotuning going again. Sockets of the internet have a table of their own (tcp-option.c).
 */
#include "checkpoint/kind/sockopt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/sys.h"

#define SO_BUF_LOCK_ 72 /* 5.16 */
#define SO_PASSPIDFD_ 76 /* 6.5 */
#define SO_RCVPRIORITY_ 82 /* 6.14 */
#define SO_PASSRIGHTS_ 83 /* 6.16 */
#define SO_INQ_ 84 /* 6.17 */
#define MAX_VALUES 48

enum form { INT, LINGER_, TIME };
struct option { uint32_t number; int level, name; enum form form; enum sockopt_when when; };

static const struct option table[] = {
        {1, SOL_SOCKET, SO_KEEPALIVE, INT, SOCKOPT_LATE},
        {2, SOL_SOCKET, SO_OOBINLINE, INT, SOCKOPT_LATE},
        {3, SOL_SOCKET, SO_PRIORITY, INT, SOCKOPT_LATE},
        {4, SOL_SOCKET, SO_MARK, INT, SOCKOPT_EARLY},
        {5, SOL_SOCKET, SO_RCVLOWAT, INT, SOCKOPT_LATE},
        {6, SOL_SOCKET, SO_PASSCRED, INT, SOCKOPT_EARLY},
        {7, SOL_SOCKET, SO_PASSSEC, INT, SOCKOPT_EARLY},
        {8, SOL_SOCKET, SO_PASSPIDFD_, INT, SOCKOPT_EARLY},
        {9, SOL_SOCKET, SO_TIMESTAMP_OLD, INT, SOCKOPT_LATE},
        {10, SOL_SOCKET, SO_TIMESTAMPNS_OLD, INT, SOCKOPT_LATE},
        {11, SOL_SOCKET, SO_TIMESTAMPING_OLD, INT, SOCKOPT_LATE},
        {12, SOL_SOCKET, SO_DONTROUTE, INT, SOCKOPT_LATE},
        {13, SOL_SOCKET, SO_LINGER, LINGER_, SOCKOPT_LATE},
        {14, SOL_SOCKET, SO_RCVTIMEO_OLD, TIME, SOCKOPT_LATE},
        {15, SOL_SOCKET, SO_SNDTIMEO_OLD, TIME, SOCKOPT_LATE},
        {16, SOL_SOCKET, SO_BUSY_POLL, INT, SOCKOPT_LATE},
        {18, SOL_SOCKET, SO_ZEROCOPY, INT, SOCKOPT_LATE},
        {19, SOL_SOCKET, SO_RXQ_OVFL, INT, SOCKOPT_LATE},
        {20, SOL_SOCKET, SO_SELECT_ERR_QUEUE, INT, SOCKOPT_LATE},
        {21, SOL_SOCKET, SO_PEEK_OFF, INT, SOCKOPT_LATE},
        {23, SOL_SOCKET, SO_DEBUG, INT, SOCKOPT_LATE},
        {24, SOL_SOCKET, SO_PREFER_BUSY_POLL, INT, SOCKOPT_LATE},
        {25, SOL_SOCKET, SO_TIMESTAMP_NEW, INT, SOCKOPT_LATE},
        {26, SOL_SOCKET, SO_TIMESTAMPNS_NEW, INT, SOCKOPT_LATE},
        {27, SOL_SOCKET, SO_TIMESTAMPING_NEW, INT, SOCKOPT_LATE},
        {28, SOL_SOCKET, SO_REUSEADDR, INT, SOCKOPT_EARLY},
        {29, SOL_SOCKET, SO_REUSEPORT, INT, SOCKOPT_EARLY},
        {30, SOL_SOCKET, SO_BROADCAST, INT, SOCKOPT_LATE},
        {31, SOL_SOCKET, SO_INCOMING_CPU, INT, SOCKOPT_LATE},
        {32, SOL_SOCKET, SO_BUSY_POLL_BUDGET, INT, SOCKOPT_LATE},
        {33, SOL_SOCKET, SO_WIFI_STATUS, INT, SOCKOPT_LATE},
        {34, SOL_SOCKET, SO_NOFCS, INT, SOCKOPT_LATE},
        {35, SOL_SOCKET, SO_LOCK_FILTER, INT, SOCKOPT_LATE},
        {36, SOL_SOCKET, SO_RESERVE_MEM, INT, SOCKOPT_LATE},
        {37, SOL_SOCKET, SO_TXREHASH, INT, SOCKOPT_LATE},
        {38, SOL_SOCKET, SO_RCVMARK, INT, SOCKOPT_LATE},
        {39, SOL_SOCKET, SO_RCVPRIORITY_, INT, SOCKOPT_LATE},
        {40, SOL_SOCKET, SO_PASSRIGHTS_, INT, SOCKOPT_EARLY},
        {41, SOL_SOCKET, SO_INQ_, INT, SOCKOPT_LATE},
};

void sockopts_done(struct sockopts *s)
{
        free(s->option);
        free(s->value);
        *s = (struct sockopts){};
}

/* -errno: this kernel or this socket has no such option. */
static int read_option(int fd, const struct option *x, int64_t *ret)
{
        union { int i; struct linger l; struct timeval t; } v = {};
        socklen_t n = x->form == INT ? sizeof(v.i) : x->form == LINGER_ ? sizeof(v.l) : sizeof(v.t);

        if (getsockopt(fd, x->level, x->name, &v, &n) < 0)
                return -errno;
        if (x->form == INT)
                *ret = n == 1 ? (int64_t)*(uint8_t *)&v : v.i;
        else if (x->form == LINGER_)
                *ret = ((int64_t)(v.l.l_onoff != 0) << 32) | (uint32_t)v.l.l_linger;
        else
                *ret = (int64_t)v.t.tv_sec * 1000000 + v.t.tv_usec;
        return 0;
}

static int refuse_unkept(const struct kind *k, const struct obj *o, int fd, struct err *err)
{
        socklen_t n = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL, &n) < 0 ? errno == EACCES : n > 0)
                return kind_refuse(k, &o->facts, err, "a socket with a packet filter", "Stop the program that attached it");
        return 0;
}

int sockopts_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, struct sockopts *ret, struct err *err)
{
        int r = refuse_unkept(k, o, fd, err);
        struct sockopts s = {};

        if (r < 0)
                return r;
        int fresh = dump_fresh_socket(d, o, err);
        if (fresh < 0)
                return fresh;
        s.option = kind_calloc(MAX_VALUES, sizeof(*s.option));
        s.value = kind_calloc(MAX_VALUES, sizeof(*s.value));
        if (!s.option || !s.value) {
                sockopts_done(&s);
                return kind_nomem(err);
        }
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int64_t now = 0, usual = 0;
                if (read_option(fd, &table[i], &now) < 0 || read_option(fresh, &table[i], &usual) < 0)
                        continue;
                if (now == usual)
                        continue;
                s.option[s.n] = table[i].number;
                s.value[s.n++] = now;
        }
        *ret = s;
        return 0;
}

static const struct option *find(uint32_t number)
{
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].number == number)
                        return &table[i];
        return NULL;
}

bool sockopts_ok(const uint32_t *option, size_t n, size_t n_value)
{
        if (n != n_value)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!find(option[i]) || (i && option[i] <= option[i - 1]))
                        return false;
        return true;
}

static void set_option(struct tape *t, struct arg fd, const struct option *x, int64_t value)
{
        union { int i; struct linger l; struct timeval t; } v = {};
        size_t n = sizeof(v.i);

        if (x->form == INT) {
                v.i = (int)value;
        } else if (x->form == LINGER_) {
                v.l = (struct linger){.l_onoff = (int)(value >> 32) & 1, .l_linger = (int)(uint32_t)value};
                n = sizeof(v.l);
        } else {
                v.t = (struct timeval){.tv_sec = value / 1000000, .tv_usec = value % 1000000};
                n = sizeof(v.t);
        }
        TAPE(t, SYS_setsockopt, fd, A_IMM(x->level), A_IMM(x->name), A_DATA(tape_data(t, &v, n)), A_IMM(n));
}

void sockopts_plan(struct tape *t, struct arg fd, const struct sockopts *s, enum sockopt_when when)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct option *x = find(s->option[i]);
                if (x && (x->when & when))
                        set_option(t, fd, x, s->value[i]);
        }
}

int64_t sockopts_get(const struct sockopts *s, int level, int name, int64_t fallback)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct option *x = find(s->option[i]);
                if (x && x->level == level && x->name == name)
                        return s->value[i];
        }
        return fallback;
}

/* ---- buffers ---- */

int sockbufs_take(int fd, struct sockbufs *ret, struct err *err)
{
        int snd = 0, rcv = 0, lock = 3;
        socklen_t n = sizeof(snd);

        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, &n) < 0 || getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, &n) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a socket for its buffers", "descriptor %d", fd);
        n = sizeof(lock);
        if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK_, &lock, &n) < 0)
                lock = 3;
        *ret = (struct sockbufs){.snd = (uint32_t)snd, .rcv = (uint32_t)rcv, .lock = (uint32_t)lock};
        return 0;
}

static void set_int(struct tape *t, uint64_t object, int name, int value)
{
        TAPE(t, SYS_setsockopt, A_FD(object), A_IMM(SOL_SOCKET), A_IMM(name), A_DATA(tape_data(t, &value, sizeof(value))),
             A_IMM(sizeof(value)));
}

void sockbufs_plan(struct restore *rs, uint64_t object, const struct sockbufs *b)
{
        struct tape *t = restore_tape(rs, (struct actor){ACTOR_SELF, 0});

        tape_label(t, "buffers of socket %llu", (unsigned long long)object);
        set_int(t, object, SO_SNDBUFFORCE, (int)(b->snd / 2));
        set_int(t, object, SO_RCVBUFFORCE, (int)(b->rcv / 2));
        if (b->lock != 3)
                set_int(t, object, SO_BUF_LOCK_, (int)b->lock);
}
