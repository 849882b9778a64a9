/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix stream sockets, restore side (sk-unix-stream.c has the dump).
 *
 *      MAKE   listeners (bind, listen), unconnected ones, socketpairs with their unread bytes, ends whose peer has gone
 *      BIND   connections: connect and accept in one tape of the process that connected
 *      HAND   clients that wait to be accepted
 *      ATTR   shutdowns, buffer sizes (by the engine), files of names that had been removed
 *
 * What decides about credentials is done by the process that did it: socketpair, listen, connect, under the effective
 * user and group of that moment. Tapes of several processes play side by side, and accept() takes the oldest
 * connection: a POSIX lock on the listener (locks work on any inode, sockets too) makes connect and accept one step.
 * A socket's file is made by bind() and has then the mode and owner that it had.
 */
#include "checkpoint/kind/sk-unix.h"
#include "proto/sk-unix-stream.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checkpoint/kind/kinds.h"

typedef Gantry__SkUnixStream UnixMsg;

#define UNCHANGED A_IMM(UINT32_MAX)

static const UnixMsg *msg(const struct record *r)
{
        return (const void *)r->msg;
}

static bool is_path(const UnixMsg *m)
{
        return m->has_name && m->name.data[0];
}

/* ---- CHECK ---- */

static const char *bad_name(const UnixMsg *m)
{
        if (!m->has_name)
                return m->state == UNIX_STATE(LISTENING) ? "it listens and has no name" : m->node ? "it has a file and no name" : NULL;
        if (m->name.len == 0 || m->name.len > UNIX_PATH_LEN)
                return "its name is empty or too long";
        if (m->name.data[0] && (m->name.len >= UNIX_PATH_LEN || !field_is_path(&m->name)))
                return "its name is no absolute path";
        if (m->node && (!m->name.data[0] || m->node->mode > 07777))
                return "it has a file that none can have";
        return NULL;
}

static const char *bad_state(const struct record *r, const UnixMsg *m)
{
        bool paired = m->state == UNIX_STATE(PAIR) || m->state == UNIX_STATE(CONNECTED) || m->state == UNIX_STATE(ACCEPTED);

        if (paired != m->has_peer || (m->has_peer && m->peer == r->id))
                return "its other end is none";
        if ((m->state == UNIX_STATE(CONNECTED) || m->state == UNIX_STATE(QUEUED)) && !m->has_listener)
                return "it is connected through nothing";
        if (m->state == UNIX_STATE(PAIR) && m->has_name)
                return "an end of a pair has a name";
        if (m->shut > 3 || m->creator > INT32_MAX || m->creator_uid == UINT32_MAX || m->creator_gid == UINT32_MAX)
                return "shutdown state or credentials are none";
        if (m->n_creator_group > UNIX_GROUPS_MAX)
                return "its peer has more groups than it can";
        return NULL;
}

int unix_check(const struct record *r, struct need *need, struct err *err)
{
        const UnixMsg *m = msg(r);
        struct ofd ofd = OFD_FROM_MESSAGE(m);
        struct sockbufs buf = {m->sndbuf, m->rcvbuf, m->buflock};
        const char *why = bad_name(m);

        if (!why)
                why = bad_state(r, m);
        if (!why && (!ofd_ok(&ofd) || !sockopts_ok(m->option, m->n_option, m->n_value) || !sockbufs_ok(&buf)))
                why = "flags, owner, options or buffers are none of a socket";
        if (!why && m->length > UNIX_DATA_MAX)
                why = "it has more unread bytes than a socket holds";
        bool inside = m->length > 0 && m->length <= UNIX_INLINE_MAX;
        if (!why && (inside != m->has_data || (m->has_data && m->data.len != m->length)))
                why = "its bytes are not as long as it says";
        if (!why && m->length && (m->state == UNIX_STATE(LISTENING) || m->state == UNIX_STATE(UNCONNECTED)))
                why = "it has unread bytes and no connection";
        if (why)
                return kind_bad(&kind_sk_unix_stream, r, err, why);
        need->fds++;
        need->bytes += m->length;
        return 0;
}

