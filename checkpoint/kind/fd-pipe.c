/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pipes: ends, size, what is in them.
 *
 * Each open file description of a pipe has a record. The first one describes the pipe, and its owner makes both ends; an end
 * that nobody has is closed again. Further descriptions of an end come from an open of /proc/self/fd/N, which gives them
 * flags of their own; a tape cannot write a number into a path, so the engine opens them, as anybody in the container could
 * (pipefs never waits for the other side).
 *
 * The content is read by tee(2) into a pipe of the engine: nothing is consumed, and the packets of O_DIRECT keep their
 * bounds, because tee copies the buffer's flags. A pipe's user may have set it up to 1 MiB (pipe-max-size); more takes
 * CAP_SYS_RESOURCE and is refused. Unread bytes that no reader is left to read are dropped: they could be reached by an
 * open of /proc/PID/fd/N alone. An end outside of the container shows in poll(2), where the other side has no holder inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/ofd.h"
#include "proto/fd-pipe.pb-c.h"

#define SIZE_MAX_PIPE (1u << 20)
#define INLINE_MAX 65536u
#define PACKET_MAX 4096u
#define FLAGS_SET ((uint32_t)(O_NONBLOCK | O_DIRECT | O_APPEND))

typedef Gantry__FdPipe Msg;
typedef Gantry__FdPipe__Pipe Pipe;

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_FD_PIPE);
}

static unsigned mode_of(uint32_t flags)
{
        return flags & O_ACCMODE;
}

/* ---- dump ---- */

struct ends { uint64_t first, reader, writer; bool read, write; };

/* The first description that has one end alone; rather one that pipe2 made (open sets O_LARGEFILE) than one opened again. */
static uint64_t best_end(struct dump *d, const uint64_t *ids, size_t n, unsigned mode)
{
        uint64_t any = 0;

        for (size_t i = 0; i < n; i++) {
                uint32_t flags = dump_obj(d, ids[i])->facts.file.flags;
                if (mode_of(flags) != mode)
                        continue;
                if (!(flags & OFD_LARGEFILE))
                        return ids[i];
                if (!any)
                        any = ids[i];
        }
        return any;
}

static struct ends ends_of(struct dump *d, const struct obj *o)
{
        struct ends e = {};
        const uint64_t *ids;
        size_t n = dump_group(d, o, &ids);

        for (size_t i = 0; i < n; i++) {
                unsigned mode = mode_of(dump_obj(d, ids[i])->facts.file.flags);
                e.read |= mode != O_WRONLY;
                e.write |= mode != O_RDONLY;
        }
        e.first = n ? ids[0] : 0;
        e.reader = best_end(d, ids, n, O_RDONLY);
        e.writer = best_end(d, ids, n, O_WRONLY);
        return e;
}

