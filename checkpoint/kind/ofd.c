/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Status flags and the SIGIO owner of an open file description (ofd.h).
 *
 * F_GETOWN_EX translates into the caller's pid namespace, so the holder itself is asked; from outside one sees only whether
 * there is an owner. F_SETOWN keeps the credentials of its caller for the signal's permission check: at restore these
 * are the task's before it gives up its rights, so a signal may pass that would not have. O_ASYNC comes last: it
 * registers the file and from then on every event signals.
 *
 * Not here: O_CLOEXEC, which belongs to the descriptor table; F_NOTIFY and leases, which locks refuse.
 */
#include "checkpoint/kind/ofd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#define SETTABLE ((uint32_t)(O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK))
#define KNOWN (SETTABLE | (uint32_t)(O_ACCMODE | O_SYNC | O_DSYNC | O_DIRECTORY | O_NOFOLLOW | O_NOCTTY) | OFD_LARGEFILE)

int ofd_ask(struct dump *d, const struct obj *o, struct tape *t)
{
        const struct file_facts *f = &o->facts.file;

        (void)d;
        if (f->family < 0 && !(f->flags & O_ASYNC))
                return 0;
        uint32_t out = tape_data(t, NULL, sizeof(struct f_owner_ex));
        TAPE(t, SYS_fcntl, A_IMM(f->fd), A_IMM(F_GETOWN_EX), A_DATA(out));
        TAPE(t, SYS_fcntl, A_IMM(f->fd), A_IMM(F_GETSIG));
        return 0;
}

int ofd_take(const struct kind *k, const struct obj *o, int fd, const struct tape *t, struct ofd *ret, struct err *err)
{
        struct f_owner_ex own = {};
        int sig = fd >= 0 ? fcntl(fd, F_GETSIG) : 0;

        *ret = (struct ofd){.flags = o->facts.file.flags};
        if (fd >= 0 && fcntl(fd, F_GETOWN_EX, &own) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask for a descriptor's owner", "%s", o->facts.file.link);
        if (own.pid == 0 && sig <= 0 && !(ret->flags & O_ASYNC))
                return 0;
        if (!t || tape_len(t) < 2 || tape_ret(t, 1) < 0)
                return kind_refuse(k, &o->facts, err, "a file with a signal owner (F_SETOWN, F_SETSIG)",
                                   "Stop the program that uses signal-driven I/O");
        const struct f_owner_ex *in = tape_out(t, 0);
        if (own.pid != 0 && in->pid == 0)
                return kind_refuse(k, &o->facts, err, "a file whose signals go to a process outside of the container",
                                   "Stop the program that uses signal-driven I/O");
        ret->owned = true;
        ret->owner_type = (uint32_t)in->type;
        ret->owner = (uint32_t)in->pid;
        ret->signal = (uint32_t)tape_ret(t, 1);
        return 0;
}

bool ofd_ok(const struct ofd *x)
{
        if ((x->flags & ~KNOWN) || (x->flags & O_ACCMODE) == O_ACCMODE)
                return false;
        if ((x->flags & O_ASYNC) && !x->owned)
                return false;
        return x->owner_type <= F_OWNER_PGRP && x->owner <= INT32_MAX && x->signal < _NSIG;
}

void ofd_setfl(struct tape *t, struct arg fd, uint32_t flags)
{
        uint32_t set = flags & SETTABLE & ~(uint32_t)O_ASYNC;

        if (set)
                TAPE(t, SYS_fcntl, fd, A_IMM(F_SETFL), A_IMM(set));
}

void ofd_plan(struct restore *rs, uint64_t id, const struct ofd *x)
{
        if (!x->owned)
                return;
        struct tape *t = restore_tape(rs, restore_owner(rs, id));
        struct f_owner_ex own = {.type = (enum __pid_type)x->owner_type, .pid = (pid_t)x->owner};
        tape_label(t, "signal owner of descriptor object %llu", (unsigned long long)id);
        if (x->owner) {
                uint32_t e = TAPE(t, SYS_fcntl, A_FD(id), A_IMM(F_SETOWN_EX), A_DATA(tape_data(t, &own, sizeof(own))));
                tape_may_fail(t, e, ESRCH); /* an owner that has ended was named, but gets nothing */
        }
        if (x->signal)
                TAPE(t, SYS_fcntl, A_FD(id), A_IMM(F_SETSIG), A_IMM(x->signal));
        if (x->flags & O_ASYNC)
                TAPE(t, SYS_fcntl, A_FD(id), A_IMM(F_SETFL), A_IMM(x->flags & SETTABLE));
}
