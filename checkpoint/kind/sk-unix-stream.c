/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix stream sockets, dump side: listeners, pairs, connections, ends whose peer has gone. The restore side is in unix-plan.c.
 *
 * sock_diag(7) tells the peer's inode, which is 0 both for a peer that was closed (then both directions are shut down) and
 * for one that waits in a listener's accept queue, which lists the waiting clients. SIOCUNIXFILE opens the file that a
 * name was bound to, so that a removed or replaced one is known. Unread bytes are peeked with SO_PEEK_OFF, because a
 * plain peek stops where the sender's credentials change.
 *
 * Credentials of a peer are those of the process that called socketpair(), listen() or connect(): SO_PEERCRED is asked by
 * tape, in the container's numbers, and the call is made again by that process if it still lives, with that effective
 * user and group and those supplementary groups (SO_PEERGROUPS). Unread bytes are sent again by who holds the other end, as root: where the
 * receiver is told who sent them (SO_PASSCRED) and that was somebody else, they are refused.
 *
 * Refused by name: peers outside, descriptors in flight, urgent bytes, unread bytes above 256 KiB, a connection through
 * a listener that is gone, a replaced or relative path, a waiting client that has already sent something.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/sk-unix.h"
#include "proto/sk-unix-stream.pb-c.h"

typedef Gantry__SkUnixStream UnixMsg;

#define SO_PASSPIDFD_ 76 /* 6.5 */
#define SIOCUNIXFILE_ (SIOCPROTOPRIVATE + 0)
#define STATE_ESTABLISHED 1
#define STATE_LISTEN 10

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_SK_UNIX_STREAM);
}

static int refuse_as(const struct obj *o, struct err *err, const char *what, const char *remedy)
{
        return kind_refuse(&kind_sk_unix_stream, &o->facts, err, what, remedy);
}

/* Behind ofd_ask's two entries (owner at 0): the credentials at 16, their length at 32, the groups at 48, their length behind them. */
#define ASK_CRED 2
#define ASK_GROUPS 3
#define AT_CRED 16
#define AT_GROUPS 48
#define AT_GROUPS_LEN (AT_GROUPS + UNIX_GROUPS_MAX * (uint32_t)sizeof(uint32_t))
static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        int r = ofd_ask(d, o, t);
        socklen_t n = sizeof(struct ucred);
        uint32_t cred = tape_data(t, NULL, sizeof(struct ucred)), len = tape_data(t, &n, sizeof(n));

        tape_may_fail(t, TAPE(t, SYS_getsockopt, A_IMM(o->facts.file.fd), A_IMM(SOL_SOCKET), A_IMM(SO_PEERCRED), A_DATA(cred),
                              A_DATA(len)), 0);
        n = UNIX_GROUPS_MAX * sizeof(uint32_t);
        uint32_t groups = tape_data(t, NULL, n), groups_len = tape_data(t, &n, sizeof(n));
        tape_may_fail(t, TAPE(t, SYS_getsockopt, A_IMM(o->facts.file.fd), A_IMM(SOL_SOCKET), A_IMM(SO_PEERGROUPS), A_DATA(groups),
                              A_DATA(groups_len)), 0);
        return r;
}

/* ---- names ---- */

struct name { struct sockaddr_un a; size_t n; };   /* n: bytes of sun_path, without a path's NUL */