/* ---- steps ---- */

/* The record of another unix stream socket in that state; `back` must be its peer unless 0. */
static const UnixMsg *other(struct restore *rs, uint64_t id, int state, uint64_t back)
{
        const struct record *r = restore_record(rs, id);

        if (!r || r->kind != KIND_SK_UNIX_STREAM)
                return NULL;
        const UnixMsg *m = msg(r);
        return (int)m->state == state && (!back || (m->has_peer && m->peer == back)) ? m : NULL;
}

static struct tape *tape_of(struct restore *rs, uint64_t id, uint32_t creator)
{
        uint64_t task = creator ? restore_task(rs, creator) : 0;

        return restore_tape(rs, task ? (struct actor){ACTOR_TASK, task} : restore_owner(rs, id));
}

/* The effective user and group for one call that keeps credentials; the real and saved ones stay, so that it can go back. */
static void become(struct tape *t, const UnixMsg *m)
{
        /* Who may not set groups has never been in a position to have others. */
        if (m->n_creator_group)
                tape_may_fail(t, TAPE(t, SYS_setgroups, A_IMM(m->n_creator_group),
                                      A_DATA(tape_data(t, m->creator_group, m->n_creator_group * sizeof(*m->creator_group)))), EPERM);
        if (m->creator_gid)
                TAPE(t, SYS_setresgid, UNCHANGED, A_IMM(m->creator_gid), UNCHANGED);
        if (m->creator_uid)
                TAPE(t, SYS_setresuid, UNCHANGED, A_IMM(m->creator_uid), UNCHANGED);
}

static void become_root(struct tape *t, const UnixMsg *m)
{
        if (m->creator_uid)
                TAPE(t, SYS_setresuid, UNCHANGED, A_IMM(0), UNCHANGED);
        if (m->creator_gid)
                TAPE(t, SYS_setresgid, UNCHANGED, A_IMM(0), UNCHANGED);
        if (m->n_creator_group)
                tape_may_fail(t, TAPE(t, SYS_setgroups, A_IMM(0), A_IMM(0)), EPERM);
}

struct address { uint32_t at, len; };

static struct address address(struct tape *t, const UnixMsg *m)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        bool path = is_path(m);

        memcpy(a.sun_path, m->name.data, m->name.len);
        uint32_t len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + m->name.len + path);
        return (struct address){tape_data(t, &a, len), len};
}

static void bind_name(struct tape *t, struct arg fd, const UnixMsg *m)
{
        if (!m->has_name)
                return;
        struct address a = address(t, m);
        if (!is_path(m)) {
                TAPE(t, SYS_bind, fd, A_DATA(a.at), A_IMM(a.len));
                return;
        }
        uint32_t path = field_tape(t, &m->name);
        tape_may_fail(t, TAPE(t, SYS_unlink, A_DATA(path)), ENOENT);
        TAPE(t, SYS_bind, fd, A_DATA(a.at), A_IMM(a.len));
        if (m->node) {
                TAPE(t, SYS_fchownat, A_IMM(AT_FDCWD), A_DATA(path), A_IMM(m->node->uid), A_IMM(m->node->gid),
                     A_IMM(AT_SYMLINK_NOFOLLOW));
                TAPE(t, SYS_chmod, A_DATA(path), A_IMM(m->node->mode));
        }
}

static uint32_t make_socket(struct tape *t, const UnixMsg *m)
{
        struct sockopts so = SOCKOPTS_OF(m);
        uint32_t e = TAPE(t, SYS_socket, A_IMM(AF_UNIX), A_IMM(SOCK_STREAM | SOCK_CLOEXEC), A_IMM(0));

        sockopts_plan(t, A_RET(e), &so, SOCKOPT_EARLY);
        return e;
}

