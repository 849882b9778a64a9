/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, namespaces, mounts, links: what tasks share without holding a descriptor of it.
 *
 * A namespace that is the engine's own is external: not dumped, its contents neither. Every other one must be the one
 * that init is in; a second one of the same type (a nested namespace) is refused by name, also where only one thread is in it or
 * only children would be.
 *
 * The network namespace is asked through netlink sockets opened inside it; sock_diag(7) gives what /proc does not:
 * peers of unix sockets, accept queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

static const char *const ns_file[NS_N] = { "user", "mnt", "pid", "net", "uts", "ipc", "cgroup", "time" };

struct ns_inos { uint64_t ino[NS_N]; };   /* of a process */

static int ns_ino(int procfd, const char *file, uint64_t *ret, struct err *err)
{
        char name[24], link[64];
        const char *p;

        snprintf(name, sizeof(name), "ns/%s", file);
        int r = proc_readlink(procfd, name, link, sizeof(link), err);
        if (r < 0)
                return r;
        p = strchr(link, '[');
        if (!p || (p++, !scan_u64(&p, ret)))
                return err_set(err, EX_FAIL, "cannot read a namespace link", link, "%s", name);
        return 0;
}

static struct dump_ns *ns_find(struct dump *d, enum ns_type t, uint64_t ino)
{
        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == t && d->ns[i].ino == ino)
                        return &d->ns[i];
        return NULL;
}

static int ns_add(struct dump *d, size_t task, enum ns_type type, uint64_t ino, int selffd, struct err *err)
{
        struct dump_ns *n = &d->ns[d->n_ns];
        uint64_t own = 0;

        if (task > 0) {
                const struct dump_task *t = &d->task[task];
                err_set(err, EX_UNSUPPORTED, "cannot checkpoint a nested namespace", ns_file[type], "process %d (%s)",
                        (int)t->vpid, t->thread[0].stat.comm);
                return err_remedy(err, "only namespaces that the container's init is in can be kept: end that process");
        }
        int r = ns_ino(selffd, ns_file[type], &own, err);
        if (r < 0)
                return r;
        *n = (struct dump_ns){ .type = type, .ino = ino, .external = own == ino, .fd = -1 };
        if (!n->external) {
                struct dump_obj *x = dump_add(d, CLS_NS);
                if (!x)
                        return kind_nomem(err);
                x->task = task;
                x->ino = ino;
                x->o.facts.ns.type = type;
                n->id = x->o.id;
                if (type == NS_IPC)
                        r = dump_queues(d->task[task].procfd, &x->o.facts.ns.queues, err);
                struct sleeper_bits bits = {};
                if (type == NS_USER && sleepers_bits(d->s.sleepers, d->task[task].pid, &bits) == 0)
                        x->o.facts.ns.binfmt = bits.binfmt;
        }
        d->n_ns++;
        return r < 0 ? r : 0;
}

static int refuse_own(const struct dump_task *t, size_t thread, const char *file, struct err *err)
{
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a nested namespace", file, "process %d (%s), thread %d", (int)t->vpid,
                t->thread[thread].stat.comm, (int)t->thread[thread].vtid);
        return err_remedy(err, "only namespaces that the container's init is in can be kept: end that process");
}

/* What one thread alone has entered, and where children would be born, differ from the process's own namespaces only by unshare(2)
 * or setns(2). A pid namespace that has no init yet shows no link at all. */
