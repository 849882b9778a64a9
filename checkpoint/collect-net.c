/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, what a network namespace has beside links, addresses, routes and neighbours: policy rules, queues, next hops and labels
 * (rtnetlink), IPsec (xfrm), packet filters, sets and tracked connections (nfnetlink; the older tables by the names that
 * /proc/PID/net shows), and what families of generic netlink hold.
 *
 * A kernel that has no nf_tables answers EINVAL or EOPNOTSUPP, one without nfnetlink has no such socket: nothing can be there.
 * Modules are asked only where they are loaded: asking would load them. /sys/module shows those that are built in too, when
 * they have parameters; a kernel without loadable modules can be asked for anything. Where connection tracking is
 * loaded and cannot be asked, entries are assumed.
 *
 * Older tables (ip_tables …) come to be in a namespace when somebody looks at them, and stay; a kernel cannot tell an
 * empty one from a full one without its own structures, so one that is there counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/neighbour.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/networld.h"

#define ANSWER_BYTES 65536
#define NFNL_TYPE(subsys, msg) ((uint16_t)((subsys) << 8 | (msg)))
#define FAMILIES 8

struct answers { struct rules_seen rules; struct world_seen world; bool tables; bool counted; uint32_t entries;
                 bool any; struct { uint16_t id; const struct genl_question *q; } family[FAMILIES]; size_t n_family; };
/* A request: its type, flags, and body, whose zeroes mean any everywhere. */
struct request { uint16_t type, flags; size_t body; uint8_t bytes[16]; };
typedef void take_fn(struct answers *a, const struct nlmsghdr *h);

static void take_rule(struct answers *a, const struct nlmsghdr *h)
{
        rules_add(&a->rules, h);
}

static void take_route(struct answers *a, const struct nlmsghdr *h)
{
        world_route(&a->world, h);
}

static void take_xfrm(struct answers *a, const struct nlmsghdr *h)
{
        world_xfrm(&a->world, h);
}

static void take_filter(struct answers *a, const struct nlmsghdr *h)
{
        world_netfilter(&a->world, h);
        a->tables = a->tables || h->nlmsg_type == NFNL_TYPE(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWTABLE);
        a->counted = a->counted || conntrack_entries(h, &a->entries);
}

static void take_any(struct answers *a, const struct nlmsghdr *h)
{
        (void)h;
        a->any = true;
}

/* Request and answers until the end of the dump or the acknowledgement. 0, or the kernel's errno (positive). */
static int ask(int fd, const struct request *q, take_fn *take, struct answers *a, struct err *err)
{
        struct { struct nlmsghdr h; uint8_t body[32]; } m = { 0 };
        _cleanup_free_ uint8_t *buf = malloc(ANSWER_BYTES);

        if (!buf)
                return kind_nomem(err);
        m.h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(q->body), .nlmsg_type = q->type, .nlmsg_seq = 1,
                                 .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | q->flags) };
        memcpy(m.body, q->bytes, sizeof(q->bytes));
        if (send(fd, &m, m.h.nlmsg_len, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask for the container's network", "message %u", q->type);
        for (;;) {
                ssize_t n = recv(fd, buf, ANSWER_BYTES, 0);
                if (n < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot read the container's network", "message %u", q->type);
                unsigned left = (unsigned)n;
                for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
                                return -((struct nlmsgerr *)NLMSG_DATA(h))->error;
                        take(a, h);
                }
        }
}

static bool absent(int e)
{
        return e == EINVAL || e == EOPNOTSUPP || e == EPROTONOSUPPORT || e == EAFNOSUPPORT || e == ENOENT;
}

static int refused(int e, const char *what, struct err *err)
{
        return e > 0 ? err_sys(err, EX_KERNEL, e, "cannot ask for the container's network", "%s", what) : e;
}

/* Asking for what is not loaded would load it; a kernel without modules has it or not. */
static bool may_ask(const char *module)
{
        char path[64];

        snprintf(path, sizeof(path), "/sys/module/%s", module);
        return access(path, F_OK) == 0 || access("/proc/modules", F_OK) < 0;
}

/* All of them on one socket; what is absent is not there. */
static int ask_all(int fd, const struct request *q, size_t n, take_fn *take, struct answers *a, const char *what, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                int e = ask(fd, &q[i], take, a, err);
                if (e != 0 && !absent(e))
                        return refused(e, what, err);
        }
        return 0;
}