static void settle(struct tape *t, struct arg fd, const UnixMsg *m)
{
        struct sockopts so = SOCKOPTS_OF(m);

        sockopts_plan(t, fd, &so, SOCKOPT_LATE);
        ofd_setfl(t, fd, m->flags);
}

/* The unread bytes of object id, sent by its peer. */
static int send_unread(struct restore *rs, uint64_t id, const UnixMsg *m, struct tape *t, struct arg peer, struct err *err)
{
        if (!m->length)
                return 0;
        _cleanup_free_ uint8_t *buf = malloc(m->length);
        if (!buf)
                return kind_nomem(err);
        if (m->has_data) {
                memcpy(buf, m->data.data, m->length);
        } else {
                int r = restore_bytes(rs, id, 0, buf, m->length, err);
                if (r < 0)
                        return r;
        }
        int room = (int)(2 * m->length + 65536);
        TAPE(t, SYS_setsockopt, peer, A_IMM(SOL_SOCKET), A_IMM(SO_SNDBUF), A_DATA(tape_data(t, &room, sizeof(room))),
             A_IMM(sizeof(room)));
        uint32_t e = TAPE(t, SYS_sendto, peer, A_DATA(tape_data(t, buf, m->length)), A_IMM(m->length),
                          A_IMM(MSG_DONTWAIT | MSG_NOSIGNAL), A_IMM(0), A_IMM(0));
        tape_expect(t, e, m->length);
        return 0;
}

/* ---- MAKE ---- */

static void make_plain(struct restore *rs, const struct record *r, const UnixMsg *m)
{
        struct tape *t = tape_of(rs, r->id, m->state == UNIX_STATE(LISTENING) ? m->creator : 0);

        tape_label(t, "make unix socket (sk-unix-stream %" PRIu64 ")", r->id);
        uint32_t e = make_socket(t, m);
        tape_keep_fd(t, e, r->id);
        bind_name(t, A_RET(e), m);
        if (m->state == UNIX_STATE(LISTENING)) {
                become(t, m);
                TAPE(t, SYS_listen, A_RET(e), A_IMM(m->backlog));
                become_root(t, m);
        }
        settle(t, A_RET(e), m);
}

static uint32_t socketpair_by(struct tape *t, const UnixMsg *m, uint32_t *ret_out)
{
        uint32_t out = *ret_out = tape_data(t, NULL, 8);

        become(t, m);
        uint32_t e = TAPE(t, SYS_socketpair, A_IMM(AF_UNIX), A_IMM(SOCK_STREAM | SOCK_CLOEXEC), A_IMM(0), A_DATA(out));
        become_root(t, m);
        return e;
}

static int make_pair(struct restore *rs, const struct record *r, const UnixMsg *m, struct err *err)
{
        const UnixMsg *p = other(rs, m->peer, UNIX_STATE(PAIR), r->id);
        struct sockopts a = SOCKOPTS_OF(m);
        uint32_t out;

        if (!p)
                return kind_bad(&kind_sk_unix_stream, r, err, "its other end is none of a pair with it");
        if (r->id > m->peer)
                return 0; /* made by the other one */
        struct sockopts b = SOCKOPTS_OF(p);
        struct tape *t = tape_of(rs, r->id, m->creator);
        tape_label(t, "make socketpair (sk-unix-stream %" PRIu64 ", %" PRIu64 ")", r->id, m->peer);
        uint32_t e = socketpair_by(t, m, &out);
        tape_keep_out(t, e, out, r->id);
        tape_keep_out(t, e, out + 4, m->peer);
        sockopts_plan(t, A_OUT(out), &a, SOCKOPT_EARLY);
        sockopts_plan(t, A_OUT(out + 4), &b, SOCKOPT_EARLY);
        int res = send_unread(rs, r->id, m, t, A_OUT(out + 4), err);
        if (res >= 0)
                res = send_unread(rs, m->peer, p, t, A_OUT(out), err);
        settle(t, A_OUT(out), m);
        settle(t, A_OUT(out + 4), p);
        return res;
}

