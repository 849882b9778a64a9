/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A netlink socket belongs to the network namespace in which it was opened, whoever uses it then. So we enter the container's for
 * one call and come back; the engine has one thread that does so (session.h).
 *
 * Not here: rtnetlink through libnl (base/netlink.c), and what is asked (collect-ns.c, collect-net.c).
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "checkpoint/collect.h"

int dump_netlink(int netns, int protocol, struct err *err)
{
        _cleanup_close_ int own = path_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0, err);
        if (own < 0)
                return own;
        int r = netns >= 0 ? sys_setns(netns, CLONE_NEWNET) : 0;
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter the container's network namespace", "%s", "");
        int fd = sys_socket(AF_NETLINK, SOCK_RAW, protocol);
        if (netns >= 0 && (r = sys_setns(own, CLONE_NEWNET)) < 0) {
                fd_close(fd);
                return err_sys(err, EX_FAIL, r, "cannot leave the container's network namespace", "%s", "");
        }
        if (fd < 0)
                return err_sys(err, EX_KERNEL, fd, "cannot open a netlink socket", "protocol %d", protocol);
        return fd;
}
