/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtnetlink: sockets, links and the packet block (base/netlink.h). Addresses are netaddr.c, routes netroute.c, neighbours netneigh.c.
 *
 * Link messages are built and read here attribute by attribute on libnl-3: one request makes a veth pair with its
 * other end already in the container's namespace and this end already a port, and one answer holds the port's state
 * (IFLA_INFO_SLAVE_DATA), for which libnl-route would dump the whole bridge family.
 *
 * Kernel facts (6.18): a port *disabled* (0) drops both ways and shows no carrier change; *blocking* (4) is answered
 * with success and reads back as forwarding, so every change is read back. The state is lost when the link or bridge
 * goes down and up. The state cannot be set while the kernel runs STP on the bridge (EBUSY) or the port is down.
 * A bridge takes the lowest MAC of its ports for its own: our end gets one that starts with fe, which never wins.
 */
#include "base/netlink-impl.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <linux/ethtool.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"

static void msgp(struct nl_msg **m)
{
        nlmsg_free(*m); /* takes NULL */
}
#define _cleanup_nlmsg_ CLEANUP(msgp)

int nl_failed(struct err *err, int nle, const char *what, const char *on)
{
        int code = EX_FAIL;

        switch (nle < 0 ? -nle : nle) {
        case NLE_PERM:
        case NLE_NOACCESS:
                code = EX_PERM;
                break;
        case NLE_NOMEM:
                code = EX_NOSPC;
                break;
        case NLE_EXIST:
                code = EX_EXISTS;
                break;
        case NLE_NODEV:
        case NLE_OBJ_NOTFOUND:
                code = EX_UNKNOWN;
                break;
        case NLE_OPNOTSUPP:
        case NLE_PROTO_MISMATCH:
                code = EX_KERNEL;
                break;
        default:
                break;
        }
        return err_set(err, code, what, nl_geterror(nle), "%s", on);
}

static bool missing(int nle)
{
        return nle == -NLE_NODEV || nle == -NLE_OBJ_NOTFOUND;
}

int nl_open(struct nl **ret, struct err *err)
{
        struct nl *n = calloc(1, sizeof(*n));

        if (n)
                n->sock = nl_socket_alloc();
        if (!n || !n->sock) {
                nl_free(n);
                return err_sys(err, EX_FAIL, ENOMEM, "cannot open a netlink socket", "%s", "");
        }
        int r = nl_connect(n->sock, NETLINK_ROUTE);
        if (r < 0) {
                nl_free(n);
                return nl_failed(err, r, "cannot open a netlink socket", "");
        }
        *ret = n;
        return 0;
}

int nl_open_in(int netns_fd, struct nl **ret, struct err *err)
{
        struct nl *n = NULL;
        _cleanup_close_ int own = sys_openat(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY, 0);

        if (own < 0)
                return err_sys(err, EX_FAIL, own, "cannot open", "/proc/thread-self/ns/net");
        int r = sys_setns(netns_fd, CLONE_NEWNET);
        if (r < 0)
                return err_sys(err, EX_FAIL, r, "cannot enter a network namespace", "descriptor %d", netns_fd);
        int q = nl_open(&n, err);
        r = sys_setns(own, CLONE_NEWNET);
        for (int i = 0; r < 0 && i < 3; i++) /* staying in the wrong namespace would be worse than anything else */
                r = setns(own, CLONE_NEWNET) < 0 ? -errno : 0;
        if (r < 0) {
                nl_free(n);
                return err_sys(err, EX_FAIL, r, "cannot return to the own network namespace", "%s", "");
        }
        if (q < 0)
                return q;
        *ret = n;
        return 0;
}

void nl_free(struct nl *n)
{
        if (!n)
                return;
        if (n->sock)
                nl_socket_free(n->sock);
        free(n);
}

/* ---- reading links ---- */

static void parse_slave(struct nlattr *data, struct nl_link *l)
{
        struct nlattr *tb[IFLA_BRPORT_MAX + 1];

        if (nla_parse_nested(tb, IFLA_BRPORT_MAX, data, NULL) < 0 || !tb[IFLA_BRPORT_STATE])
                return;
        if (nla_len(tb[IFLA_BRPORT_STATE]) >= 1)
                l->port_state = nla_get_u8(tb[IFLA_BRPORT_STATE]);
}