static int refuse_outside(const struct obj *o, const struct ends *e, int fd, struct err *err)
{
        struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

        if (e->read && e->write)
                return 0;
        if (poll(&p, 1, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot poll a pipe", "%s", o->facts.file.link);
        if (p.revents & (POLLERR | POLLHUP))
                return 0;
        return kind_refuse(&kind_fd_pipe, &o->facts, err, "a pipe whose other end is outside of the container",
                           "Start the program with a file or its console in place of that pipe");
}

struct content { uint8_t *data; size_t len; uint32_t *packet; size_t n_packet; };

/* Everything that tee() has put into our pipe. A read ends at a packet's end. */
static int drain(int fd, size_t len, bool packets, struct content *c, struct err *err)
{
        size_t cap = 0;

        while (c->len < len) {
                ssize_t n = read(fd, c->data + c->len, len - c->len);
                if (n <= 0)
                        return err_sys(err, EX_FAIL, n < 0 ? errno : EIO, "cannot read a pipe's content", "%zu bytes", len);
                if (c->n_packet == cap) {
                        cap = cap ? cap * 2 : 64;
                        uint32_t *grown = realloc(c->packet, cap * sizeof(*grown));
                        if (!grown)
                                return kind_nomem(err);
                        c->packet = grown;
                }
                c->packet[c->n_packet++] = (uint32_t)n;
                c->len += (size_t)n;
        }
        if (c->n_packet == 1 && !packets)
                c->n_packet = 0;
        return 0;
}

static int read_content(const struct obj *o, int fd, unsigned size, bool packets, struct content *c, struct err *err)
{
        int own[2], pending = 0;

        if (ioctl(fd, FIONREAD, &pending) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a pipe for its content", "%s", o->facts.file.link);
        if (pending == 0)
                return 0;
        size_t len = (size_t)pending;
        if (pipe2(own, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot make a pipe", "%s", o->facts.file.link);
        _cleanup_close_ int in = own[0], out = own[1];
        c->data = malloc(len);
        if (!c->data)
                return kind_nomem(err);
        if (fcntl(out, F_SETPIPE_SZ, (int)size) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot size a pipe", "%u bytes", size);
        ssize_t n = tee(fd, out, len, SPLICE_F_NONBLOCK);
        if (n != (ssize_t)len)
                return err_sys(err, EX_FAIL, n < 0 ? errno : EIO, "cannot look into a pipe", "%s", o->facts.file.link);
        return drain(in, len, packets, c, err);
}

static bool mixed(const struct content *c)
{
        for (size_t i = 0; i < c->n_packet; i++)
                if (c->packet[i] > PACKET_MAX)
                        return true;
        return false;
}

static bool any_direct(struct dump *d, const struct obj *o)
{
        const uint64_t *ids;
        size_t n = dump_group(d, o, &ids);
        bool direct = false;

        for (size_t i = 0; i < n; i++)
                direct |= (dump_obj(d, ids[i])->facts.file.flags & O_DIRECT) != 0;
        return direct;
}

/* The read end to look through: ours, or one more of it, which a reader is there for already. */
static int reading_end(int fd, const struct obj *o, struct err *err)
{
        char path[40];

        if (mode_of(o->facts.file.flags) != O_WRONLY)
                return fcntl(fd, F_DUPFD_CLOEXEC, 3);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return in >= 0 ? in : err_sys(err, EX_FAIL, errno, "cannot look into a pipe", "%s", o->facts.file.link);
}

static int describe(struct dump *d, const struct obj *o, int fd, const struct ends *e, Msg *m, struct err *err)
{
        int size = fcntl(fd, F_GETPIPE_SZ);
        struct content c = {};
        int r = 0;

        if (size < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask a pipe for its size", "%s", o->facts.file.link);
        if ((unsigned)size > SIZE_MAX_PIPE)
                return kind_refuse(&kind_fd_pipe, &o->facts, err, "a pipe above 1 MiB", "Let the program use the default size");
        Pipe *p = m->described = KIND_NEW(Pipe, gantry__fd_pipe__pipe__init);
        if (!p)
                return kind_nomem(err);
        if (e->read) {
                _cleanup_close_ int in = reading_end(fd, o, err);
                r = in < 0 ? in : read_content(o, in, (unsigned)size, any_direct(d, o), &c, err);
        }
        if (r >= 0 && mixed(&c))
                r = kind_refuse(&kind_fd_pipe, &o->facts, err, "a pipe with packets among plain bytes", "Let the reader empty it");
        p->has_reader = e->reader != 0;
        p->reader = e->reader;
        p->has_writer = e->writer != 0;
        p->writer = e->writer;
        p->size = (uint32_t)size;
        p->mode = o->facts.file.st.st_mode & 07777;
        p->uid = dump_uid(d, o->facts.file.st.st_uid);
        p->gid = dump_gid(d, o->facts.file.st.st_gid);
        p->length = (uint32_t)c.len;
        p->packet = TAKE_PTR(c.packet);
        p->n_packet = c.n_packet;
        if (r >= 0 && c.len > INLINE_MAX)
                r = dump_bytes(d, o->id, 0, c.data, c.len, err);
        if (r >= 0 && c.len && c.len <= INLINE_MAX) {
                p->has_data = true;
                p->data = (ProtobufCBinaryData){.len = c.len, .data = TAKE_PTR(c.data)};
        }
        free(c.data);
        return r;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct ends e = ends_of(d, o);
        struct ofd ofd;
        int r = ofd_take(&kind_fd_pipe, o, fd, t, &ofd, err);

        if (r >= 0)
                r = refuse_outside(o, &e, fd, err);
        if (r >= 0 && !e.reader && !e.writer)
                r = kind_refuse(&kind_fd_pipe, &o->facts, err, "a pipe that is open for reading and writing alone",
                                "Stop the program that opened its own pipe again");
        if (r < 0)
                return r;
        Msg *m = KIND_NEW(Msg, gantry__fd_pipe__init);
        if (!m)
                return kind_nomem(err);
        ret->msg = &m->base;
        OFD_TO_MESSAGE(&ofd, m);
        m->pipe = e.first;
        m->has_again = o->id != e.reader && o->id != e.writer;
        m->again = e.reader ? e.reader : e.writer;
        return o->id == e.first ? describe(d, o, fd, &e, m, err) : 0;
}

/* ---- restore ---- */

static const char *bad_pipe(const Pipe *p)
{
        uint64_t sum = 0;

        if (p->size < 4096 || p->size > SIZE_MAX_PIPE || (p->size & (p->size - 1)))
                return "its size is none of a pipe";
        if (p->length > p->size || p->mode > 07777)
                return "its length or mode is none of a pipe";
        if (!p->has_reader && !p->has_writer)
                return "it has no end";
        if ((p->length > 0 && p->length <= INLINE_MAX) != p->has_data || (p->has_data && p->data.len != p->length))
                return "its bytes are not as long as it says";
        for (size_t i = 0; i < p->n_packet; i++) {
                if (p->packet[i] == 0 || p->packet[i] > PACKET_MAX)
                        return "a packet is empty or above 4 KiB";
                sum += p->packet[i];
        }
        if (p->n_packet && (sum != p->length || p->n_packet > p->size / PACKET_MAX))
                return "its packets are not its bytes";
        return NULL;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        struct ofd ofd = OFD_FROM_MESSAGE(m);
        const char *why = m->described ? bad_pipe(m->described) : NULL;

        if (!ofd_ok(&ofd))
                why = "flags or owner are not those of an open file";
        else if ((m->pipe == r->id) != (m->described != NULL))
                why = "it describes a pipe that is another's, or none";
        else if (m->has_again && m->again == r->id)
                why = "it is opened through itself";
        if (why)
                return kind_bad(&kind_fd_pipe, r, err, why);
        need->fds++;
        need->bytes += m->described ? m->described->length : 0;
        return 0;
}

/* The record of object id, if it is a description of this pipe that pipe2 makes and that has the end `mode`. */
static const Msg *made_end(struct restore *rs, uint64_t id, uint64_t pipe, unsigned mode)
{
        const struct record *r = restore_record(rs, id);

        if (!r || r->kind != KIND_FD_PIPE)
                return NULL;
        const Msg *m = (const void *)r->msg;
        return m->pipe == pipe && !m->has_again && mode_of(m->flags) == mode ? m : NULL;
}

static int fill(struct restore *rs, const struct record *r, const Pipe *p, struct tape *t, uint32_t out, struct err *err)
{
        _cleanup_free_ uint8_t *buf = malloc(p->length ? p->length : 1);
        size_t at = 0;

        if (!buf)
                return kind_nomem(err);
        if (p->has_data)
                memcpy(buf, p->data.data, p->length);
        else {
                int res = restore_bytes(rs, r->id, 0, buf, p->length, err);
                if (res < 0)
                        return res;
        }
        if (p->n_packet)
                TAPE(t, SYS_fcntl, A_OUT(out + 4), A_IMM(F_SETFL), A_IMM(O_NONBLOCK | O_DIRECT));
        uint32_t data = tape_data(t, buf, p->length);
        for (size_t i = 0; at < p->length; i++) {
                size_t n = p->n_packet ? p->packet[i] : p->length;
                uint32_t w = TAPE(t, SYS_write, A_OUT(out + 4), A_DATA(data + (uint32_t)at), A_IMM(n));
                tape_expect(t, w, (int64_t)n);
                at += n;
        }
        return 0;
}

/* The end goes to its object with its flags, or is closed. */
static void settle(struct tape *t, uint32_t e, uint32_t off, const Msg *end, uint64_t id)
{
        if (end) {
                tape_keep_out(t, e, off, id);
                TAPE(t, SYS_fcntl, A_OUT(off), A_IMM(F_SETFL), A_IMM(end->flags & FLAGS_SET));
        } else {
                TAPE(t, SYS_close, A_OUT(off));
        }
}

static int plan_make(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        const Pipe *p = m->described;

        if (!p)
                return 0;
        const Msg *reader = p->has_reader ? made_end(rs, p->reader, r->id, O_RDONLY) : NULL;
        const Msg *writer = p->has_writer ? made_end(rs, p->writer, r->id, O_WRONLY) : NULL;
        if ((p->has_reader && !reader) || (p->has_writer && !writer))
                return kind_bad(&kind_fd_pipe, r, err, "its ends are no records of this pipe");
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "make pipe (fd-pipe %" PRIu64 ")", r->id);
        uint32_t out = tape_data(t, NULL, 8);
        uint32_t e = TAPE(t, SYS_pipe2, A_DATA(out), A_IMM(O_CLOEXEC | O_NONBLOCK));
        TAPE(t, SYS_fcntl, A_OUT(out), A_IMM(F_SETPIPE_SZ), A_IMM(p->size));
        int res = p->length ? fill(rs, r, p, t, out, err) : 0;
        if (res < 0)
                return res;
        TAPE(t, SYS_fchown, A_OUT(out), A_IMM(p->uid), A_IMM(p->gid));
        TAPE(t, SYS_fchmod, A_OUT(out), A_IMM(p->mode));
        settle(t, e, out, reader, p->reader);
        settle(t, e, out + 4, writer, p->writer);
        return 0;
}

static int plan_bind(struct restore *rs, const struct record *r, struct err *err)
{
        const Msg *m = (const void *)r->msg;
        char path[40];

        if (!m->has_again)
                return 0;
        if (!made_end(rs, m->again, m->pipe, O_RDONLY) && !made_end(rs, m->again, m->pipe, O_WRONLY))
                return kind_bad(&kind_fd_pipe, r, err, "it is opened through what is no end of its pipe");
        int fd = restore_fd(rs, m->again, err);
        if (fd < 0)
                return fd;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        struct tape *t = restore_tape(rs, (struct actor){ACTOR_SELF, 0});
        tape_label(t, "open pipe again (fd-pipe %" PRIu64 ")", r->id);
        uint32_t flags = (m->flags & (FLAGS_SET | O_ACCMODE)) | O_CLOEXEC;
        uint32_t e = TAPE(t, SYS_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(flags & ~(uint32_t)O_DIRECT));
        tape_keep_fd(t, e, r->id);
        ofd_setfl(t, A_RET(e), m->flags & FLAGS_SET);
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        struct ofd ofd = OFD_FROM_MESSAGE((const Msg *)(const void *)r->msg);

        (void)err;
        ofd_plan(rs, r->id, &ofd);
        return 0;
}

const struct kind kind_fd_pipe = {
        .stem = "fd-pipe",
        .number = KIND_FD_PIPE,
        .cls = CLS_FILE,
        .msg = &gantry__fd_pipe__descriptor,
        .claim = claim,
        .ask = ofd_ask,
        .take = take,
        .check = check,
        .plan = {[PH_MAKE] = plan_make, [PH_BIND] = plan_bind, [PH_ATTR] = plan_attr},
};
