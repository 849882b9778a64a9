/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HAND: final descriptor tables.
 *
 * A receive takes the lowest free number, and entries come in ascending order, so the number that each one arrives at is known
 * beforehand: either its own, or a hole below it from where it is moved by dup3. The delivery socket itself moves to a number that
 * no entry uses.
 *
 * Not here: how a descriptor travels (deliver.c), and who makes what it stands for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"
#include "proto/task-files.pb-c.h"

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
                (void)deliver_receive(tape, t->sock_fd, 1);
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