static void text(const struct nlattr *a, char *ret, size_t size)
{
        if (a && nla_len(a) > 0 && memchr(nla_data(a), '\0', (size_t)nla_len(a)))
                str_copy(ret, size, nla_data(a));
}

static void parse_linkinfo(struct nlattr *info, struct nl_link *l)
{
        struct nlattr *tb[IFLA_INFO_MAX + 1];
        char slave[16] = "";

        if (nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
                return;
        text(tb[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
        text(tb[IFLA_INFO_SLAVE_KIND], slave, sizeof(slave));
        if (str_eq(slave, "bridge") && tb[IFLA_INFO_SLAVE_DATA])
                parse_slave(tb[IFLA_INFO_SLAVE_DATA], l);
}

static uint32_t number(const struct nlattr *a)
{
        return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

static bool nonzero(const struct nlattr *a)
{
        const unsigned char *p = a ? nla_data(a) : NULL;

        for (int i = 0; a && i < nla_len(a); i++)
                if (p[i])
                        return true;
        return false;
}

static bool has_token(struct nlattr *spec)
{
        struct nlattr *six = spec ? nla_find(nla_data(spec), nla_len(spec), AF_INET6) : NULL;

        return six && nonzero(nla_find(nla_data(six), nla_len(six), IFLA_INET6_TOKEN));
}

/* The address that reaches everybody: all ones where there is such a thing. */
static bool broadcast_changed(struct nlmsghdr *h)
{
        const struct ifinfomsg *i = nlmsg_data(h);
        const struct nlattr *a = nlmsg_find_attr(h, sizeof(*i), IFLA_BROADCAST);
        const unsigned char *p = a ? nla_data(a) : NULL;

        for (int k = 0; p && k < nla_len(a); k++)
                if (p[k] != (i->ifi_type == ARPHRD_ETHER ? 0xff : 0))
                        return i->ifi_type == ARPHRD_ETHER || i->ifi_type == ARPHRD_LOOPBACK;
        return false;
}

/* What `ip link set` and its like can change, and nobody keeps: each with what a link has from the start. */
static const char *odd(struct nlmsghdr *h)
{
        static const struct { int type; uint32_t from_start; const char *what; } numbers[] = {
                {IFLA_GROUP, 0, "a group of links"},
                {IFLA_GSO_MAX_SIZE, 65536, "a size of segments of its own (gso_max_size)"},
                {IFLA_GSO_MAX_SEGS, 65535, "a number of segments of its own (gso_max_segs)"},
                {IFLA_GRO_MAX_SIZE, 65536, "a size of segments of its own (gro_max_size)"},
                {63 /* IFLA_GSO_IPV4_MAX_SIZE, 6.3 */, 65536, "a size of segments of its own (gso_ipv4_max_size)"},
                {64 /* IFLA_GRO_IPV4_MAX_SIZE, 6.3 */, 65536, "a size of segments of its own (gro_ipv4_max_size)"},
        };
        const int head = sizeof(struct ifinfomsg);

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                const struct nlattr *a = nlmsg_find_attr(h, head, numbers[i].type);
                if (a && nla_len(a) == 4 && nla_get_u32(a) != numbers[i].from_start)
                        return numbers[i].what;
        }
        struct nlattr *xdp = nlmsg_find_attr(h, head, IFLA_XDP);
        if (xdp && nonzero(nla_find(nla_data(xdp), nla_len(xdp), IFLA_XDP_ATTACHED)))
                return "an XDP program";
        const struct nlattr *alias = nlmsg_find_attr(h, head, IFLA_IFALIAS);
        if (alias && nonzero(alias))
                return "an alias (ip link set alias)";
        if (nlmsg_find_attr(h, head, IFLA_PROP_LIST))
                return "other names (ip link property)";
        if (nonzero(nlmsg_find_attr(h, head, IFLA_PROTO_DOWN)) || nonzero(nlmsg_find_attr(h, head, IFLA_LINKMODE)))
                return "a state that a daemon has set (protodown, mode)";
        if (broadcast_changed(h))
                return "a broadcast address of its own (ip link set broadcast)";
        return has_token(nlmsg_find_attr(h, head, IFLA_AF_SPEC)) ? "a token for its addresses (ip token)" : NULL;
}

static bool parse_link(struct nlmsghdr *h, struct nl_link *ret)
{
        struct nlattr *tb[IFLA_MAX + 1];
        struct nl_link l = {};

        if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof(struct ifinfomsg), tb, IFLA_MAX, NULL) < 0)
                return false;
        const struct ifinfomsg *i = nlmsg_data(h);
        l.index = i->ifi_index;
        l.flags = i->ifi_flags;
        text(tb[IFLA_IFNAME], l.name, sizeof(l.name));
        l.master = (int)number(tb[IFLA_MASTER]);
        l.peer = (int)number(tb[IFLA_LINK]);
        l.mtu = number(tb[IFLA_MTU]);
        l.queue = number(tb[IFLA_TXQLEN]);
        l.odd = odd(h);
        if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == sizeof(l.mac))
                memcpy(l.mac, nla_data(tb[IFLA_ADDRESS]), sizeof(l.mac));
        if (tb[IFLA_LINKINFO])
                parse_linkinfo(tb[IFLA_LINKINFO], &l);
        *ret = l;
        return true;
}

