/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TCP socket without its address family's message: what sk-inet-stream and sk-inet6-stream share. The kind's file moves this
 * structure into its own message and back.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include "checkpoint/kind/kind.h"
#include "checkpoint/kind/ofd.h"

#define TCP_OPTIONS_MAX 128
/* Bytes a second while a connection settles: a 59 KB segment keeps the next one back for 0.3 s. No program asks for this number, so
 * that one who finds a connection of a dump that has died knows who has paced it. */
#define TCP_PACE 200003ul
#define TCP_QUEUE_INLINE 65536u
#define TCP_QUEUE_MAX (64u << 20)
#define TCP_VALUE_MAX 64

struct tcp_option { int level, name; uint32_t len; uint8_t value[TCP_VALUE_MAX]; };

struct tcp_conn {
        struct sockaddr_storage peer;
        uint32_t snd_seq, rcv_seq, inq, outq, unsent, mss_clamp, options, snd_wscale, rcv_wscale, timestamp;
        uint32_t snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup;
        uint8_t *queue;              /* inq + outq bytes, owned; NULL: beside the record, or none */
};

struct tcp {
        struct ofd ofd;
        uint8_t state;
        bool bound;
        struct sockaddr_storage local;
        uint32_t backlog, sndbuf, rcvbuf;
        struct tcp_option option[TCP_OPTIONS_MAX];
        size_t n_option;
        struct tcp_conn conn;        /* TCP_ESTABLISHED */
};

/* The whole family's operations; `k` names the kind in errors. */
int tcp_refuse(const struct kind *k, const struct facts *f, struct err *err);
int tcp_settle(struct dump *d, const struct obj *o, int fd, struct err *err);
int tcp_quiesce(struct dump *d, const struct obj *o, int fd, struct err *err);
int tcp_cure(struct dump *d, const struct obj *o, int fd, struct err *err);
int tcp_take(const struct kind *k, struct dump *d, const struct obj *o, int fd, const struct tape *t, struct tcp *ret, struct err *err);
int tcp_check(const struct kind *k, const struct record *r, const struct tcp *x, int family, struct need *need, struct err *err);
void tcp_plan_make(struct restore *rs, uint64_t id, int family, const struct tcp *x);
int tcp_plan_bind(struct restore *rs, uint64_t id, const struct tcp *x, struct err *err);
int tcp_plan_park(struct restore *rs, uint64_t id, const struct tcp *x, struct err *err);
void tcp_done(struct tcp *x);