/* A byte that the vanished peer had not read makes its end a reset. */
static void lose_peer(struct tape *t, struct arg own, struct arg peer, const UnixMsg *m)
{
        if (m->reset)
                tape_expect(t, TAPE(t, SYS_sendto, own, A_DATA(tape_data(t, "", 1)), A_IMM(1),
                                    A_IMM(MSG_DONTWAIT | MSG_NOSIGNAL), A_IMM(0), A_IMM(0)), 1);
        TAPE(t, SYS_close, peer);
        settle(t, own, m);
}

static int make_alone(struct restore *rs, const struct record *r, const UnixMsg *m, struct err *err)
{
        struct sockopts a = SOCKOPTS_OF(m);
        struct tape *t = tape_of(rs, r->id, m->creator);
        uint32_t out;

        tape_label(t, "make socket without its peer (sk-unix-stream %" PRIu64 ")", r->id);
        uint32_t e = socketpair_by(t, m, &out);
        tape_keep_out(t, e, out, r->id);
        sockopts_plan(t, A_OUT(out), &a, SOCKOPT_EARLY);
        int res = send_unread(rs, r->id, m, t, A_OUT(out + 4), err);
        lose_peer(t, A_OUT(out), A_OUT(out + 4), m);
        return res;
}

int unix_make(struct restore *rs, const struct record *r, struct err *err)
{
        const UnixMsg *m = msg(r);

        switch (m->state) {
        case UNIX_STATE(UNCONNECTED):
        case UNIX_STATE(LISTENING):
                make_plain(rs, r, m);
                return 0;
        case UNIX_STATE(PAIR):
                return make_pair(rs, r, m, err);
        case UNIX_STATE(ALONE):
                return m->has_listener ? 0 : make_alone(rs, r, m, err);
        case UNIX_STATE(CONNECTED):
        case UNIX_STATE(ACCEPTED):
        case UNIX_STATE(QUEUED):
        case _GANTRY__SK_UNIX_STREAM__STATE_IS_INT_SIZE:
        default:
                return 0;
        }
}

/* ---- BIND ---- */

static void lock(struct tape *t, uint64_t listener, short type)
{
        struct flock l = {.l_type = type, .l_whence = SEEK_SET};

        TAPE(t, SYS_fcntl, A_FD(listener), A_IMM(F_SETLKW), A_DATA(tape_data(t, &l, sizeof(l))));
}

struct connection { uint32_t client, accepted; };

/* `c`: what the client is (options, name); `who`: the accepted end, whose creator is the one that connects. */
static struct connection connect_accept(struct tape *t, const UnixMsg *c, const UnixMsg *who, const UnixMsg *listener, uint64_t id)
{
        struct connection x = {.client = make_socket(t, c)};

        bind_name(t, A_RET(x.client), c);
        struct address a = address(t, listener);
        lock(t, id, F_WRLCK);
        become(t, who);
        TAPE(t, SYS_connect, A_RET(x.client), A_DATA(a.at), A_IMM(a.len));
        x.accepted = TAPE(t, SYS_accept4, A_FD(id), A_IMM(0), A_IMM(0), A_IMM(SOCK_CLOEXEC));
        become_root(t, who);
        lock(t, id, F_UNLCK);
        return x;
}

static int bind_connected(struct restore *rs, const struct record *r, const UnixMsg *m, struct err *err)
{
        const UnixMsg *p = other(rs, m->peer, UNIX_STATE(ACCEPTED), r->id);
        const UnixMsg *l = other(rs, m->listener, UNIX_STATE(LISTENING), 0);

        if (!p || !l)
                return kind_bad(&kind_sk_unix_stream, r, err, "its other end or its listener is none");
        struct sockopts so = SOCKOPTS_OF(p);
        struct tape *t = tape_of(rs, r->id, p->creator);
        tape_label(t, "connect (sk-unix-stream %" PRIu64 ", %" PRIu64 ")", r->id, m->peer);
        struct connection x = connect_accept(t, m, p, l, m->listener);
        tape_keep_fd(t, x.client, r->id);
        tape_keep_fd(t, x.accepted, m->peer);
        sockopts_plan(t, A_RET(x.accepted), &so, SOCKOPT_EARLY);
        int res = send_unread(rs, r->id, m, t, A_RET(x.accepted), err);
        if (res >= 0)
                res = send_unread(rs, m->peer, p, t, A_RET(x.client), err);
        settle(t, A_RET(x.client), m);
        settle(t, A_RET(x.accepted), p);
        return res;
}

