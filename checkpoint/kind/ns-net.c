/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A network namespace: the settings below /proc/sys/net that belong to a namespace and that its own root may write.
 *
 * Only a task in the namespace can ask: /proc/sys shows the settings of whoever reads it. They are read by init's tape and
 * written again by it when /proc is mounted, all of them, because what a new namespace starts with depends on the node.
 * One that this kernel does not have, or has read-only for a user namespace, is not recorded. Settings of single links
 * (conf/eth0) follow conf/default and conf/all, which are set before links get addresses anew.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-net.pb-c.h"

#define VALUE 128u

static const char *const settings[] = {
#define V4(x) "net/ipv4/" x
#define CONF4(x) "net/ipv4/conf/all/" x, "net/ipv4/conf/default/" x
#define CONF6(x) "net/ipv6/conf/all/" x, "net/ipv6/conf/default/" x
        "net/unix/max_dgram_qlen", "net/core/somaxconn",
        CONF4("accept_local"), CONF4("accept_redirects"), CONF4("accept_source_route"), CONF4("arp_accept"),
        CONF4("arp_announce"), CONF4("arp_filter"), CONF4("arp_ignore"), CONF4("arp_notify"), CONF4("forwarding"),
        CONF4("log_martians"), CONF4("proxy_arp"), CONF4("route_localnet"), CONF4("rp_filter"), CONF4("secure_redirects"),
        CONF4("send_redirects"), CONF4("src_valid_mark"),
        CONF6("accept_dad"), CONF6("accept_ra"), CONF6("accept_redirects"), CONF6("addr_gen_mode"), CONF6("autoconf"),
        CONF6("disable_ipv6"), CONF6("forwarding"), CONF6("hop_limit"), CONF6("use_tempaddr"),
        V4("icmp_echo_ignore_all"), V4("icmp_echo_ignore_broadcasts"), V4("icmp_ratelimit"), V4("icmp_ratemask"),
        V4("ip_default_ttl"), V4("ip_forward"), V4("ip_local_port_range"), V4("ip_local_reserved_ports"), V4("ip_no_pmtu_disc"),
        V4("ip_nonlocal_bind"), V4("ip_unprivileged_port_start"), V4("ping_group_range"), V4("tcp_abort_on_overflow"),
        V4("tcp_congestion_control"), V4("tcp_dsack"), V4("tcp_ecn"), V4("tcp_fastopen"), V4("tcp_fin_timeout"), V4("tcp_frto"),
        V4("tcp_keepalive_intvl"), V4("tcp_keepalive_probes"), V4("tcp_keepalive_time"), V4("tcp_max_syn_backlog"),
        V4("tcp_moderate_rcvbuf"), V4("tcp_mtu_probing"), V4("tcp_no_metrics_save"), V4("tcp_notsent_lowat"), V4("tcp_retries1"),
        V4("tcp_retries2"), V4("tcp_rmem"), V4("tcp_sack"), V4("tcp_slow_start_after_idle"), V4("tcp_syn_retries"),
        V4("tcp_synack_retries"), V4("tcp_syncookies"), V4("tcp_timestamps"), V4("tcp_tw_reuse"), V4("tcp_window_scaling"),
        V4("tcp_wmem"),
};
#define N_SETTINGS ELEMENTSOF(settings)

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_NET);
}

static uint32_t open_setting(struct tape *t, const char *name, int flags)
{
        char path[80];

        snprintf(path, sizeof(path), "/proc/sys/%s", name);
        return TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(flags | O_CLOEXEC), A_IMM(0));
}

/* For each: open for reading and writing, which tells whether it can be restored; read; close. */
static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t text = tape_data(t, NULL, N_SETTINGS * VALUE);
        for (uint32_t i = 0; i < N_SETTINGS; i++) {
                uint32_t fd = open_setting(t, settings[i], O_RDWR);
                tape_may_fail(t, fd, 0);
                tape_may_fail(t, TAPE(t, __NR_read, A_RET(fd), A_DATA(text + i * VALUE), A_IMM(VALUE - 1)), 0);
                tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
        }
        return 0;
}

static int take_setting(Gantry__NsNet *m, const char *name, const char *value, struct err *err)
{
        Gantry__NsNet__Setting *s = KIND_NEW(Gantry__NsNet__Setting, gantry__ns_net__setting__init);

        if (!s)
                return kind_nomem(err);
        m->setting[m->n_setting++] = s;
        int r = field_set_text(&s->name, name, err);
        return r < 0 ? r : field_set_text(&s->value, value, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const char *text = tape_out(t, 0);
        int r = 0;

        (void)d;
        (void)fd;
        Gantry__NsNet *m = KIND_NEW(Gantry__NsNet, gantry__ns_net__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->setting = kind_calloc(N_SETTINGS, sizeof(*m->setting));
        if (!m->setting)
                return kind_nomem(err);
        for (uint32_t i = 0; i < N_SETTINGS && r >= 0; i++) {
                char value[VALUE];
                if (tape_ret(t, 3 * i) < 0 || tape_ret(t, 3 * i + 1) <= 1)
                        continue;   /* not here, not writable, or an empty list */
                str_copy(value, sizeof(value), text + i * VALUE);
                value[strcspn(value, "\n")] = '\0';
                if (value[0])
                        r = take_setting(m, settings[i], value, err);
        }
        return r < 0 ? r : field_record(&kind_ns_net, o, &guard, ret);
}

static const char *known(const ProtobufCBinaryData *name)
{
        for (size_t i = 0; i < N_SETTINGS; i++)
                if (name->len == strlen(settings[i]) && memcmp(name->data, settings[i], name->len) == 0)
                        return settings[i];
        return NULL;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsNet *m = (const Gantry__NsNet *)r->msg;

        (void)need;
        for (size_t i = 0; i < m->n_setting; i++)
                if (!known(&m->setting[i]->name) || !field_is_text(&m->setting[i]->value, VALUE))
                        return kind_bad(&kind_ns_net, r, err, "a setting is unknown, or has no value");
        return 0;
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsNet *m = (const Gantry__NsNet *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        for (size_t i = 0; i < m->n_setting; i++) {
                const ProtobufCBinaryData *v = &m->setting[i]->value;
                const char *name = known(&m->setting[i]->name);
                tape_label(t, "set %s (ns-net %llu)", name, (unsigned long long)r->id);
                uint32_t fd = open_setting(t, name, O_WRONLY);
                TAPE(t, __NR_write, A_RET(fd), A_DATA(field_tape(t, v)), A_IMM(v->len));
                TAPE(t, __NR_close, A_RET(fd));
        }
        return 0;
}

const struct kind kind_ns_net = {
        .stem = "ns-net",
        .number = KIND_NS_NET,
        .cls = CLS_NS,
        .msg = &gantry__ns_net__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MOUNTS] = plan_mounts},
};