static int check_own(const struct dump_task *t, size_t thread, const struct ns_inos *as, struct err *err)
{
        static const struct { const char *file; enum ns_type as; bool others; } own[] = {
                { "pid_for_children", NS_PID, false }, { "time_for_children", NS_TIME, false },
                { "net", NS_NET, true }, { "uts", NS_UTS, true }, { "ipc", NS_IPC, true }, { "cgroup", NS_CGROUP, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(own); i++) {
                uint64_t a = 0;
                struct err e = {};
                if (own[i].others && thread == 0)
                        break;
                int r = ns_ino(t->thread[thread].procfd, own[i].file, &a, &e);
                if (r < 0 && e.sys != ENOENT) {
                        if (err)
                                *err = e;
                        return r;
                }
                if (r < 0 || a != as->ino[own[i].as])
                        return refuse_own(t, thread, own[i].file, err);
        }
        return 0;
}

int dump_walk_ns(struct dump *d, struct err *err)
{
        _cleanup_close_ int self = path_open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0, err);
        _cleanup_free_ struct ns_inos *in = calloc(d->n_task ? d->n_task : 1, sizeof(*in));
        int r = 0;

        if (self < 0 || !in)
                return self < 0 ? self : kind_nomem(err);
        for (size_t i = 0; i < d->n_task; i++) {
                for (unsigned t = 0; r >= 0 && t < NS_N; t++)
                        r = ns_ino(d->task[i].procfd, ns_file[t], &in[i].ino[t], err);
                for (size_t k = 0; r >= 0 && k < d->task[i].n_thread; k++)
                        r = check_own(&d->task[i], k, &in[i], err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < d->n_task; i++)
                for (unsigned t = 0; t < NS_N; t++) {
                        uint64_t ino = in[i].ino[t];
                        struct dump_ns *n = ns_find(d, t, ino);
                        if (!n) {
                                r = ns_add(d, i, t, ino, self, err);
                                if (r < 0)
                                        return r;
                                n = &d->ns[d->n_ns - 1];
                        }
                        d->task[i].ns[t] = n->id;
                }
        return 0;
}

/* ---- mounts ---- */

const struct mountinfo *dump_mountinfo(struct dump *d, size_t task, int mnt_id)
{
        (void)task;
        for (size_t i = 0; i < d->n_mntns; i++)
                for (size_t k = 0; k < d->mntns[i].n; k++)
                        if (d->mntns[i].m[k].id == mnt_id)
                                return &d->mntns[i].m[k];
        return NULL;
}

/* A mount outside the root that init sees (the old tree under a moved root) has a parent that is not listed. */
static int add_mount(struct dump *d, struct dump_mntns *ns, size_t i, struct err *err)
{
        struct dump_obj *x = dump_add(d, CLS_MOUNT);

        if (!x)
                return kind_nomem(err);
        x->mount = &ns->m[i];
        x->o.facts.mnt.m = &ns->m[i];
        x->o.facts.mnt.ns = ns->ns;
        if (d->s.outside && d->s.outside->claim_mount &&
            d->s.outside->claim_mount(d->s.ctx, &ns->m[i], x->o.facts.mnt.external) != 1)
                x->o.facts.mnt.external[0] = '\0';
        ns->id[i] = x->o.id;
        return 0;
}

/* We see the root of a cgroup2 mount from the node's own cgroup root; the container sees it from its payload's. */
static int cgroup_roots(struct dump *d, struct dump_mntns *ns, struct err *err)
{
        char name[40], path[PATH_MAX];

        if (d->s.cgroup_fd < 0)
                return 0;
        snprintf(name, sizeof(name), "fd/%d", d->s.cgroup_fd);
        _cleanup_close_ int self = path_open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0, err);
        int r = self < 0 ? self : proc_readlink(self, name, path, sizeof(path), err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ns->n; i++) {
                char *root = ns->m[i].root;
                size_t n = strlen(root), len = strlen(path);
                if (str_eq(ns->m[i].type, "cgroup2") && n > 1 && len > n && str_eq(path + len - n, root))
                        root[1] = '\0';
        }
        return 0;
}

/* A console that is hung up has lost its node, but /dev/console is where the next one will be. */
static void console_root(const struct dump *d, struct dump_mntns *ns)
{
        char gone[64];

        snprintf(gone, sizeof(gone), "/%d//deleted", d->s.console_index);
        for (size_t i = 0; i < ns->n; i++)
                if (str_eq(ns->m[i].type, "devpts") && str_eq(ns->m[i].root, gone) && str_eq(ns->m[i].target, "/dev/console"))
                        *strstr(ns->m[i].root, "//") = '\0';
}

