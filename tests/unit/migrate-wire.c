/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire: frames survive any cut of the stream and no changed byte; messages are canonical or refused; the relay hands
 * on what is right, ends at what is not and tells why; silence is an error.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/timer.h"
#include "migrate/msg.h"
#include "migrate/relay.h"
#include "migrate/wire.h"
#include "migrate/wire.pb-c.h"

static size_t frame(uint8_t *to, uint16_t type, uint32_t seq, const void *body, size_t len)
{
        struct wire_frame f;

        wire_frame_make(&f, type, seq, body, len, NULL, 0);
        memcpy(to, f.head, WIRE_HEAD);
        memcpy(to + WIRE_HEAD, body, len);
        memcpy(to + WIRE_HEAD + len, f.tail, WIRE_CRC);
        return WIRE_HEAD + len + WIRE_CRC;
}

/* Feeds `n` bytes in pieces; returns how many frames came, or -1 when the stream was refused. */
static int feed(const uint8_t *bytes, size_t n, size_t piece)
{
        struct wire_parser p;
        struct wire_msg m;
        int frames = 0, r = 0;

        cr_assert_eq(wire_parser_init(&p, NULL), 0);
        for (size_t at = 0; at < n && r >= 0; at += piece) {
                size_t room, take = n - at < piece ? n - at : piece;
                void *to = wire_parser_room(&p, &room);
                cr_assert_geq(room, take);
                memcpy(to, bytes + at, take);
                wire_parser_fed(&p, take);
                while ((r = wire_parser_next(&p, &m, NULL)) == 1)
                        frames++;
        }
        wire_parser_done(&p);
        return r < 0 ? -1 : frames;
}

static size_t three_frames(uint8_t *to)
{
        size_t n = frame(to, MSG_OK, 1, "\x08\x14", 2);

        n += frame(to + n, WIRE_MSG_BEAT, 0, "", 0);
        return n + frame(to + n, MSG_OK, 2, "\x08\x15", 2);
}

Test(wire, any_cut_of_the_stream_gives_the_same_frames)
{
        uint8_t bytes[128];
        size_t n = three_frames(bytes);

        for (size_t piece = 1; piece <= n; piece++)
                cr_expect_eq(feed(bytes, n, piece), 3, "pieces of %zu", piece);
}

