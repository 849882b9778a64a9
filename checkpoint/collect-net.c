/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, what a network namespace has beside links and addresses: policy rules (rtnetlink), packet filters (nf_tables by
 * nfnetlink; the older tables by the names that /proc/PID/net shows) and tracked connections (ctnetlink's count).
 *
 * A kernel that has no nf_tables answers EINVAL or EOPNOTSUPP, one without nfnetlink has no such socket: nothing can be there.
 * Connection tracking is asked only where it is loaded (/sys/module/nf_conntrack, which is there when it is built in,
 * because it has parameters): asking would load it. Where it is loaded and cannot be asked, entries are assumed.
 *
 * Older tables (ip_tables …) come to be in a namespace when somebody looks at them, and stay; a kernel cannot tell an
 * empty one from a full one without its own structures, so one that is there counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/networld.h"

#define ANSWER_BYTES 65536
#define NFNL_TYPE(subsys, msg) ((uint16_t)((subsys) << 8 | (msg)))

struct answers { struct rules_seen rules; bool tables; bool counted; uint32_t entries; };

static void take(struct answers *a, const struct nlmsghdr *h)
{
        rules_add(&a->rules, h);
        a->tables = a->tables || h->nlmsg_type == NFNL_TYPE(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWTABLE);
        a->counted = a->counted || conntrack_entries(h, &a->entries);
}

/* Request and answers until the end of the dump or the acknowledgement. 0, or the kernel's errno (positive). */
static int ask(int fd, uint16_t type, uint16_t flags, size_t body, struct answers *a, struct err *err)
{
        /* rtgenmsg, fib_rule_hdr and nfgenmsg all begin with the family, and zero means any everywhere. */
        struct { struct nlmsghdr h; uint8_t body[16]; } m = { 0 };
        _cleanup_free_ uint8_t *buf = malloc(ANSWER_BYTES);

        if (!buf)
                return kind_nomem(err);
        m.h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(body), .nlmsg_type = type, .nlmsg_seq = 1,
                                 .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
        if (send(fd, &m, m.h.nlmsg_len, 0) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot ask for the container's network", "message %u", type);
        for (;;) {
                ssize_t n = recv(fd, buf, ANSWER_BYTES, 0);
                if (n < 0)
                        return err_sys(err, EX_FAIL, errno, "cannot read the container's network", "message %u", type);
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
        return e == EINVAL || e == EOPNOTSUPP || e == EPROTONOSUPPORT || e == EAFNOSUPPORT;
}

static int refused(int e, const char *what, struct err *err)
{
        return e > 0 ? err_sys(err, EX_KERNEL, e, "cannot ask for the container's network", "%s", what) : e;
}

static int ask_rules(int netns, struct answers *a, struct err *err)
{
        _cleanup_close_ int fd = dump_netlink(netns, NETLINK_ROUTE, err);
        int e = fd < 0 ? fd : ask(fd, RTM_GETRULE, NLM_F_DUMP, 12, a, err);

        return absent(e) ? 0 : refused(e, "rules", err);
}

static int ask_filters(int netns, struct answers *a, bool *ret_tracking, struct err *err)
{
        struct err e = {};
        bool tracking = access("/sys/module/nf_conntrack", F_OK) == 0;
        _cleanup_close_ int fd = dump_netlink(netns, NETLINK_NETFILTER, &e);

        *ret_tracking = tracking;
        if (fd < 0 && (absent(e.sys) || absent(-e.sys)))
                return 0;
        if (fd < 0) {
                if (err)
                        *err = e;
                return fd;
        }
        int r = ask(fd, NFNL_TYPE(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE), NLM_F_DUMP, sizeof(struct nfgenmsg), a, err);
        if (r != 0 && !absent(r))
                return refused(r, "packet filter tables", err);
        if (!tracking)
                return 0;
        r = ask(fd, NFNL_TYPE(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS), NLM_F_ACK, sizeof(struct nfgenmsg), a, err);
        return absent(r) ? 0 : refused(r, "tracked connections", err);
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
                if (r < 0 && e.sys != ENOENT && e.sys != -ENOENT) {
                        if (err)
                                *err = e;
                        return r;
                }
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
        int r = ask_rules(netns, &a, err);

        if (r >= 0)
                r = ask_filters(netns, &a, &tracking, err);
        int old = r < 0 ? r : old_tables(procfd, err);
        if (old < 0)
                return old;
        x->o.facts.netns.rules = rules_changed(&a.rules, faccessat(procfd, "net/if_inet6", F_OK, 0) == 0);
        x->o.facts.netns.nft = a.tables || old == 1;
        x->o.facts.netns.conntrack = tracking && (!a.counted || a.entries > 0);
        return 0;
}
