/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the net namespace: nothing outside of net/ can be written; what is right already is left alone. */
#include "proto/ns-net.pb-c.h"
#include "tests/unit/records.h"

typedef Gantry__NsNet__Setting Setting;

/* What the namespace has, in the place of a real one. */
int restore_settings(struct restore *rs, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        static const struct net_setting now[] = {
                {"net/ipv4/conf/eth0/forwarding", "0", false}, {"net/ipv4/ip_forward", "0", false}, {"net/ipv4/tcp_rmem", "4096\t8192\t16384", false},
        };

        (void)rs, (void)err;
        *ret = now;
        *ret_n = ELEMENTSOF(now);
        return 0;
}

int dump_settings(struct dump *d, const struct net_setting **ret, size_t *ret_n, struct err *err)
{
        static const struct net_setting all[] = {
                {"net/ipv4/conf/all/rp_filter", "2", true},   {"net/ipv4/conf/eth0/rp_filter", "0", false},
                {"net/ipv4/conf/default/rp_filter", "0", false}, {"net/ipv4/ip_forward", "1", true},
                {"net/ipv4/ip_local_reserved_ports", "", false}, {"net/ipv4/tcp_fastopen_key", "00000000-00000000-00000000-00000000", true},
                {"net/ipv4/tcp_sack", "1", false},
        };

        (void)d, (void)err;
        *ret = all;
        *ret_n = ELEMENTSOF(all);
        return 0;
}

Test(ns_net, order)
{
        static const char *const want[] = {"net/ipv4/ip_forward", "net/ipv4/tcp_sack", "net/ipv4/conf/all/rp_filter",
                                           "net/ipv4/conf/default/rp_filter", "net/ipv4/conf/eth0/rp_filter"};
        struct facts f = {.cls = CLS_NS, .ns = {.type = NS_NET}};
        struct kt *t = kt_new();
        uint64_t id = kt_add(t, &kind_ns_net, &f);

        kt_dump(t);
        const Gantry__NsNet *m = (const void *)kt_record(t, id)->msg;
        cr_assert_eq(m->n_setting, ELEMENTSOF(want));
        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                cr_assert(m->setting[i]->name.len == strlen(want[i]) && memcmp(m->setting[i]->name.data, want[i], strlen(want[i])) == 0,
                          "%zu is %.*s", i, (int)m->setting[i]->name.len, (const char *)m->setting[i]->name.data);
        cr_assert(m->setting[0]->changed && !m->setting[1]->changed);
        kt_free(t);
}

Test(ns_net, records)
{
        Gantry__NsNet m = GANTRY__NS_NET__INIT;
        Setting s = GANTRY__NS_NET__SETTING__INIT, *list[] = {&s};

        ACCEPTED(&kind_ns_net, m);
        s.name = TEXT("net/ipv4/ip_forward");
        s.value = TEXT("1");
        m.n_setting = 1;
        m.setting = list;
        ACCEPTED(&kind_ns_net, m);
        PLANNED(&kind_ns_net, m, PH_MOUNTS, "/proc/sys/net/ipv4/ip_forward");
        s.value = TEXT("");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a setting without a value");
        s.value = TEXT("1\0002");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a value with a NUL");
        s.value = TEXT("1");
        s.name = TEXT("kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a setting of the node");
        s.name = TEXT("net/ipv4/ip_forward/../../../kernel/core_pattern");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a path that leads out");
        s.name = TEXT("net/./ipv4");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "a step on the spot");
        s.name = TEXT("net//ipv4");
        cr_assert_eq(rec_check(&kind_ns_net, &m.base), EX_IMAGE, "no name");
}

/* Forwarding as a whole sets that of links: what looks right is written again. */
Test(ns_net, written)
{
        Gantry__NsNet m = GANTRY__NS_NET__INIT;
        Setting a = GANTRY__NS_NET__SETTING__INIT, b = GANTRY__NS_NET__SETTING__INIT, c = GANTRY__NS_NET__SETTING__INIT;
        Setting *list[] = {&a, &b, &c};

        a.name = TEXT("net/ipv4/ip_forward");
        a.value = TEXT("0");
        b.name = TEXT("net/ipv4/tcp_rmem");
        b.value = TEXT("4096\t8192\t16384");
        c.name = TEXT("net/ipv4/conf/eth0/forwarding");
        c.value = TEXT("0");
        m.n_setting = 3;
        m.setting = list;
        char *p = rec_plan(&kind_ns_net, &m.base, PH_MOUNTS);
        cr_assert(!p || !strstr(p, "openat"), "all is right, and yet:\n%s", p);
        free(p);
        a.value = TEXT("1");
        p = rec_plan(&kind_ns_net, &m.base, PH_MOUNTS);
        cr_assert(p && strstr(p, "conf/eth0/forwarding") && !strstr(p, "tcp_rmem"), "%s", p);
        free(p);
        m.n_setting = 1;
        a.name = TEXT("net/ipv4/no_such");
        p = rec_plan(&kind_ns_net, &m.base, PH_MOUNTS);
        cr_assert(!p || !strstr(p, "openat"), "not here, and not changed there");
        free(p);
}

Test(ns_net, not_here)
{
        struct kt *t = kt_new();
        struct facts f = {.cls = CLS_NS, .ns = {.type = NS_NET}};
        Gantry__NsNet m = GANTRY__NS_NET__INIT;
        Setting a = GANTRY__NS_NET__SETTING__INIT, *list[] = {&a};
        struct err err = {};
        uint64_t entries;

        a.name = TEXT("net/ipv4/no_such");
        a.value = TEXT("1");
        a.has_changed = a.changed = true;
        m.n_setting = 1;
        m.setting = list;
        kt_give(t, kt_add(t, &kind_ns_net, &f), &kind_ns_net, rec_copy(&m.base));
        cr_assert_eq(kt_try_restore(t, 0, &entries, &err), -EX_UNSUPPORTED);
        cr_assert(strstr(err.on, "no_such"), "%s", err.on);
        kt_free(t);
}