struct links {
        struct nl_link *v;
        size_t n, cap;
        bool no_memory;
};

static int on_link(struct nl_msg *m, void *arg)
{
        struct links *ls = arg;
        struct nl_link l;

        if (ls->no_memory || !parse_link(nlmsg_hdr(m), &l))
                return NL_OK;
        if (ls->n == ls->cap) {
                size_t cap = ls->cap ? ls->cap * 2 : 16;
                struct nl_link *v = reallocarray(ls->v, cap, sizeof(*v));
                if (!v) {
                        ls->no_memory = true;
                        return NL_OK;
                }
                ls->v = v;
                ls->cap = cap;
        }
        ls->v[ls->n++] = l;
        return NL_OK;
}

/* Sends and takes every answer until the end of it or an error. */
static int ask(struct nl *n, struct nl_msg *m, struct links *ls)
{
        struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
        int r;

        if (!cb)
                return -NLE_NOMEM;
        r = nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_link, ls);
        if (r == 0)
                r = nl_send_auto(n->sock, m);
        if (r >= 0)
                r = nl_recvmsgs(n->sock, cb);
        nl_cb_put(cb);
        if (r >= 0 && !(nlmsg_hdr(m)->nlmsg_flags & NLM_F_DUMP))
                r = nl_wait_for_ack(n->sock);
        return r < 0 ? r : ls->no_memory ? -NLE_NOMEM : 0;
}

struct each { void (*each)(const struct nlmsghdr *h, void *arg); void *arg; };

static int on_message(struct nl_msg *m, void *arg)
{
        const struct each *e = arg;

        e->each(nlmsg_hdr(m), e->arg);
        return NL_OK;
}

int nl_ask(struct nl *n, int type, const void *head, size_t len, void (*each)(const struct nlmsghdr *h, void *arg), void *arg)
{
        struct each e = {each, arg};
        _cleanup_nlmsg_ struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_DUMP);
        struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
        int r = m && cb && nlmsg_append(m, (void *)(uintptr_t)head, len, NLMSG_ALIGNTO) == 0 ? 0 : -NLE_NOMEM;

        if (r == 0)
                r = nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, &e);
        if (r == 0)
                r = nl_send_auto(n->sock, m);
        if (r >= 0)
                r = nl_recvmsgs(n->sock, cb);
        nl_cb_put(cb);
        return r < 0 ? r : 0;
}

static struct nl_msg *link_msg(int type, int flags, int family, int index)
{
        struct ifinfomsg i = {.ifi_family = (unsigned char)family, .ifi_index = index};
        struct nl_msg *m = nlmsg_alloc_simple(type, flags);