int dump_walk_mounts(struct dump *d, struct err *err)
{
        struct dump_ns *n = NULL;

        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_MNT)
                        n = &d->ns[i];
        d->mntns = calloc(1, sizeof(*d->mntns));
        if (!d->mntns || !n)
                return kind_nomem(err);
        struct dump_mntns *m = &d->mntns[0];
        *m = (struct dump_mntns){ .ns = n->id, .external = n->external, .rootfd = -1 };
        d->n_mntns = 1;
        int r = mountinfo_read(d->task[0].procfd, &m->m, &m->n, err);
        if (r < 0)
                return r;
        console_root(d, m);
        r = cgroup_roots(d, m, err);
        if (r < 0)
                return r;
        m->rootfd = path_open(d->task[0].procfd, "root", O_PATH | O_DIRECTORY, 0, err);
        if (m->rootfd < 0)
                return m->rootfd;
        m->id = calloc(m->n ? m->n : 1, sizeof(*m->id));
        if (!m->id)
                return kind_nomem(err);
        for (size_t i = 0; !m->external && i < m->n; i++)
                if ((r = add_mount(d, m, i, err)) < 0)
                        return r;
        return 0;
}

/* ---- network ---- */

/* What cannot be held of addresses and routes is noted with the other refusals: their kinds would meet it only when they read. */
static int look_beyond(struct dump *d, struct err *err)
{
        _cleanup_free_ struct nl_addr *a = NULL;
        _cleanup_free_ struct nl_route *r = NULL;
        size_t n = 0;

        if (nl_addrs(d->nl, &a, &n, &d->beyond[0]) < 0 && d->beyond[0].code != EX_UNSUPPORTED)
                return err_take(err, &d->beyond[0]);
        if (nl_routes(d->nl, &r, &n, &d->beyond[1]) < 0 && d->beyond[1].code != EX_UNSUPPORTED)
                return err_take(err, &d->beyond[1]);
        return 0;
}

int dump_walk_net(struct dump *d, struct err *err)
{
        struct dump_ns *n = NULL;

        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_NET)
                        n = &d->ns[i];
        if (!n)
                return 0;
        n->fd = path_open(d->task[0].procfd, "ns/net", O_RDONLY, 0, err);
        if (n->fd < 0)
                return n->fd;
        int r = nl_open_in(n->fd, &d->nl, err);
        if (r < 0 || n->external)
                return r;
        struct dump_obj *x = dump_add(d, CLS_NETNS);
        if (!x)
                return kind_nomem(err);
        r = dump_netns_seen(d, n->fd, x, err);
        if (r >= 0)
                r = look_beyond(d, err);
        if (r >= 0)
                r = net_settings_read(n->fd, &d->settings, err);
        if (r < 0)
                return r;
        net_settings_compare(&d->settings, &d->fresh);
        struct nl_link *links = NULL;
        size_t n_links = 0;
        r = nl_links(d->nl, &links, &n_links, err);
        if (r >= 0)
                r = net_links_compare(n->fd, links, n_links, &d->fresh, err);
        for (size_t i = 0; r >= 0 && i < n_links; i++) {
                x = dump_add(d, CLS_LINK);
                if (!x)
                        r = kind_nomem(err);
                else
                        x->o.facts.link = links[i];
        }
        free(links);
        return r < 0 ? r : 0;
}

/* ---- sock_diag ---- */

/* Sends one dump request and hands each answer to `each`. */
static int diag_dump(int fd, const void *req, size_t len, int (*each)(struct dump *, const struct nlmsghdr *, struct err *),
                     struct dump *d, struct err *err)
{
        struct { struct nlmsghdr h; uint8_t body[256]; } m = {};
        _cleanup_free_ uint8_t *buf = malloc(65536);

