/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking who owns it, and the two ends that a doubt can have (migrate/ask.h).
 *
 * Nobody guesses: a connection that cannot be made is no answer. The question is put again every second, because the other
 * node may be booting, until the caller's limit; then the container stays as it is, frozen, and `--resolve` asks again.
 */
#include "migrate/ask.h"

#include <poll.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/str.h"
#include "base/timer.h"
#include "migrate/hello.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"
#include "ploop/ploop.h"

#define STEP_MS 10000u
#define EVERY_MS 1000

bool migrate_stopped(const struct migrate_options *o)
{
        struct pollfd p = {.fd = o->stop_fd, .events = POLLIN};

        return o->stop_fd >= 0 && poll(&p, 1, 0) == 1;
}

static int put_question(struct wire *w, const char *token, const char *name, bool *ret_claimed, struct err *err)
{
        CLEANUP_MSG ProtobufCMessage *m = NULL;
        Gantry__WireAsk q = GANTRY__WIRE_ASK__INIT;
        struct hello peer;

        int r = hello_source(w, &peer, err);
        if (r < 0)
                return r;
        q.token = (char *)(uintptr_t)token;
        q.name = (char *)(uintptr_t)name;
        r = msg_send(w, MSG_ASK, &q.base, err);
        if (r == 0)
                r = msg_expect(w, MSG_ANSWER, &m, err);
        if (r < 0)
                return r;
        const Gantry__WireAnswer *a = (Gantry__WireAnswer *)m;
        if (!str_eq(a->token, token))
                return err_set(err, EX_PEER, "the other node broke the protocol", "it answers for another migration", "%.40s",
                               a->token);
        *ret_claimed = a->claimed;
        return 0;
}

static int ask_once(const char *host, const char *token, const char *name, const struct migrate_options *o,
                    bool *ret_claimed, struct err *err)
{
        struct ssh ssh;
        int r = ssh_open(host, STEP_MS, &ssh, err);

        if (r < 0)
                return r;
        wire_stop(&ssh.wire, o->stop_fd);
        r = put_question(&ssh.wire, token, name, ret_claimed, err);
        if (r == -EX_CONNECT)
                r = ssh_why(&ssh, err);
        ssh_close(&ssh);
        return r;
}

int ask_owner(const char *host, const char *token, const char *name, const struct migrate_options *o, bool *ret_claimed,
              struct err *err)
{
        uint64_t until = o->timeout_s ? now_ns() + (uint64_t)o->timeout_s * 1000000000u : UINT64_MAX;

        for (;;) {
                struct err e = {0};
                int r = ask_once(host, token, name, o, ret_claimed, &e);
                if (r == 0)
                        return 0;
                if (migrate_stopped(o) || now_ns() >= until) {
                        if (err)
                                *err = e;
                        err_wrap(err, "who owns the container is in doubt", "%s, asked of %s", name, host);
                        if (err) {
                                err->code = EX_DOUBT;
                                err->remedy[0] = '\0';
                        }
                        err_remedy(err, "it stays frozen here; run `ctrmigrate --resolve %s` when %s can be reached", name, host);
                        return -EX_DOUBT;
                }
                if (o->progress)
                        o->progress(o->progress_ctx, "asking", 0);
                struct pollfd p = {.fd = o->stop_fd, .events = POLLIN};
                (void)poll(&p, 1, EVERY_MS);
        }
}

int source_gone(struct ct *ct, const struct subject *s, struct dump *dump, bool remove,
                char ret_left_as[CT_NAME_MAX + 1], struct err *err)
{
        ret_left_as[0] = '\0';
        /* A frozen file system would outlive its mount, and its loop device with it. */
        int r = s->fssync_fd >= 0 ? image_thaw(s->fssync_fd, err) : 0;
        if (r == 0)
                r = session_kill(s, dump, err);
        if (r == 0)
                r = ct_cleanup(ct, err);
        if (r < 0)
                return r;
        if (remove)
                return ct_destroy(ct, err);
        struct journal j;
        r = ct_journal_get(ct, &j, err);
        if (r < 0)
                return r;
        char left[CT_NAME_MAX + 1];
        snprintf(left, sizeof(left), "%.*s-moved-%.8s", CT_NAME_MAX - 15, ct_name(ct), j.token);
        r = ct_rename(ct, left, err);
        if (r == 0)
                snprintf(ret_left_as, CT_NAME_MAX + 1, "%s", left);
        return r;
}

int target_announce(struct ct *ct, struct err *err)
{
        const struct ct_config *c = ct_config(ct);
        int r = 0;

        for (size_t i = 0; r == 0 && i < c->n_ip4; i++)
                r = nl_announce(c->bridge, c->mac, &c->ip4[i], err);
        for (size_t i = 0; r == 0 && i < c->n_ip6; i++)
                r = nl_announce(c->bridge, c->mac, &c->ip6[i], err);
        return r;
}

int target_settle(struct ct *ct, const char *token, const char *peer, struct err *err)
{
        struct journal j = {.owner = OWNER_CLAIMED};

        str_copy(j.token, sizeof(j.token), token);
        str_copy(j.peer, sizeof(j.peer), peer);
        /* The journal first: under its own name a container must never say PREPARED. */
        int r = ct_journal_put(ct, &j, err);
        return r < 0 ? r : ct_incoming_adopt(ct, err);
}

int target_claimed(struct ct *ct, struct err *err)
{
        struct subject s = {0};
        struct journal j;
        struct err dead;
        int r = ct_journal_get(ct, &j, err);

        if (r < 0)
                return r;
        _cleanup_close_ int init = ct_init_pidfd(ct, &dead);
        if (init >= 0) {
                r = ct_subject(ct, &s, err);
                if (r == 0)
                        r = session_go(&s, err);
                subject_done(&s);
                if (r == 0)
                        r = target_announce(ct, err);
        }
        return r < 0 ? r : target_settle(ct, j.token, j.peer, err);
}
