/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call of ours in a namespace of the container, and back. A socket belongs to the network namespace in which it was made,
 * whoever uses it then, and what is mounted of message queues is the mounter's ipc namespace: no other way leads there. The engine has
 * one thread that does so (session.h).
 *
 * Not here: rtnetlink through libnl (base/netlink.c), and mount namespaces, which a thread enters for good (beneath.c).
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/collect.h"

int dump_within(int ns, int type, int (*call)(void *ctx, struct err *err), void *ctx, struct err *err)
{
        bool net = type == CLONE_NEWNET;

        if (ns < 0)
                return call(ctx, err);
        _cleanup_close_ int own = path_open(AT_FDCWD, net ? "/proc/thread-self/ns/net" : "/proc/thread-self/ns/ipc", O_RDONLY, 0, err);
        if (own < 0)
                return own;
        int r = sys_setns(ns, type);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter the container's namespace", "%s", net ? "net" : "ipc");
        r = call(ctx, err);
        int q = sys_setns(own, type);
        for (int i = 0; q < 0 && i < 3; i++)   /* staying there would be worse than anything else */
                q = setns(own, type) < 0 ? q : 0;
        return r < 0 || q >= 0 ? r : err_sys(err, EX_FAIL, q, "cannot leave the container's namespace", "%s", net ? "net" : "ipc");
}

struct netlink { int protocol, fd; };

static int open_netlink(void *ctx, struct err *err)
{
        struct netlink *x = ctx;

        x->fd = sys_socket(AF_NETLINK, SOCK_RAW, x->protocol);
        return x->fd < 0 ? err_sys(err, EX_KERNEL, x->fd, "cannot open a netlink socket", "protocol %d", x->protocol) : 0;
}

int dump_netlink(int netns, int protocol, struct err *err)
{
        struct netlink x = { protocol, -1 };
        int r = dump_within(netns, CLONE_NEWNET, open_netlink, &x, err);
        _cleanup_close_ int fd = x.fd;

        return r < 0 ? r : TAKE_FD(fd);
}