static int ask_route(int netns, struct answers *a, struct err *err)
{
        static const struct request rules[] = { { RTM_GETRULE, NLM_F_DUMP, 12, {} } };
        static const struct request world[] = {
                { RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg), {} },
                { RTM_GETNEXTHOP, NLM_F_DUMP, sizeof(struct nhmsg), {} },
                { RTM_GETADDRLABEL, NLM_F_DUMP, sizeof(struct ifaddrlblmsg), { AF_INET6 } },
                { RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg), { AF_BRIDGE } },
                { RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg), { [offsetof(struct ndmsg, ndm_flags)] = NTF_PROXY } },
        };
        _cleanup_close_ int fd = dump_netlink(netns, NETLINK_ROUTE, err);
        int r = fd < 0 ? fd : ask_all(fd, rules, ELEMENTSOF(rules), take_rule, a, "rules", err);

        return r < 0 ? r : ask_all(fd, world, ELEMENTSOF(world), take_route, a, "queues, next hops and labels", err);
}

/* A socket of that protocol; *ret -1: this kernel has none. */
static int socket_of(int netns, int protocol, int *ret, struct err *err)
{
        struct err e = {};
        int fd = dump_netlink(netns, protocol, &e);

        *ret = fd < 0 ? -1 : fd;
        return fd >= 0 || absent(e.sys) || absent(-e.sys) ? 0 : err_take(err, &e);
}

static int ask_xfrm(int netns, struct answers *a, struct err *err)
{
        static const struct request q[] = {
                { XFRM_MSG_GETSA, NLM_F_DUMP, 0, {} },
                { XFRM_MSG_GETPOLICY, NLM_F_DUMP, 0, {} },
                { XFRM_MSG_GETDEFAULT, NLM_F_ACK, sizeof(struct xfrm_userpolicy_default), {} },
        };
        _cleanup_close_ int fd = -1;
        int r = may_ask("xfrm_user") ? socket_of(netns, NETLINK_XFRM, &fd, err) : 0;

        return r < 0 || fd < 0 ? r : ask_all(fd, q, ELEMENTSOF(q), take_xfrm, a, "IPsec policies", err);
}

static int ask_filters(int netns, struct answers *a, bool *ret_tracking, struct err *err)
{
        static const struct { const char *module; struct request q; } all[] = {
                { NULL, { NFNL_TYPE(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE), NLM_F_DUMP, sizeof(struct nfgenmsg), {} } },
                /* With the version of the protocol (attribute 1), behind the head. */
                { "ip_set", { NFNL_TYPE(NFNL_SUBSYS_IPSET, IPSET_CMD_LIST), NLM_F_DUMP, 12, { 0, 0, 0, 0, 5, 0, IPSET_ATTR_PROTOCOL, 0, IPSET_PROTOCOL_MIN } } },
                { "nfnetlink_acct", { NFNL_TYPE(NFNL_SUBSYS_ACCT, NFNL_MSG_ACCT_GET), NLM_F_DUMP, sizeof(struct nfgenmsg), {} } },
                { "nfnetlink_cttimeout", { NFNL_TYPE(NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_GET), NLM_F_DUMP, sizeof(struct nfgenmsg), {} } },
                { "nf_conntrack", { NFNL_TYPE(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS), NLM_F_ACK, sizeof(struct nfgenmsg), {} } },
        };
        _cleanup_close_ int fd = -1;
        int r = socket_of(netns, NETLINK_NETFILTER, &fd, err);

        *ret_tracking = access("/sys/module/nf_conntrack", F_OK) == 0;
        for (size_t i = 0; fd >= 0 && r >= 0 && i < ELEMENTSOF(all); i++)
                if (!all[i].module || may_ask(all[i].module))
                        r = ask_all(fd, &all[i].q, 1, take_filter, a, "packet filters", err);
        return r;
}

/* ---- generic netlink ---- */

/* Families that hold objects of a namespace: any answer to a dump is one. */
static const struct genl_question { const char *family; uint8_t command; const char *what; } genl[] = {
        { "mptcp_pm", 3, "endpoints of MPTCP (ip mptcp)" },
        { "l2tp", 4, "L2TP tunnels" },
        { "IPVS", 4, "virtual servers (ipvsadm)" },
        { "fou", 3, "FOU ports (ip fou)" },
        { "ila", 3, "ILA mappings (ip ila)" },
        { "SEG6", 2, "keys of segment routing (ip sr)" },
        { "IOAM6", 3, "IOAM namespaces (ip ioam)" },
};
_Static_assert(ELEMENTSOF(genl) <= FAMILIES, "room for all of them");

static void take_family(struct answers *a, const struct nlmsghdr *h)
{
        uint16_t id;
        char name[32];

        if (!genl_family(h, &id, name))
                return;
        for (size_t i = 0; i < ELEMENTSOF(genl); i++)
                if (str_eq(name, genl[i].family) && a->n_family < FAMILIES) {
                        a->family[a->n_family].id = id;
                        a->family[a->n_family++].q = &genl[i];
                }
}

