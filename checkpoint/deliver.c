/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors on their way: from the task that made an object to the engine (pidfd_getfd, 5.6+), and from the engine into
 * tasks by SCM_RIGHTS over the socket that every stub inherits. A tape's pidfd_getfd would be EPERM in a user namespace.
 *
 * All tasks share the receiving end, so deliveries go to one task at a time: the message is sent, then that task's tape
 * receives it. A file that is delivered keeps its opener: nothing here opens anything.
 *
 * hand_tables() builds final tables. A receive takes the lowest free number, and entries come in ascending order, so the number
 * that each one arrives at is known beforehand: either its own, or a hole below it from where it is moved by dup3.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/restore-int.h"
#include "proto/task-files.pb-c.h"

/* ---- objects ---- */

static size_t object_at(const struct restore *rs, uint64_t id)
{
        size_t lo = 0, hi = rs->n_object;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (rs->object[mid].id < id)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

int object_fd(const struct restore *rs, uint64_t id)
{
        size_t at = object_at(rs, id);

        return at < rs->n_object && rs->object[at].id == id ? rs->object[at].fd : -1;
}

int object_put(struct restore *rs, uint64_t id, int fd, struct err *err)
{
        size_t at = object_at(rs, id);

        if (at < rs->n_object && rs->object[at].id == id) {
                fd_close(rs->object[at].fd);
                rs->object[at].fd = fd;
                return 0;
        }
        struct restore_object *grown = realloc(rs->object, (rs->n_object + 1) * sizeof(*grown));
        if (!grown) {
                fd_close(fd);
                return kind_nomem(err);
        }
        rs->object = grown;
        memmove(grown + at + 1, grown + at, (rs->n_object - at) * sizeof(*grown));
        grown[at] = (struct restore_object){ id, fd };
        rs->n_object++;
        return 0;
}

/* ---- one message with one or more descriptors, received by a tape ---- */

struct receive { uint32_t entry, control; size_t n; };

/* The msghdr, its iovec and the control buffer are in the tape's data; cmsg data starts at control + CMSG_LEN(0). */
static struct receive tape_receive(struct tape *t, int sock, size_t n)
{
        struct msghdr m = { .msg_iovlen = 1, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
        struct iovec iov = { .iov_len = 1 };
        uint32_t byte = tape_data(t, NULL, 1);
        uint32_t vec = tape_data(t, &iov, sizeof(iov));
        uint32_t control = tape_data(t, NULL, CMSG_SPACE(n * sizeof(int)));
        uint32_t head = tape_data(t, &m, sizeof(m));

        tape_reloc(t, vec + (uint32_t)offsetof(struct iovec, iov_base), 8, A_DATA(byte));
        tape_reloc(t, head + (uint32_t)offsetof(struct msghdr, msg_iov), 8, A_DATA(vec));
        tape_reloc(t, head + (uint32_t)offsetof(struct msghdr, msg_control), 8, A_DATA(control));
        uint32_t e = TAPE(t, SYS_recvmsg, A_IMM(sock), A_DATA(head), A_IMM(MSG_DONTWAIT));
        tape_expect(t, e, 1);
        return (struct receive){ e, control, n };
}

static int received(const struct tape *t, const struct receive *r, size_t i)
{
        int fd = -1;
        const uint8_t *p = tape_out(t, r->control);

        memcpy(&fd, p + CMSG_LEN(0) + i * sizeof(int), sizeof(fd));
        return fd;
}

static int temp_add(struct restore_task *t, int fd, struct err *err)
{
        int *grown = realloc(t->temp, (t->n_temp + 1) * sizeof(*grown));

        if (!grown)
                return kind_nomem(err);
        t->temp = grown;
        grown[t->n_temp++] = fd;
        return 0;
}

static struct restore_task *task_of_actor(struct restore *rs, struct actor a)
{
        if (a.type == ACTOR_NS)
                return &rs->task[0];
        if (a.type == ACTOR_TASK)
                return restore_task_find(rs, a.id);
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = 0; k < rs->task[i].n_thread; k++)
                        if (rs->task[i].thread[k].id == a.id)
                                return &rs->task[i];
        return NULL;
}

static int deliver_batch(struct restore *rs, struct restore_task *task, struct tape *t, const uint64_t *ids, size_t n,
                         struct err *err)
{
        int fds[FD_PASS_MAX];

        for (size_t i = 0; i < n; i++) {
                fds[i] = restore_fd(rs, ids[i], err);
                if (fds[i] < 0)
                        return fds[i];
        }
        int r = fd_send(rs->s.sock, "f", 1, fds, n, err);
        if (r < 0)
                return r;
        struct tape *in = tape_new((struct actor){ ACTOR_TASK, task->id });
        if (!in)
                return kind_nomem(err);
        tape_label(in, "receive descriptors");
        struct receive rc = tape_receive(in, task->sock_fd, n);
        r = executor_play(&rs->ptrace, &in, 1, err);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                int fd = received(in, &rc, i);
                tape_set_fd(t, ids[i], fd);
                r = temp_add(task, fd, err);
        }
        tape_free(in);
        return r;
}

