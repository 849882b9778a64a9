/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets to compare with: one of each family, type and protocol, made in the container's network namespace and never used.
 *
 * What a new socket begins with is for the settings of its namespace to say (congestion control, keepalive times, hop limit …).
 * Compared with one of the node's, a value that the program has chosen could pass for the default, and come back as the
 * container's.
 */
#include <sched.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/sys.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

static int make(void *ctx, struct err *err)
{
        struct fresh_socket *x = ctx;

        x->fd = sys_socket(x->family, x->type, x->protocol);
        return x->fd < 0 ? err_sys(err, EX_FAIL, x->fd, "cannot make a socket to compare with", "family %d, type %d", x->family, x->type) : 0;
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
        struct fresh_socket made = { f->family, f->type, f->protocol, -1 };
        int netns = -1;   /* the node's own */
        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_NET && !d->ns[i].external)
                        netns = d->ns[i].fd;
        int r = dump_within(netns, CLONE_NEWNET, make, &made, err);
        if (r < 0) {
                fd_close(made.fd);
                return r;
        }
        d->fresh_socket[d->n_fresh_socket++] = made;
        return made.fd;
}