/* All families are listed: asking for one by its name would load it. */
static int ask_genl(int netns, struct answers *a, struct err *err)
{
        static const struct request list = { GENL_ID_CTRL, NLM_F_DUMP, sizeof(struct genlmsghdr), { CTRL_CMD_GETFAMILY, 1 } };
        _cleanup_close_ int fd = -1;
        int r = socket_of(netns, NETLINK_GENERIC, &fd, err);

        if (r >= 0 && fd >= 0)
                r = ask_all(fd, &list, 1, take_family, a, "families", err);
        for (size_t i = 0; fd >= 0 && r >= 0 && i < a->n_family; i++) {
                const struct genl_question *q = a->family[i].q;
                struct request x = { a->family[i].id, NLM_F_DUMP, sizeof(struct genlmsghdr), { q->command, 1 } };
                a->any = false;
                r = ask_all(fd, &x, 1, take_any, a, q->what, err);
                if (a->any)
                        a->world.other = q->what;
        }
        return r;
}

/* ---- texts ---- */

/* 1: there are no such addresses to speak of. */
static int static_multicast(int procfd, struct world_seen *s, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        struct err e = {};
        int r = proc_read(procfd, "net/dev_mcast", &text, &len, &e);

        if (r < 0)
                return e.sys == ENOENT ? 1 : err_take(err, &e);
        if (mcast_by_hand(text))
                s->other = "link-layer multicast addresses of its own (ip maddr)";
        return 0;
}

/* Without what `net/NAME` of a kernel without IPv6 is: no text, as an empty table. */
static int read_six(int procfd, const char *name, char **ret, struct err *err)
{
        size_t len = 0;
        struct err e = {};
        int r = proc_read(procfd, name, ret, &len, &e);

        return r < 0 && e.sys != ENOENT ? err_take(err, &e) : 0;
}

static int six_anycast(struct nl *nl, const char *text, struct world_seen *s, struct err *err)
{
        _cleanup_free_ struct nl_addr *a = NULL;
        struct err e = {};
        size_t n = 0;

        if (!nl)
                return -EX_FAIL;
        if (nl_addrs(nl, &a, &n, &e) < 0)   /* an address that cannot be held is refused by itself (look_beyond()) */
                return e.code == EX_UNSUPPORTED ? 0 : err_take(err, &e);
        if (anycast_by_hand(text, a, n))
                s->other = "anycast addresses of sockets (IPV6_JOIN_ANYCAST)";
        return 0;
}

/* What sockets hold of a namespace and no call shows of the socket. */
static int six_sockets(struct dump *d, struct dump_obj *x, struct world_seen *s, struct err *err)
{
        _cleanup_free_ char *anycast = NULL, *labels = NULL;
        int r = read_six(d->task[0].procfd, "net/anycast6", &anycast, err);

        if (r >= 0)
                r = read_six(d->task[0].procfd, "net/ip6_flowlabel", &labels, err);
        if (r >= 0 && anycast && anycast[0])
                r = six_anycast(dump_nl(d, &x->o, err), anycast, s, err);
        if (r < 0)
                return r;
        const char *second = labels ? strchr(labels, '\n') : NULL;
        if (second && second[1])
                s->other = "flow labels of sockets (IPV6_FLOWLABEL_MGR)";
        return 0;
}

/* 1: the older packet filter has a table here. */
static int old_tables(int procfd, struct err *err)
{
        static const char *const names[] = { "net/ip_tables_names", "net/ip6_tables_names", "net/arp_tables_names" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *text = NULL;
                size_t len = 0;
                struct err e = {};
                int r = proc_read(procfd, names[i], &text, &len, &e);
                if (r < 0 && e.sys != ENOENT)
                        return err_take(err, &e);
                if (r >= 0 && len > 0)
                        return 1;
        }
        return 0;
}

int dump_netns_seen(struct dump *d, int netns, struct dump_obj *x, struct err *err)
{
        struct answers a = {};
        bool tracking = false;
        int procfd = d->task[0].procfd;
        int r = ask_route(netns, &a, err);

        if (r >= 0)
                r = ask_xfrm(netns, &a, err);
        if (r >= 0)
                r = ask_filters(netns, &a, &tracking, err);
        if (r >= 0)
                r = ask_genl(netns, &a, err);
        if (r >= 0)
                r = static_multicast(procfd, &a.world, err);
        if (r >= 0)
                r = six_sockets(d, x, &a.world, err);
        int old = r < 0 ? r : old_tables(procfd, err);
        if (old < 0)
                return old;
        x->o.facts.netns.rules = rules_changed(&a.rules, faccessat(procfd, "net/if_inet6", F_OK, 0) == 0);
        x->o.facts.netns.nft = a.tables || old == 1;
        x->o.facts.netns.conntrack = tracking && (!a.counted || a.entries > 0);
        x->o.facts.netns.qdisc = a.world.qdisc;
        x->o.facts.netns.xfrm = a.world.xfrm;
        x->o.facts.netns.ipset = a.world.ipset;
        x->o.facts.netns.nexthop = a.world.nexthop;
        x->o.facts.netns.other = world_labels_changed(&a.world) ? "rules for the choice of addresses (ip addrlabel)" : a.world.other;
        return 0;
}
