/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts of a descriptor of this process, read as the collector reads those of a stopped task: link, fdinfo, fstat, statfs,
 * the socket's family, type and protocol, and its row of sock_diag(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/procfs.h"
#include "tests/unit/harness-int.h"

#define HEAD_LEN ((size_t)4) /* NLA_HDRLEN has a signed form */

static void unix_attribute(struct unix_diag *u, const struct nlattr *a)
{
        const void *p = (const char *)a + HEAD_LEN;
        size_t n = a->nla_len - HEAD_LEN;

        switch (a->nla_type) {
        case UNIX_DIAG_NAME:
                u->name_len = (uint32_t)(n < sizeof(u->name) ? n : sizeof(u->name));
                memcpy(u->name, p, u->name_len);
                break;
        case UNIX_DIAG_PEER:
                memcpy(&u->peer_ino, p, sizeof(u->peer_ino));
                break;
        case UNIX_DIAG_ICONS:
                u->n_icons = (uint32_t)(n / sizeof(u->icons[0]) < 64 ? n / sizeof(u->icons[0]) : 64);
                memcpy(u->icons, p, u->n_icons * sizeof(u->icons[0]));
                break;
        case UNIX_DIAG_RQLEN:
                memcpy(&u->rqueue, p, sizeof(u->rqueue));
                memcpy(&u->wqueue, (const char *)p + 4, sizeof(u->wqueue));
                break;
        case UNIX_DIAG_SHUTDOWN:
                memcpy(&u->shutdown, p, 1);
                break;
        default:
                break;
        }
}

static struct unix_diag *unix_row(uint32_t ino)
{
        struct { struct nlmsghdr h; struct unix_diag_req r; } req = {
                .h = {.nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
                .r = {.sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_ino = ino, .udiag_cookie = {~0u, ~0u},
                      .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN},
        };
        _Alignas(struct nlmsghdr) char buf[8192];
        _cleanup_close_ int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

        cr_assert_geq(nl, 0);
        cr_assert_eq(send(nl, &req, sizeof(req), 0), (ssize_t)sizeof(req));
        ssize_t n = recv(nl, buf, sizeof(buf), 0);
        const struct nlmsghdr *h = (const void *)buf;
        cr_assert(n > 0 && h->nlmsg_type == SOCK_DIAG_BY_FAMILY, "no diag row for unix socket %u", ino);
        const struct unix_diag_msg *m = NLMSG_DATA(h);
        struct unix_diag *u = calloc(1, sizeof(*u));
        cr_assert_not_null(u);
        u->known = true;
        u->state = m->udiag_state;
        u->type = m->udiag_type;
        const char *p = (const char *)(m + 1), *end = (const char *)h + h->nlmsg_len;
        while (p + HEAD_LEN <= end) {
                const struct nlattr *a = (const void *)p;
                if (a->nla_len < HEAD_LEN)
                        break;
                unix_attribute(u, a);
                p += ((a->nla_len + 3u) & ~3u);
        }
        return u;
}

static int option(int fd, int name)
{
        int v = -1;
        socklen_t n = sizeof(v);

        return getsockopt(fd, SOL_SOCKET, name, &v, &n) < 0 ? -1 : v;
}

static void socket_facts(struct kt_object *x, struct file_facts *f, int fd)
{
        f->family = option(fd, SO_DOMAIN);
        f->type = option(fd, SO_TYPE);
        f->protocol = option(fd, SO_PROTOCOL);
        if (f->family == AF_UNIX)
                f->ux = x->ux = unix_row((uint32_t)f->st.st_ino);
        if ((f->family == AF_INET || f->family == AF_INET6) && f->protocol == IPPROTO_TCP) {
                struct tcp_info ti;
                socklen_t n = sizeof(ti);
                cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
                f->tcp_state = ti.tcpi_state;
        }
}

void kt_read_facts(struct kt *t, struct kt_object *x, int fd)
{
        struct file_facts *f = &x->o.facts.file;
        struct proc_fdinfo head = {};
        struct statfs fs;
        char name[32], link[PATH_MAX];
        struct err err = {};
        size_t n;

        x->o.facts.cls = x->o.cls = CLS_FILE;
        x->o.facts.shown_pid = 1;
        x->o.facts.comm = "test";
        snprintf(name, sizeof(name), "fdinfo/%d", fd);
        cr_assert_eq(proc_read(t->procfd, name, &x->fdinfo, &n, &err), 0, "%s", err.why);
        cr_assert_eq(proc_fdinfo_head(x->fdinfo, n, &head, &err), 0, "%s", err.why);
        snprintf(name, sizeof(name), "fd/%d", fd);
        cr_assert_eq(proc_readlink(t->procfd, name, link, sizeof(link), &err), 0, "%s", err.why);
        x->link = strdup(link);
        *f = (struct file_facts){.fd = fd, .link = x->link, .fdinfo = x->fdinfo, .pos = head.pos,
                                 .flags = head.flags & ~(unsigned)O_CLOEXEC, .mnt_id = head.mnt_id,
                                 .family = -1, .type = -1, .protocol = -1, .mount = 1};
        cr_assert_eq(fstat(fd, &f->st), 0);
        if (fstatfs(fd, &fs) == 0)
                f->fs_magic = (uint64_t)fs.f_type;
        f->deleted = link[0] == '/' && (f->st.st_nlink == 0 || strstr(link, " (deleted)"));
        if (S_ISSOCK(f->st.st_mode))
                socket_facts(x, f, fd);
}