        if (!buf)
                return kind_nomem(err);
        m.h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(len), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1 };
        memcpy(m.body, req, len);
        if (send(fd, &m, m.h.nlmsg_len, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask for the container's sockets", "sock_diag");
        for (;;) {
                ssize_t n = recv(fd, buf, 65536, 0);
                if (n < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot read the container's sockets", "sock_diag");
                unsigned left = (unsigned)n;
                for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR) {
                                const struct nlmsgerr *e = NLMSG_DATA(h);
                                return err_sys(err, EX_KERNEL, e->error, "cannot list the container's sockets", "sock_diag");
                        }
                        int r = each(d, h, err);
                        if (r < 0)
                                return r;
                }
        }
}

static void unix_attr(struct unix_diag *u, const struct rtattr *a)
{
        size_t len = RTA_PAYLOAD(a);
        const void *p = RTA_DATA(a);

        switch (a->rta_type) {
        case UNIX_DIAG_NAME:
                u->name_len = (uint32_t)(len < sizeof(u->name) ? len : sizeof(u->name));
                memcpy(u->name, p, u->name_len);
                break;
        case UNIX_DIAG_PEER:
                if (len >= 4)
                        memcpy(&u->peer_ino, p, 4);
                break;
        case UNIX_DIAG_ICONS:
                u->n_icons = (uint32_t)(len / 4 < ELEMENTSOF(u->icons) ? len / 4 : ELEMENTSOF(u->icons));
                memcpy(u->icons, p, u->n_icons * sizeof(uint32_t));
                break;
        case UNIX_DIAG_RQLEN:
                if (len >= sizeof(struct unix_diag_rqlen)) {
                        const struct unix_diag_rqlen *q = p;
                        u->rqueue = q->udiag_rqueue;
                        u->wqueue = q->udiag_wqueue;
                }
                break;
        case UNIX_DIAG_SHUTDOWN:
                if (len >= 1)
                        u->shutdown = *(const uint8_t *)p;
                break;
        default:
                break;
        }
}

static int unix_row(struct dump *d, const struct nlmsghdr *h, struct err *err)
{
        const struct unix_diag_msg *m = NLMSG_DATA(h);

        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
                return 0;
        struct ux_row *grown = realloc(d->ux, (d->n_ux + 1) * sizeof(*grown));
        if (!grown)
                return kind_nomem(err);
        d->ux = grown;
        struct ux_row *row = &grown[d->n_ux++];
        *row = (struct ux_row){ .ino = m->udiag_ino };
        row->d.known = true;
        row->d.state = m->udiag_state;
        row->d.type = m->udiag_type;
        unsigned left = h->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*m));
        for (const struct rtattr *a = (const struct rtattr *)(const void *)((const uint8_t *)m + NLMSG_ALIGN(sizeof(*m)));
             RTA_OK(a, left); a = RTA_NEXT(a, left))
                unix_attr(&row->d, a);
        return 0;
}

static int signed_row(struct dump *d, const struct inet_diag_msg *m, unsigned left, struct err *err)
{
        const struct rtattr *a = (const struct rtattr *)(const void *)((const uint8_t *)m + NLMSG_ALIGN(sizeof(*m)));

        while (RTA_OK(a, left) && a->rta_type != INET_DIAG_MD5SIG)
                a = RTA_NEXT(a, left);
        if (!RTA_OK(a, left))
                return 0;
        uint32_t *grown = realloc(d->signed_tcp, (d->n_signed_tcp + 1) * sizeof(*grown));
        if (!grown)
                return kind_nomem(err);
        d->signed_tcp = grown;
        grown[d->n_signed_tcp++] = m->idiag_inode;
        return 0;
}