static int own_name(int fd, bool peer, struct name *ret, struct err *err)
{
        socklen_t len = sizeof(ret->a);

        *ret = (struct name){};
        if ((peer ? getpeername(fd, (struct sockaddr *)&ret->a, &len) : getsockname(fd, (struct sockaddr *)&ret->a, &len)) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a socket for its name", "descriptor %d", fd);
        size_t n = len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;
        if (n > sizeof(ret->a.sun_path))
                n = sizeof(ret->a.sun_path);
        ret->n = n && ret->a.sun_path[0] ? strnlen(ret->a.sun_path, n) : n;
        return 0;
}

static bool same_name(const struct name *x, const struct unix_diag *u)
{
        size_t n = u->name_len;

        if (n && u->name[0])
                n = strnlen(u->name, n);
        return x->n && n == x->n && memcmp(x->a.sun_path, u->name, n) == 0;
}

/* The listener of that name, or the one in whose accept queue socket `ino` waits. */
static uint64_t find_listener(struct dump *d, const struct name *name, uint32_t ino)
{
        const struct obj *x;

        for (uint64_t id = 1; (x = dump_obj(d, id)); id++) {
                const struct file_facts *f = &x->facts.file;
                if (x->cls != CLS_FILE || f->family != AF_UNIX || !f->ux || f->ux->state != STATE_LISTEN)
                        continue;
                if (name && f->type == SOCK_STREAM && same_name(name, f->ux))
                        return id;
                for (uint32_t i = 0; !name && i < f->ux->n_icons; i++)
                        if (f->ux->icons[i] == ino)
                                return id;
        }
        return 0;
}

/* The file of a path name: *ret_mode 0 where it has been removed. */
static int look_at_node(struct dump *d, const struct obj *o, int fd, const struct name *name, struct stat *ret, struct err *err)
{
        struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
        char path[UNIX_PATH_LEN + 1] = "";
        struct stat bound, there;

        memcpy(path, name->a.sun_path, name->n);
        *ret = (struct stat){};
        if (path[0] != '/')
                return refuse_as(o, err, "a socket with a relative path", "Let the program name its socket by an absolute path");
        _cleanup_close_ int file = ioctl(fd, SIOCUNIXFILE_);
        int root = dump_root(d, o, err);
        if (root < 0)
                return root;
        _cleanup_close_ int now = sys_openat2(root, path, &how);
        if (now == -ENOENT || now == -ENOTDIR)
                return 0;
        if (now < 0)
                return err_sys(err, EX_FAIL, now, "cannot look at a socket's file", "%s", path);
        if (file < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a socket for its file", "%s", path);
        if (fstat(file, &bound) < 0 || fstat(now, &there) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot look at a socket's file", "%s", path);
        if (bound.st_dev != there.st_dev || bound.st_ino != there.st_ino)
                return refuse_as(o, err, "a socket whose file was replaced", "Restart the program that listens on it");
        *ret = bound;
        return 0;
}

static int take_name(struct dump *d, const struct obj *o, int fd, UnixMsg *m, struct err *err)
{
        struct name name;
        struct stat st = {};
        int r = own_name(fd, false, &name, err);

        if (r < 0 || !name.n)
                return r;
        m->has_name = true;
        r = field_set(&m->name, name.a.sun_path, name.n, err);
        /* An accepted socket has its listener's name, and no file of its own. */
        if (r < 0 || !name.a.sun_path[0] || m->state == UNIX_STATE(ACCEPTED) || m->state == UNIX_STATE(ALONE))
                return r;
        r = look_at_node(d, o, fd, &name, &st, err);
        if (r < 0 || !st.st_mode)
                return r;
        m->node = KIND_NEW(Gantry__SkUnixStream__Node, gantry__sk_unix_stream__node__init);
        if (!m->node)
                return kind_nomem(err);
        m->node->mode = st.st_mode & 07777;
        m->node->uid = dump_uid(d, st.st_uid);
        m->node->gid = dump_gid(d, st.st_gid);
        return 0;
}

/* ---- what it is connected to ---- */

static int is_accepted(struct dump *d, const struct obj *o, uint64_t *ret, struct err *err)
{
        const struct unix_diag *u = o->facts.file.ux;
        struct name name = {.n = u->name_len};

        *ret = 0;
        if (!u->name_len)
                return 0;
        if (u->name_len > sizeof(name.a.sun_path))
                return err_set(err, EX_FAIL, "cannot read a socket's name", "it is too long", "%s", o->facts.file.link);
        memcpy(name.a.sun_path, u->name, u->name_len);
        if (u->name[0])
                name.n = strnlen(u->name, u->name_len);
        *ret = find_listener(d, &name, 0);
        return 0;
}

static int take_peer(struct dump *d, const struct obj *o, UnixMsg *m, struct err *err)
{
        const struct unix_diag *u = o->facts.file.ux;
        uint64_t ino = u->peer_ino, mine = 0, other = 0;
        struct err lost = {};

        if (dump_id(d, CLS_FILE, &ino, sizeof(ino), &m->peer, &lost) < 0)
                return refuse_as(o, err, "a socket whose other end is outside of the container",
                                 "Stop the program, or the one outside that it talks to");
        const struct obj *peer = dump_obj(d, m->peer);
        m->has_peer = true;
        int r = is_accepted(d, o, &mine, err);
        if (r >= 0 && peer->facts.file.ux)
                r = is_accepted(d, peer, &other, err);
        if (r < 0)
                return r;
        if (mine) {
                m->state = UNIX_STATE(ACCEPTED);
        } else if (other) {
                m->state = UNIX_STATE(CONNECTED);
                m->has_listener = true;
                m->listener = other;
        } else if (u->name_len) {
                return refuse_as(o, err, "a connection through a listener that is gone", "Restart the program that has accepted it");
        } else {
                m->state = UNIX_STATE(PAIR);
        }
        return 0;
}

static int take_unpeered(struct dump *d, const struct obj *o, int fd, UnixMsg *m, struct err *err)
{
        const struct file_facts *f = &o->facts.file;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int unsent = 0;

        m->listener = find_listener(d, NULL, (uint32_t)f->st.st_ino);
        if (m->listener) {
                m->has_listener = true;
                m->state = UNIX_STATE(QUEUED);
                if (ioctl(fd, SIOCOUTQ, &unsent) < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot ask a socket for its queue", "%s", f->link);
                if (unsent)
                        return refuse_as(o, err, "a connection that waits to be accepted and has sent bytes already",
                                         "Let the server accept it, then try again");
                return 0;
        }
        if (f->ux->shutdown != 3)
                return refuse_as(o, err, "a socket whose other end is outside of the container",
                                 "Stop the program, or the one outside that it talks to");
        m->state = UNIX_STATE(ALONE);
        int r = is_accepted(d, o, &m->listener, err);
        if (r < 0)
                return r;
        m->has_listener = m->listener != 0;
        if (f->ux->name_len && !m->has_listener)
                return refuse_as(o, err, "a connection through a listener that is gone", "Restart the program that has accepted it");
        if (poll(&p, 1, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot poll a socket", "%s", f->link);
        m->reset = (p.revents & POLLERR) != 0;
        return 0;
}

static int take_state(struct dump *d, const struct obj *o, int fd, UnixMsg *m, struct err *err)
{
        const struct unix_diag *u = o->facts.file.ux;

        if (!u || !u->known)
                return err_set(err, EX_KERNEL, "cannot checkpoint a unix socket", "sock_diag does not show it", "%s",
                               o->facts.file.link);
        m->shut = u->shutdown & 3;
        switch (u->state) {
        case STATE_LISTEN:
                m->state = UNIX_STATE(LISTENING);
                m->backlog = u->wqueue;
                return 0;
        case STATE_ESTABLISHED:
                return u->peer_ino ? take_peer(d, o, m, err) : take_unpeered(d, o, fd, m, err);
        default:
                m->state = UNIX_STATE(UNCONNECTED);
                return 0;
        }
}

/* ---- unread bytes ---- */

/* Who sent them, where the receiver is told; in our own numbers. */
struct sender { bool told, several; struct ucred is; };

static ssize_t peek_some(int fd, uint8_t *buf, size_t len, struct sender *who)
{
        union { struct cmsghdr h; uint8_t bytes[CMSG_SPACE(sizeof(struct ucred)) + 256]; } control;
        struct iovec v = {.iov_base = buf, .iov_len = len};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct ucred c;

        for (struct cmsghdr *h = got > 0 ? CMSG_FIRSTHDR(&m) : NULL; h; h = CMSG_NXTHDR(&m, h)) {
                if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_CREDENTIALS || h->cmsg_len < CMSG_LEN(sizeof(c)))
                        continue;
                memcpy(&c, CMSG_DATA(h), sizeof(c));
                who->several |= who->told && (c.pid != who->is.pid || c.uid != who->is.uid || c.gid != who->is.gid);
                who->told = true;
                who->is = c;
        }
        return got;
}

static int peek_all(int fd, uint8_t *buf, size_t len, struct sender *who, struct err *err)
{
        int old = -1, zero = 0;
        socklen_t n = sizeof(old);
        size_t at = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &old, &n) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot peek into a socket", "descriptor %d", fd);
        int e = 0;
        while (at < len && !e) {
                ssize_t got = peek_some(fd, buf + at, len - at, who);
                if (got <= 0)
                        e = got < 0 ? errno : EIO;
                else
                        at += (size_t)got;
        }
        if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &old, sizeof(old)) < 0 && !e)
                e = errno;
        return e ? err_sys(err, EX_FAIL, e, "cannot peek into a socket", "%zu of %zu bytes", at, len) : 0;
}

/* Root's process that holds the other end sends them again. */
static bool sent_as_again(struct dump *d, const UnixMsg *m, const struct sender *who)
{
        const struct obj *peer = m->has_peer ? dump_obj(d, m->peer) : NULL;
        struct proc_stat st;

        return !who->several && peer && proc_stat_read(peer->procfd, &st, NULL) >= 0 && st.pid == who->is.pid && dump_uid(d, who->is.uid) == 0 &&
               dump_gid(d, who->is.gid) == 0;
}

static int take_data(struct dump *d, const struct obj *o, int fd, UnixMsg *m, struct err *err)
{
        int pending = 0;
        uint8_t byte;

        if (m->state == UNIX_STATE(LISTENING) || m->state == UNIX_STATE(UNCONNECTED))
                return 0;
        if (kind_has_property(&o->facts, KIND_FILE_SCM))
                return refuse_as(o, err, "descriptors in flight in its queue", "Let the program receive them");
        if (recv(fd, &byte, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) > 0)
                return refuse_as(o, err, "an urgent byte in its queue", "Let the program receive it");
        if (ioctl(fd, FIONREAD, &pending) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a socket for its queue", "%s", o->facts.file.link);
        if ((unsigned)pending > UNIX_DATA_MAX)
                return refuse_as(o, err, "more than 256 KiB of unread bytes in a unix socket", "Let the reader catch up");
        if (!pending)
                return 0;
        int pidfds = 0;
        socklen_t n = sizeof(pidfds);
        if (getsockopt(fd, SOL_SOCKET, SO_PASSPIDFD_, &pidfds, &n) == 0 && pidfds)   /* a look would make one here */
                return refuse_as(o, err, "unread bytes that come with a pidfd (SO_PASSPIDFD)", "Let the program receive them");
        _cleanup_free_ uint8_t *buf = malloc((size_t)pending);
        if (!buf)
                return kind_nomem(err);
        struct sender who = {};
        int r = peek_all(fd, buf, (size_t)pending, &who, err);
        if (r < 0)
                return r;
        if (who.told && !sent_as_again(d, m, &who))
                return refuse_as(o, err, "unread bytes whose sender it will be told (SO_PASSCRED)", "Let the program receive them");
        m->length = (uint32_t)pending;
        if (m->length > UNIX_INLINE_MAX)
                return dump_bytes(d, o->id, 0, buf, m->length, err);
        m->has_data = true;
        m->data = (ProtobufCBinaryData){.len = m->length, .data = TAKE_PTR(buf)};
        return 0;
}

static int take_groups(const struct obj *o, const struct tape *t, UnixMsg *m, struct err *err)
{
        socklen_t len;

        if (tape_ret(t, ASK_GROUPS) == -ERANGE)
                return refuse_as(o, err, "a unix socket whose peer has more than 64 groups", "Stop the program that it talks to");
        if (tape_ret(t, ASK_GROUPS) == -ENODATA)   /* it has no peer yet */
                return 0;
        if (tape_ret(t, ASK_GROUPS) != 0)
                return err_sys(err, EX_FAIL, (int)tape_ret(t, ASK_GROUPS), "cannot ask for the groups of a socket's peer", "%s", o->facts.file.link);
        memcpy(&len, tape_out(t, AT_GROUPS_LEN), sizeof(len));
        m->n_creator_group = len / sizeof(uint32_t);
        if (m->n_creator_group > UNIX_GROUPS_MAX)
                return err_set(err, EX_FAIL, "cannot read a socket's groups", "there are more than asked for", "%s", o->facts.file.link);
        m->creator_group = kind_memdup(tape_out(t, AT_GROUPS), len);
        return m->creator_group ? 0 : kind_nomem(err);
}

static int take_creator(const struct obj *o, const struct tape *t, UnixMsg *m, struct err *err)
{
        struct ucred c;

        if (!t || tape_len(t) <= ASK_GROUPS || tape_ret(t, ASK_CRED) != 0)
                return 0;
        memcpy(&c, tape_out(t, AT_CRED), sizeof(c));
        m->creator = c.pid > 0 ? (uint32_t)c.pid : 0;
        /* An unset uid is what a socket without peer tells. */
        m->creator_uid = c.uid == UINT32_MAX ? 0 : c.uid;
        m->creator_gid = c.gid == UINT32_MAX ? 0 : c.gid;
        return take_groups(o, t, m, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct ofd ofd;
        struct sockopts so = {};
        struct sockbufs buf = {};
        int r = ofd_take(&kind_sk_unix_stream, o, fd, t, &ofd, err);

        if (r >= 0)
                r = sockbufs_take(fd, &buf, err);
        if (r >= 0)
                r = sockopts_take(&kind_sk_unix_stream, d, o, fd, &so, err);
        if (r < 0)
                return r;
        UnixMsg *m = KIND_NEW(UnixMsg, gantry__sk_unix_stream__init);
        if (!m) {
                sockopts_done(&so);
                return kind_nomem(err);
        }
        ret->msg = &m->base;
        OFD_TO_MESSAGE(&ofd, m);
        m->option = so.option;
        m->value = so.value;
        m->n_option = m->n_value = so.n;
        m->sndbuf = buf.snd;
        m->rcvbuf = buf.rcv;
        m->buflock = buf.lock;
        r = take_creator(o, t, m, err);
        if (r >= 0)
                r = take_state(d, o, fd, m, err);
        if (r >= 0)
                r = take_name(d, o, fd, m, err);
        return r < 0 ? r : take_data(d, o, fd, m, err);
}

const struct kind kind_sk_unix_stream = {
        .stem = "sk-unix-stream",
        .number = KIND_SK_UNIX_STREAM,
        .cls = CLS_FILE,
        .msg = &gantry__sk_unix_stream__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = unix_check,
        .plan = {[PH_MAKE] = unix_make, [PH_BIND] = unix_bind, [PH_HAND] = unix_hand, [PH_ATTR] = unix_attr},
};