Test(wire, any_flipped_bit_is_refused_or_waits)
{
        uint8_t bytes[128];
        size_t n = three_frames(bytes);

        for (size_t bit = 0; bit < 8 * n; bit++) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                /* A longer length within the cap waits for bytes that never come: never three frames. */
                cr_expect_neq(feed(bytes, n, n), 3, "bit %zu", bit);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

Test(wire, a_repeated_or_left_out_frame_is_refused)
{
        uint8_t bytes[128];
        size_t n = frame(bytes, MSG_OK, 1, "\x08\x14", 2);

        memcpy(bytes + n, bytes, n);
        cr_expect_eq(feed(bytes, 2 * n, 7), -1);
        n = frame(bytes, MSG_OK, 2, "\x08\x14", 2);
        cr_expect_eq(feed(bytes, n, n), -1);
}

Test(wire, a_length_above_the_cap_is_refused_from_the_head_alone)
{
        uint8_t head[WIRE_HEAD] = {0xff, 0xff, 0xff, 0x7f, MSG_OK, 0, 0, 0, 1};

        cr_expect_eq(feed(head, sizeof(head), sizeof(head)), -1);
}

struct ends { struct wire a, b; };

static struct ends connect_ends(unsigned silence_ms)
{
        int pair[2];
        struct ends e;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        cr_assert_eq(wire_open(pair[0], pair[0], silence_ms, &e.a, NULL), 0);
        cr_assert_eq(wire_open(pair[1], pair[1], silence_ms, &e.b, NULL), 0);
        return e;
}

Test(wire, messages_and_bulk_arrive_as_sent)
{
        struct ends e = connect_ends(1000);
        struct wire_msg m;
        struct wire_piece p;
        struct err err = {0};
        ProtobufCMessage *got = NULL;

        cr_assert_eq(msg_send_ok(&e.a, MSG_GROUND, &err), 0);
        cr_assert_eq(e.a.ops->data(e.a.ctx, WIRE_PAGES, UINT64_C(0x123456789a), "bytes", 5, &err), 0);
        cr_assert_eq(msg_expect_ok(&e.b, MSG_GROUND, &err), 0, "%s", err.why);
        cr_assert_eq(msg_recv(&e.b, &m, &got, &err), 0);
        cr_assert_null(got);
        cr_assert_eq(wire_piece(&m, &p, &err), 0);
        cr_expect_eq(p.what, WIRE_PAGES);
        cr_expect_eq(p.offset, UINT64_C(0x123456789a));
        cr_expect_arr_eq(p.data, "bytes", 5);
        cr_expect_eq(p.len, 5);
        wire_done(&e.a);
        cr_expect_eq(msg_recv(&e.b, &m, &got, &err), -EX_CONNECT);
        wire_done(&e.b);
}

Test(wire, an_error_crosses_whole)
{
        struct ends e = connect_ends(1000);
        struct err sent = {0}, err = {0};
        struct wire_msg m;
        ProtobufCMessage *got;

        err_sys(&sent, EX_NOSPC, ENOSPC, "cannot write the image", "%s", "root.img");
        err_remedy(&sent, "make room");
        msg_send_error(&e.a, &sent);
        cr_expect_eq(msg_recv(&e.b, &m, &got, &err), -EX_NOSPC);
        cr_expect_eq(err.sys, ENOSPC);
        cr_expect_str_eq(err.remedy, "make room");
        wire_done(&e.a);
        wire_done(&e.b);
}

Test(wire, silence_and_the_deadline_are_timeouts)
{
        struct ends e = connect_ends(30);
        struct err err = {0};
        struct wire_msg m;
        ProtobufCMessage *got;

        cr_expect_eq(msg_recv(&e.b, &m, &got, &err), -EX_TIMEOUT);
        wire_deadline(&e.a, now_ns() + 5000000);
        cr_expect_eq(msg_recv(&e.a, &m, &got, &err), -EX_TIMEOUT);
        /* A peer that does not read: the socket fills, then the limit counts. */
        static uint8_t big[WIRE_BULK_MAX];
        int r = 0;
        wire_deadline(&e.a, 0);
        for (int i = 0; i < 64 && r == 0; i++)
                r = e.a.ops->data(e.a.ctx, WIRE_DISK, 0, big, sizeof(big), &err);
        cr_expect_eq(r, -EX_TIMEOUT);
        wire_done(&e.a);
        wire_done(&e.b);
}

static void *run_relay(void *arg)
{
        struct err err = {0};

        (void)relay_run(arg, &err);
        struct relay *r = arg;
        close(r->net_in);
        close(r->local);
        return NULL;
}

/* net: a raw descriptor in place of the ssh stream; the wire: what the acting process has. */
static pthread_t relay_thread(struct relay *r, int *net, struct wire *w)
{
        int a[2], b[2];
        pthread_t t;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
        *r = (struct relay){a[1], a[1], b[1]};
        *net = a[0];
        cr_assert_eq(wire_open(b[0], b[0], 3000, w, NULL), 0);
        cr_assert_eq(pthread_create(&t, NULL, run_relay, r), 0);
        return t;
}

Test(relay, hands_on_and_beats)
{
        struct relay r;
        struct wire w, peer;
        struct err err = {0};
        int net;
        pthread_t t = relay_thread(&r, &net, &w);

        cr_assert_eq(wire_open(net, net, 3000, &peer, NULL), 0);
        cr_assert_eq(msg_send_ok(&peer, MSG_BEGIN, &err), 0);
        cr_expect_eq(msg_expect_ok(&w, MSG_BEGIN, &err), 0, "%s", err.why);
        cr_assert_eq(msg_send_ok(&w, MSG_ROUND, &err), 0);
        cr_expect_eq(msg_expect_ok(&peer, MSG_ROUND, &err), 0, "%s", err.why);
        /* Nothing is sent now: within two seconds heartbeats come, which recv swallows. */
        wire_deadline(&peer, now_ns() + UINT64_C(1600000000));
        ProtobufCMessage *m;
        struct wire_msg f;
        cr_expect_eq(msg_recv(&peer, &f, &m, &err), -EX_TIMEOUT);
        cr_expect_geq(wire_counts(&peer).received, 2 * (WIRE_HEAD + WIRE_CRC) + 2);
        wire_done(&w);
        pthread_join(t, NULL);
        wire_done(&peer);
}

static int relay_verdict(const uint8_t *bytes, size_t n, struct err *err)
{
        struct relay r;
        struct wire w;
        struct wire_msg f;
        ProtobufCMessage *m;
        int net;
        pthread_t t = relay_thread(&r, &net, &w);

        cr_assert_eq(write(net, bytes, n), (ssize_t)n);
        int res = msg_recv(&w, &f, &m, err);
        if (res == 0)
                msg_free(m);
        wire_done(&w);
        close(net);
        pthread_join(t, NULL);
        return res;
}

Test(relay, refuses_what_is_not_canonical_and_says_so)
{
        uint8_t b[256];
        struct err err = {0};

        cr_expect_eq(relay_verdict(b, frame(b, MSG_OK, 1, "\x08\x14", 2), &err), 0);
        cr_expect_eq(relay_verdict(b, frame(b, MSG_OK, 1, "\x08\x94\x00", 3), &err), -EX_PEER, "overlong number");
        cr_expect_eq(relay_verdict(b, frame(b, MSG_OK, 1, "\x08\x14\x78\x01", 4), &err), -EX_PEER, "unknown field");
        cr_expect_eq(relay_verdict(b, frame(b, MSG_OK, 1, "", 0), &err), -EX_PEER, "required field missing");
        cr_expect_eq(relay_verdict(b, frame(b, 200, 1, "", 0), &err), -EX_PEER, "unknown type");
        cr_expect_eq(relay_verdict(b, frame(b, WIRE_MSG_BULK, 1, "\1\0\0\0", 4), &err), -EX_PEER, "bulk without head");
        cr_expect_eq(relay_verdict((const uint8_t *)"SSH-2.0-OpenSSH_9.2p1\r\n", 23, &err), -EX_PEER, "text");
        cr_expect_str_eq(err.what, "the other node broke the protocol");
}

Test(relay, refuses_a_forged_local_error)
{
        struct err e = {0}, err = {0};
        uint8_t *bytes;
        size_t n;

        err_set(&e, EX_OK + 1, "x", "y", "%s", "z");
        cr_assert_eq(msg_local_error(&e, 1, &bytes, &n, &err), 0);
        cr_expect_eq(relay_verdict(bytes, n, &err), -EX_PEER);
        free(bytes);
}

Test(relay, as_a_confined_child)
{
        struct wire w, peer;
        struct err err = {0};
        int net[2], pidfd;

        if (geteuid() != 0)
                cr_skip("changing the user needs root");
        signal(SIGPIPE, SIG_IGN);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, net), 0);
        cr_assert_eq(relay_start(net[1], net[1], 3000, &w, &pidfd, &err), 0, "%s", err.why);
        cr_assert_eq(wire_open(net[0], net[0], 3000, &peer, NULL), 0);
        cr_assert_eq(msg_send_ok(&peer, MSG_BEGIN, &err), 0);
        cr_expect_eq(msg_expect_ok(&w, MSG_BEGIN, &err), 0, "%s", err.why);
        cr_assert_eq(write(net[0], "garbage that is no frame", 24), 24);
        struct wire_msg f;
        ProtobufCMessage *m;
        cr_expect_eq(msg_recv(&w, &f, &m, &err), -EX_PEER, "%d %s", err.code, err.why);
        siginfo_t si;
        cr_assert_eq(waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED), 0);
        cr_expect_eq(si.si_code, CLD_EXITED, "code %d status %d", si.si_code, si.si_status);
        cr_expect_eq(si.si_status, EX_PEER);
        wire_done(&w);
        wire_done(&peer);
}