        if (m && nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        return m;
}

static int check_name(const char *name, struct err *err)
{
        size_t n = strlen(name);

        if (n == 0 || n >= IFNAMSIZ)
                return err_set(err, EX_USAGE, "wrong link name", "it must have 1 to 15 characters", "\"%s\"", name);
        return 0;
}

int nl_link_get(struct nl *n, const char *name, struct nl_link *ret, struct err *err)
{
        _cleanup_nlmsg_ struct nl_msg *m = NULL;
        _cleanup_free_ struct nl_link *v = NULL;
        struct links ls = {};
        int r = check_name(name, err);

        if (r < 0)
                return r;
        m = link_msg(RTM_GETLINK, 0, AF_UNSPEC, 0);
        if (!m || nla_put_string(m, IFLA_IFNAME, name) < 0)
                return nl_failed(err, NLE_NOMEM, "cannot read a link", name);
        r = ask(n, m, &ls);
        v = ls.v;
        if (missing(r))
                return 1;
        if (r < 0)
                return nl_failed(err, r, "cannot read a link", name);
        if (ls.n != 1)
                return err_set(err, EX_KERNEL, "cannot read a link", "the kernel's answer has another form", "%s",
                               name);
        *ret = v[0];
        return 0;
}

int nl_links(struct nl *n, struct nl_link **ret, size_t *ret_n, struct err *err)
{
        _cleanup_nlmsg_ struct nl_msg *m = link_msg(RTM_GETLINK, NLM_F_DUMP, AF_UNSPEC, 0);
        struct links ls = {};

        if (!m)
                return nl_failed(err, NLE_NOMEM, "cannot list the links", "");
        int r = ask(n, m, &ls);
        if (r < 0) {
                free(ls.v);
                return nl_failed(err, r, "cannot list the links", "");
        }
        *ret = ls.v;
        *ret_n = ls.n;
        return 0;
}

int nl_index(struct nl *n, const char *name, struct err *err)
{
        struct nl_link l;
        int r = nl_link_get(n, name, &l, err);

        if (r == 1)
                return err_set(err, EX_UNKNOWN, "no such link", "this network namespace has none of that name", "%s",
                               name);
        return r < 0 ? r : l.index;
}

struct nl_names {
        struct nl_link *v;
        size_t n;
};

int nl_names_read(struct nl *n, struct nl_names **ret, struct err *err)
{
        struct nl_names *names = calloc(1, sizeof(*names));

        if (!names)
                return nl_failed(err, NLE_NOMEM, "cannot list the links", "");
        int r = nl_links(n, &names->v, &names->n, err);
        if (r < 0) {
                free(names);
                return r;
        }
        *ret = names;
        return 0;
}

const char *nl_name(const struct nl_names *names, int index)
{
        for (size_t i = 0; i < names->n; i++)
                if (names->v[i].index == index)
                        return names->v[i].name;
        return "";
}

void nl_names_free(struct nl_names *names)
{
        if (!names)
                return;
        free(names->v);
        free(names);
}

/* ---- changing links ---- */

static int send_change(struct nl *n, struct nl_msg **m)
{
        return nl_send_sync(n->sock, TAKE_PTR(*m)); /* frees it */
}

/* The other end: VETH_INFO_PEER holds a link message of its own. */
static int put_peer(struct nl_msg *m, int netns_fd, const char *inner, const unsigned char *mac)
{
        struct ifinfomsg i = {};
        struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO), *data = NULL, *peer = NULL;

        if (!info || nla_put_string(m, IFLA_INFO_KIND, "veth") < 0)
                return -NLE_NOMEM;
        data = nla_nest_start(m, IFLA_INFO_DATA);
        peer = data ? nla_nest_start(m, VETH_INFO_PEER) : NULL;
        if (!peer || nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO) < 0 || nla_put_string(m, IFLA_IFNAME, inner) < 0)
                return -NLE_NOMEM;
        if (netns_fd >= 0 && nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)netns_fd) < 0)
                return -NLE_NOMEM;
        if (mac && nla_put(m, IFLA_ADDRESS, 6, mac) < 0)
                return -NLE_NOMEM;
        nla_nest_end(m, peer);
        nla_nest_end(m, data);
        nla_nest_end(m, info);
        return 0;
}

