/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets to compare with: one of each family, type and protocol, made in the container's network namespace and never used.
 *
 * What a new socket begins with is for the settings of its namespace to say (congestion control, keepalive times, hop limit …).
 * Compared with one of the node's, a value that the program has chosen could pass for the default, and come back as the
 * container's.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/dump-int.h"

/* In the container's namespace, from which this thread comes back; where that is the node's own it stays. */
static int socket_there(const struct dump *d, const struct file_facts *f, struct err *err)
{
        int netns = -1;

        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_NET && !d->ns[i].external)
                        netns = d->ns[i].fd;
        if (netns < 0)
                return sys_socket(f->family, f->type, f->protocol);
        _cleanup_close_ int own = path_open(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY, 0, err);
        if (own < 0)
                return own;
        int r = sys_setns(netns, CLONE_NEWNET);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter the container's network namespace", "%s", "");
        int fd = sys_socket(f->family, f->type, f->protocol);
        int q = sys_setns(own, CLONE_NEWNET);
        for (int i = 0; q < 0 && i < 3; i++)   /* staying there would be worse than anything else */
                q = setns(own, CLONE_NEWNET) < 0 ? q : 0;
        if (q < 0) {
                fd_close(fd);
                return err_sys(err, EX_FAIL, q, "cannot leave the container's network namespace", "%s", "");
        }
        return fd;
}

int dump_fresh_socket(struct dump *d, const struct obj *o, struct err *err)
{
        const struct file_facts *f = &o->facts.file;

        for (size_t i = 0; i < d->n_fresh_socket; i++) {
                const struct fresh_socket *x = &d->fresh_socket[i];
                if (x->family == f->family && x->type == f->type && x->protocol == f->protocol)
                        return x->fd;
        }
        if (d->n_fresh_socket == ELEMENTSOF(d->fresh_socket))
                return err_set(err, EX_FAIL, "cannot make a socket to compare with", "there are too many types of them", "%s", f->link);
        int fd = socket_there(d, f, err);
        if (fd < 0)
                return err_is_set(err) ? fd : err_sys(err, EX_FAIL, fd, "cannot make a socket to compare with", "%s", f->link);
        d->fresh_socket[d->n_fresh_socket++] = (struct fresh_socket){ f->family, f->type, f->protocol, fd };
        return fd;
}