int deliver_needs(struct restore *rs, struct tape *t, struct err *err)
{
        const uint64_t *ids = NULL;
        size_t n = tape_needs(t, &ids);
        struct restore_task *task = task_of_actor(rs, tape_actor(t));

        if (tape_actor(t).type == ACTOR_SELF) {
                for (size_t i = 0; i < n; i++) {
                        int fd = restore_fd(rs, ids[i], err);
                        if (fd < 0)
                                return fd;
                        tape_set_fd(t, ids[i], fd);
                }
                return 0;
        }
        for (size_t i = 0; i < n; i += 64) {
                int r = deliver_batch(rs, task, t, ids + i, n - i < 64 ? n - i : 64, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int collect_keeps(struct restore *rs, struct tape *t, struct err *err)
{
        const struct tape_fd *keep = NULL;
        size_t n = tape_keeps(t, &keep);
        struct restore_task *task = task_of_actor(rs, tape_actor(t));

        for (size_t i = 0; i < n; i++) {
                if (keep[i].fd < 0)
                        continue;
                if (tape_actor(t).type == ACTOR_SELF) {
                        int r = object_put(rs, keep[i].object, keep[i].fd, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                int fd = sys_pidfd_getfd(task->pidfd, keep[i].fd);
                if (fd < 0)
                        return err_sys(err, EX_FAIL, fd, "cannot fetch a descriptor", "object %llu", (unsigned long long)keep[i].object);
                int r = object_put(rs, keep[i].object, fd, err);
                if (r >= 0)
                        r = temp_add(task, keep[i].fd, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int deliver_cleanup(struct restore *rs, struct err *err)
{
        _cleanup_free_ struct tape **list = calloc(rs->n_task, sizeof(*list));
        size_t n = 0;

        if (!list)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                if (t->n_temp == 0)
                        continue;
                struct tape *out = tape_new((struct actor){ ACTOR_TASK, t->id });
                if (!out)
                        return kind_nomem(err);
                tape_label(out, "close what the phase left");
                for (size_t k = 0; k < t->n_temp; k++)
                        TAPE(out, SYS_close, A_IMM(t->temp[k]));
                t->n_temp = 0;
                list[n++] = out;
        }
        int r = n ? executor_play(&rs->ptrace, list, n, err) : 0;
        for (size_t i = 0; i < n; i++)
                tape_free(list[i]);
        return r;
}

/* ---- HAND ---- */

/* A number for the delivery socket that no entry uses. */
static int free_number(const Gantry__TaskFiles *m, int limit, struct err *err)
{
        for (int n = limit - 1; n >= 0; n--) {
                bool used = false;
                for (size_t i = 0; i < m->n_entry && !used; i++)
                        used = m->entry[i]->fd == (uint32_t)n;
                if (!used)
                        return n;
        }
        return err_set(err, EX_NOSPC, "cannot restore a descriptor table", "it is full to the last number", "limit %d", limit);
}

static int clear_table(struct restore *rs, struct restore_task *t, int sock, struct err *err)
{
        struct tape *tape = tape_new((struct actor){ ACTOR_TASK, t->id });

        if (!tape)
                return kind_nomem(err);
        tape_label(tape, "clear the descriptor table");
        if (sock != t->sock_fd)
                TAPE(tape, SYS_dup3, A_IMM(t->sock_fd), A_IMM(sock), A_IMM(O_CLOEXEC));
        if (sock > 0)
                TAPE(tape, SYS_close_range, A_IMM(0), A_IMM(sock - 1), A_IMM(0));
        TAPE(tape, SYS_close_range, A_IMM(sock + 1), A_IMM(~0u), A_IMM(0));
        t->sock_fd = sock;
        return play_one(rs, tape, err);
}

struct want { uint32_t fd; bool cloexec; uint64_t file; };

static int by_number(const void *a, const void *b)
{
        const struct want *x = a, *y = b;

        return x->fd < y->fd ? -1 : x->fd > y->fd;
}

/* One batch: the messages lie in the socket before the tape runs. `arrive` is the lowest free number. */
static int hand_batch(struct restore *rs, struct restore_task *t, const struct want *w, size_t n, uint32_t *low, struct err *err)
{
        struct tape *tape = tape_new((struct actor){ ACTOR_TASK, t->id });

        if (!tape)
                return kind_nomem(err);
        tape_label(tape, "hand over the descriptor table");
        for (size_t i = 0; i < n; i++) {
                int fd = restore_fd(rs, w[i].file, err);
                int r = fd < 0 ? fd : fd_send(rs->s.sock, "f", 1, &fd, 1, err);
                if (r < 0) {
                        tape_free(tape);
                        return r;
                }
                (void)tape_receive(tape, t->sock_fd, 1);
                uint32_t at = *low == (uint32_t)t->sock_fd ? *low + 1 : *low;
                if (at != w[i].fd) {
                        uint32_t e = TAPE(tape, SYS_dup3, A_IMM(at), A_IMM(w[i].fd), A_IMM(w[i].cloexec ? O_CLOEXEC : 0));
                        tape_expect(tape, e, w[i].fd);
                        TAPE(tape, SYS_close, A_IMM(at));
                        *low = at;
                        continue;
                }
                TAPE(tape, SYS_fcntl, A_IMM(at), A_IMM(F_SETFD), A_IMM(w[i].cloexec ? FD_CLOEXEC : 0));
                *low = at + 1;
        }
        return play_one(rs, tape, err);
}

static int hand_one(struct restore *rs, struct restore_task *t, const Gantry__TaskFiles *m, struct err *err)
{
        struct rlimit lim;

        if (prlimit(t->pid, RLIMIT_NOFILE, NULL, &lim) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot read a descriptor limit", "process %u", t->vpid);
        int sock = free_number(m, (int)(lim.rlim_cur < 1048576 ? lim.rlim_cur : 1048576), err);
        int r = sock < 0 ? sock : clear_table(rs, t, sock, err);
        if (r < 0)
                return r;
        _cleanup_free_ struct want *w = calloc(m->n_entry ? m->n_entry : 1, sizeof(*w));
        if (!w)
                return kind_nomem(err);
        for (size_t i = 0; i < m->n_entry; i++)
                w[i] = (struct want){ m->entry[i]->fd, m->entry[i]->cloexec, m->entry[i]->file };
        qsort(w, m->n_entry, sizeof(*w), by_number);
        uint32_t low = 0;
        for (size_t i = 0; r >= 0 && i < m->n_entry; i += 32)
                r = hand_batch(rs, t, w + i, m->n_entry - i < 32 ? m->n_entry - i : 32, &low, err);
        return r;
}

int hand_tables(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_task; i++) {
                const struct record *rec = restore_record(rs, rs->task[i].files);
                if (!rec || rec->msg->descriptor != &gantry__task_files__descriptor)
                        return err_set(err, EX_IMAGE, "cannot restore a descriptor table", "it has no record", "process %u", rs->task[i].vpid);
                int r = hand_one(rs, &rs->task[i], (const Gantry__TaskFiles *)(const void *)rec->msg, err);
                if (r < 0)
                        return r;
        }
        return 0;
}