int nl_veth_create(struct nl *n, const char *name, const char *bridge, int netns_fd, const char *inner,
                   const unsigned char mac[6], struct err *err)
{
        static const char what[] = "cannot make a link";
        _cleanup_nlmsg_ struct nl_msg *m = NULL;
        unsigned char own[6];
        int master = 0, r = check_name(name, err);

        if (r == 0)
                r = check_name(inner, err);
        if (r == 0 && bridge)
                r = master = nl_index(n, bridge, err);
        if (r < 0)
                return r;
        if (getrandom(own, sizeof(own), 0) != sizeof(own))
                return err_sys(err, EX_FAIL, errno, what, "%s", name);
        own[0] = 0xfe;
        m = link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0);
        if (!m || nla_put_string(m, IFLA_IFNAME, name) < 0 || nla_put(m, IFLA_ADDRESS, sizeof(own), own) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        if (master && nla_put_u32(m, IFLA_MASTER, (uint32_t)master) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        r = put_peer(m, netns_fd, inner, mac);
        if (r == 0)
                r = send_change(n, &m);
        return r < 0 ? nl_failed(err, r, what, name) : 0;
}

int nl_link_up(struct nl *n, const char *name, bool up, struct err *err)
{
        static const char what[] = "cannot set a link up or down";
        struct ifinfomsg i = {.ifi_change = IFF_UP, .ifi_flags = up ? IFF_UP : 0};
        int index = nl_index(n, name, err);

        if (index < 0)
                return index;
        i.ifi_index = index;
        _cleanup_nlmsg_ struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWLINK, 0);
        if (!m || nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        int r = send_change(n, &m);
        return r < 0 ? nl_failed(err, r, what, name) : 0;
}

int nl_link_mtu(struct nl *n, const char *name, unsigned mtu, struct err *err)
{
        static const char what[] = "cannot set the MTU of a link";
        int index = nl_index(n, name, err);

        if (index < 0)
                return index;
        _cleanup_nlmsg_ struct nl_msg *m = link_msg(RTM_NEWLINK, 0, AF_UNSPEC, index);
        if (!m || nla_put_u32(m, IFLA_MTU, mtu) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        int r = send_change(n, &m);
        return r < 0 ? nl_failed(err, r, what, name) : 0;
}

int nl_link_tune(struct nl *n, const char *name, unsigned flags, unsigned mtu, unsigned queue, struct err *err)
{
        static const char what[] = "cannot set up a link";
        struct ifinfomsg i = {.ifi_change = NL_LINK_FLAGS, .ifi_flags = flags & NL_LINK_FLAGS};
        int index = nl_index(n, name, err);

        if (index < 0)
                return index;
        i.ifi_index = index;
        _cleanup_nlmsg_ struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWLINK, 0);
        if (!m || nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO) < 0 || nla_put_u32(m, IFLA_MTU, mtu) < 0 ||
            nla_put_u32(m, IFLA_TXQLEN, queue) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        int r = send_change(n, &m);
        return r < 0 ? nl_failed(err, r, what, name) : 0;
}

int nl_link_features(const char *name, uint32_t ret[NL_FEATURES], struct err *err)
{
        struct { struct ethtool_gfeatures f; struct ethtool_get_features_block block[NL_FEATURES]; } x = {
                .f = {.cmd = ETHTOOL_GFEATURES, .size = NL_FEATURES}};
        struct ifreq r = {.ifr_data = (char *)&x};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        str_copy(r.ifr_name, sizeof(r.ifr_name), name);
        if (fd < 0 || ioctl(fd, SIOCETHTOOL, &r) < 0)
                return err_sys(err, EX_KERNEL, errno, "cannot ask for the features of a link", "%s", name);
        for (unsigned i = 0; i < NL_FEATURES; i++)
                ret[i] = i < x.f.size ? x.block[i].requested : 0;
        return 0;
}

int nl_link_channels(const char *name, uint32_t ret[3], struct err *err)
{
        struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
        struct ifreq r = {.ifr_data = (char *)&c};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        str_copy(r.ifr_name, sizeof(r.ifr_name), name);
        if (fd < 0 || (ioctl(fd, SIOCETHTOOL, &r) < 0 && errno != EOPNOTSUPP))
                return err_sys(err, EX_KERNEL, errno, "cannot ask for the queues of a link", "%s", name);
        ret[0] = c.rx_count;
        ret[1] = c.tx_count;
        ret[2] = c.combined_count;
        return 0;
}

int nl_link_delete(struct nl *n, const char *name, struct err *err)
{
        struct nl_link l;
        int r = nl_link_get(n, name, &l, err);

        if (r != 0)
                return r < 0 ? r : 0;
        _cleanup_nlmsg_ struct nl_msg *m = link_msg(RTM_DELLINK, 0, AF_UNSPEC, l.index);
        if (!m)
                return nl_failed(err, NLE_NOMEM, "cannot delete a link", name);
        r = send_change(n, &m);
        return r < 0 && !missing(r) ? nl_failed(err, r, "cannot delete a link", name) : 0;
}

/* ---- the packet block ---- */

int nl_link_autoconf(struct nl *n, const char *name, bool on, struct err *err)
{
        static const char what[] = "cannot set the IPv6 address generation of a link";
        struct nl_link l;
        int r = nl_link_get(n, name, &l, err);

        if (r != 0)
                return r < 0 ? r : nl_failed(err, NLE_NODEV, what, name);
        _cleanup_nlmsg_ struct nl_msg *m = link_msg(RTM_SETLINK, 0, AF_UNSPEC, l.index);
        struct nlattr *spec = m ? nla_nest_start(m, IFLA_AF_SPEC | NLA_F_NESTED) : NULL;
        struct nlattr *six = spec ? nla_nest_start(m, AF_INET6 | NLA_F_NESTED) : NULL;
        if (!six || nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, on ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE) < 0)
                return nl_failed(err, NLE_NOMEM, what, name);
        nla_nest_end(m, six);
        nla_nest_end(m, spec);
        r = send_change(n, &m);
        return r < 0 && r != -NLE_AF_NOSUPPORT ? nl_failed(err, r, what, name) : 0;
}