/* Rows with inode 0 belong to no descriptor: half-open requests, TIME_WAIT, connections nobody has accepted, orphans. */
static int inet_row(struct dump *d, const struct nlmsghdr *h, struct err *err)
{
        const struct inet_diag_msg *m = NLMSG_DATA(h);

        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
                return 0;
        if (m->idiag_inode != 0)
                return signed_row(d, m, h->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*m)), err);
        if (m->idiag_state == TCP_SYN_RECV)
                d->stats.dropped_syn_recv++;
        else if (m->idiag_state == TCP_TIME_WAIT)
                d->stats.dropped_time_wait++;
        else
                d->orphans++;
        return 0;
}

static int netns_fd(const struct dump *d)
{
        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_NET && !d->ns[i].external)
                        return d->ns[i].fd;
        return -1;
}

static bool net_external(const struct dump *d)
{
        for (size_t i = 0; i < d->n_ns; i++)
                if (d->ns[i].type == NS_NET)
                        return d->ns[i].external;
        return true;
}

static int diag_tcp(struct dump *d, int fd, struct err *err)
{
        static const int family[] = { AF_INET, AF_INET6 };

        d->stats.dropped_syn_recv = d->stats.dropped_time_wait = d->orphans = d->n_signed_tcp = 0;
        for (size_t i = 0; i < ELEMENTSOF(family); i++) {
                struct inet_diag_req_v2 q = { .sdiag_family = (uint8_t)family[i], .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u,
                                               .idiag_ext = 1 << (INET_DIAG_INFO - 1) /* with it come signatures */ };
                int r = diag_dump(fd, &q, sizeof(q), inet_row, d, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool same_ns(int a, int b)
{
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

/* The container's network namespace, while nothing has been collected; *ret -1: it is ours. */
static int their_netns(const struct dump *d, int *ret, struct err *err)
{
        char path[48];
        pid_t init;
        int r = pidfd_pid(d->s.init_pidfd, &init, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)init);
        _cleanup_close_ int theirs = path_open(AT_FDCWD, path, O_RDONLY, 0, err);
        _cleanup_close_ int own = path_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0, err);
        if (theirs < 0 || own < 0)
                return theirs < 0 ? theirs : own;
        *ret = same_ns(theirs, own) ? -1 : TAKE_FD(theirs);
        return 0;
}

int dump_fresh_settings(struct dump *d, struct err *err)
{
        _cleanup_close_ int theirs = -1;
        int r = their_netns(d, &theirs, err);

        return r < 0 || theirs < 0 ? r : net_settings_read(-1, &d->fresh, err);
}

int dump_settings(struct dump *d, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        (void)err;
        *ret = d->settings.at;
        *ret_n = d->settings.n;
        return 0;
}

int dump_orphans(struct dump *d, uint64_t *ret, struct err *err)
{
        _cleanup_close_ int theirs = -1;
        int r = their_netns(d, &theirs, err);

        *ret = 0;
        if (r < 0 || theirs < 0)
                return r;   /* the node's own sockets are not ours to wait for */
        _cleanup_close_ int fd = dump_netlink(theirs, NETLINK_SOCK_DIAG, err);
        r = fd < 0 ? fd : diag_tcp(d, fd, err);
        *ret = d->orphans;
        return r;
}

int dump_diag(struct dump *d, struct err *err)
{
        _cleanup_close_ int fd = dump_netlink(netns_fd(d), NETLINK_SOCK_DIAG, err);

        if (fd < 0)
                return fd;
        struct unix_diag_req q = { .sdiag_family = AF_UNIX, .udiag_states = ~0u,
                                   .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN };
        int r = diag_dump(fd, &q, sizeof(q), unix_row, d, err);
        if (r >= 0)
                r = diag_tcp(d, fd, err);
        if (r >= 0 && net_external(d))   /* the node's own are not ours to count */
                d->stats.dropped_syn_recv = d->stats.dropped_time_wait = d->orphans = 0;
        return r;
}
