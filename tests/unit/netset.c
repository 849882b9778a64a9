/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which settings of a network namespace differ from a new one's: a link begins with what `default` has. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checkpoint/netset.h"

static void fill(struct net_settings *s, const char *const rows[][2], size_t n)
{
        s->at = calloc(n, sizeof(*s->at));
        cr_assert_not_null(s->at);
        for (s->n = 0; s->n < n; s->n++)
                s->at[s->n] = (struct net_setting){strdup(rows[s->n][0]), strdup(rows[s->n][1]), false};
}

Test(netset, compared)
{
        static const char *const fresh_rows[][2] = {
                {"net/ipv4/conf/default/rp_filter", "0"}, {"net/ipv4/conf/lo/rp_filter", "1"}, {"net/ipv4/neigh/default/locktime", "100"},
                {"net/ipv4/tcp_sack", "1"},
        };
        static const char *const rows[][2] = {
                {"net/ipv4/conf/eth0/rp_filter", "0"}, {"net/ipv4/conf/eth1/rp_filter", "2"}, {"net/ipv4/conf/lo/rp_filter", "0"},
                {"net/ipv4/neigh/eth0/locktime", "100"}, {"net/ipv4/no_such", "1"}, {"net/ipv4/tcp_sack", "1"},
        };
        static const bool changed[] = {false, true, true, false, true, false};
        struct net_settings fresh = {}, s = {};

        fill(&fresh, fresh_rows, ELEMENTSOF(fresh_rows));
        fill(&s, rows, ELEMENTSOF(rows));
        net_settings_compare(&s, &fresh);
        for (size_t i = 0; i < s.n; i++)
                cr_assert_eq(s.at[i].changed, changed[i], "%s", s.at[i].name);
        cr_assert_str_eq(net_settings_get(&s, "net/ipv4/tcp_sack"), "1");
        cr_assert_null(net_settings_get(&s, "net"));
        net_settings_done(&s);
        cr_assert_null(net_settings_get(&s, "net"));
        net_settings_done(&fresh);
}
