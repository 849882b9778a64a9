/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors on their way: from the task that made an object to the engine (pidfd_getfd, 5.6+), and from the engine into
 * tasks by SCM_RIGHTS over the socket that every stub inherits. A tape's pidfd_getfd would be EPERM in a user namespace.
 *
 * All tasks share the receiving end, so deliveries go to one task at a time: the message is sent, then that task's tape
 * receives it. A file that is delivered keeps its opener: nothing here opens anything.
 *
 * Whoever plays a tape alone (play_one) or many side by side (phase.c) delivers before and fetches after. Not here: which
 * descriptors a task has in the end (hand.c).
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"

/* ---- one message with one or more descriptors, received by a tape ---- */

/* The msghdr, its iovec and the control buffer are in the tape's data; cmsg data starts at control + CMSG_LEN(0). */
struct receive deliver_receive(struct tape *t, int sock, size_t n)
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
        struct receive rc = deliver_receive(in, task->sock_fd, n);
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

int play_one(struct restore *rs, struct tape *t, struct err *err)
{
        int r = deliver_needs(rs, t, err);

        if (r >= 0)
                r = executor_play(&rs->ptrace, &t, 1, err);
        if (r >= 0)
                r = collect_keeps(rs, t, err);
        tape_free(t);
        return r;
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