static int set_port_state(struct nl *n, const char *port, int index, uint8_t state, struct err *err)
{
        static const char what[] = "cannot set the state of a bridge port";
        _cleanup_nlmsg_ struct nl_msg *m = link_msg(RTM_SETLINK, 0, AF_BRIDGE, index);
        struct nlattr *info = m ? nla_nest_start(m, IFLA_PROTINFO | NLA_F_NESTED) : NULL;

        if (!info || nla_put_u8(m, IFLA_BRPORT_STATE, state) < 0)
                return nl_failed(err, NLE_NOMEM, what, port);
        nla_nest_end(m, info);
        int r = send_change(n, &m);
        if (r < 0) {
                int ret = nl_failed(err, r, what, port);
                if (err && r == -NLE_BUSY)
                        err_remedy(err, "turn the spanning tree protocol of the bridge off");
                return ret;
        }
        return 0;
}

int nl_port_block(struct nl *n, const char *port, bool blocked, struct err *err)
{
        uint8_t want = blocked ? BR_STATE_DISABLED : BR_STATE_FORWARDING;
        struct nl_link l;
        int r = nl_link_get(n, port, &l, err);

        if (r == 1)
                return err_set(err, EX_UNKNOWN, "no such link", "this network namespace has none of that name", "%s",
                               port);
        if (r < 0)
                return r;
        if (!l.master)
                return err_set(err, EX_STATE, "cannot set the state of a bridge port", "the link is on no bridge",
                               "%s", port);
        r = set_port_state(n, port, l.index, want, err);
        if (r == 0)
                r = nl_link_get(n, port, &l, err);
        if (r < 0)
                return r;
        if (r == 1 || l.port_state != want)
                return err_set(err, EX_KERNEL, "cannot set the state of a bridge port",
                               "the kernel accepted it and kept another state", "%s", port);
        return 0;
}