static int bind_alone(struct restore *rs, const struct record *r, const UnixMsg *m, struct err *err)
{
        static const UnixMsg nothing = GANTRY__SK_UNIX_STREAM__INIT;
        const UnixMsg *l = other(rs, m->listener, UNIX_STATE(LISTENING), 0);
        struct sockopts so = SOCKOPTS_OF(m);

        if (!l)
                return kind_bad(&kind_sk_unix_stream, r, err, "its listener is none");
        struct tape *t = tape_of(rs, r->id, m->creator);
        tape_label(t, "accept and lose the peer (sk-unix-stream %" PRIu64 ")", r->id);
        struct connection x = connect_accept(t, &nothing, m, l, m->listener);
        tape_keep_fd(t, x.accepted, r->id);
        sockopts_plan(t, A_RET(x.accepted), &so, SOCKOPT_EARLY);
        int res = send_unread(rs, r->id, m, t, A_RET(x.client), err);
        lose_peer(t, A_RET(x.accepted), A_RET(x.client), m);
        return res;
}

int unix_bind(struct restore *rs, const struct record *r, struct err *err)
{
        const UnixMsg *m = msg(r);

        if (m->state == UNIX_STATE(CONNECTED))
                return bind_connected(rs, r, m, err);
        if (m->state == UNIX_STATE(ALONE) && m->has_listener)
                return bind_alone(rs, r, m, err);
        if (m->state == UNIX_STATE(ACCEPTED) && !other(rs, m->peer, UNIX_STATE(CONNECTED), r->id))
                return kind_bad(&kind_sk_unix_stream, r, err, "its other end is none");
        return 0;
}

/* ---- HAND, ATTR ---- */

int unix_hand(struct restore *rs, const struct record *r, struct err *err)
{
        const UnixMsg *m = msg(r);

        if (m->state != UNIX_STATE(QUEUED))
                return 0;
        const UnixMsg *l = other(rs, m->listener, UNIX_STATE(LISTENING), 0);
        if (!l)
                return kind_bad(&kind_sk_unix_stream, r, err, "its listener is none");
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "wait to be accepted (sk-unix-stream %" PRIu64 ")", r->id);
        uint32_t e = make_socket(t, m);
        tape_keep_fd(t, e, r->id);
        bind_name(t, A_RET(e), m);
        struct address a = address(t, l);
        TAPE(t, SYS_connect, A_RET(e), A_DATA(a.at), A_IMM(a.len));
        settle(t, A_RET(e), m);
        return 0;
}

int unix_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const UnixMsg *m = msg(r);
        struct ofd ofd = OFD_FROM_MESSAGE(m);
        struct sockbufs buf = {m->sndbuf, m->rcvbuf, m->buflock};
        bool removed = is_path(m) && !m->node && m->state != UNIX_STATE(ACCEPTED) && m->state != UNIX_STATE(ALONE);

        (void)err;
        sockbufs_plan(rs, r->id, &buf);
        if (removed || (m->shut && m->state != UNIX_STATE(ALONE))) {
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                tape_label(t, "state of unix socket (sk-unix-stream %" PRIu64 ")", r->id);
                if (removed)
                        TAPE(t, SYS_unlink, A_DATA(field_tape(t, &m->name)));
                if (m->shut && m->state != UNIX_STATE(ALONE))
                        TAPE(t, SYS_shutdown, A_FD(r->id), A_IMM(m->shut - 1));
        }
        ofd_plan(rs, r->id, &ofd);
        return 0;
}
