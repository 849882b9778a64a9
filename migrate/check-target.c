/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target's half of the check (migrate/check.h): every reason why this container cannot come to this node, at once,
 * because an administrator who mends one at a time asks five times.
 *
 * Names, uuids, addresses and hardware addresses are compared with all containers of the node, but not with those that
 * moved away (they are kept, not run). Nothing is reserved: what changes between the check and the move fails there.
 */
#include "migrate/check.h"

#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/netlink.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/cpu.h"
#include "migrate/msg.h"
#include "migrate/wire.pb-c.h"

#define SPARE ((uint64_t)64 << 20)     /* of disk and memory, for everything that is not the container's */

struct look {
        struct node *node;
        const Gantry__WireCheck *m;
        struct ct_config config;
        struct findings *out;
        int failed;                      /* out of memory while noting */
};

static void found(struct look *l, const struct err *e)
{
        if (findings_add(l->out, e) < 0)
                l->failed = -EX_NOSPC;
}

static void PRINTF(4, 5) say(struct look *l, int code, const char *what, const char *why_fmt, ...)
{
        struct err e = {0};
        char why[sizeof(e.why)];
        va_list ap;

        va_start(ap, why_fmt);
        vsnprintf(why, sizeof(why), why_fmt, ap);
        va_end(ap);
        err_set(&e, code, what, why, "%s", l->m->name);
        found(l, &e);
}

static bool same_ip(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->family == b->family && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static bool has_ip(const struct ct_config *c, const struct ip_prefix *ip)
{
        for (size_t i = 0; i < c->n_ip4; i++)
                if (same_ip(&c->ip4[i], ip))
                        return true;
        for (size_t i = 0; i < c->n_ip6; i++)
                if (same_ip(&c->ip6[i], ip))
                        return true;
        return false;
}

static bool shares_ip(const struct ct_config *a, const struct ct_config *b)
{
        for (size_t i = 0; i < a->n_ip4; i++)
                if (has_ip(b, &a->ip4[i]))
                        return true;
        for (size_t i = 0; i < a->n_ip6; i++)
                if (has_ip(b, &a->ip6[i]))
                        return true;
        return false;
}

static void against(struct look *l, const char *name)
{
        struct ct *ct = NULL;
        enum ct_state state;
        struct err ignored;

        if (str_eq(name, l->m->name))
                say(l, EX_EXISTS, "the name is taken on the target", "a container named %s is there", name);
        /* A container that cannot be read is that node's problem; what it may hold cannot be compared. */
        if (ct_open(l->node, name, CT_LOCK_NONE, &ct, &ignored) < 0)
                return;
        const struct ct_config *other = ct_config(ct);
        if (ct_state(ct, &state, &ignored) == 0 && state != CT_MOVED) {
                if (str_eq(other->uuid, l->config.uuid))
                        say(l, EX_EXISTS, "the uuid is taken on the target", "container %s has it", name);
                if (memcmp(other->mac, l->config.mac, 6) == 0)
                        say(l, EX_EXISTS, "the hardware address is taken on the target", "container %s has it", name);
                if (shares_ip(&l->config, other))
                        say(l, EX_EXISTS, "an address is taken on the target", "container %s has it", name);
        }
        ct_close(ct);
}

static int containers(struct look *l, struct err *err)
{
        char **names = NULL, incoming[CT_NAME_MAX + 16];
        size_t n = 0;
        int r = ct_names(l->node, &names, &n, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                against(l, names[i]);
                free(names[i]);
        }
        free(names);
        snprintf(incoming, sizeof(incoming), "ct/%s.incoming", l->m->name);
        if (path_exists(node_lib_dirfd(l->node), incoming)) {
                struct err e = {0};
                err_set(&e, EX_EXISTS, "the name is taken on the target", "another migration of that name is under way or was cut",
                        "%s", l->m->name);
                err_remedy(&e, "run `ctrmigrate --resolve %s` on the target", l->m->name);
                found(l, &e);
        }
        return 0;
}

static int network(struct look *l, struct err *err)
{
        const char *bridge = l->config.bridge[0] ? l->config.bridge : node_config(l->node)->bridge;
        struct nl *nl = NULL;
        struct nl_link link;
        struct nl_addr *addrs = NULL;
        size_t n = 0;

        int r = nl_open(&nl, err);
        if (r < 0)
                return r;
        r = nl_link_get(nl, bridge, &link, err);
        if (r == 1)
                say(l, EX_UNKNOWN, "the bridge is missing on the target", "no link named %s", bridge);
        else if (r == 0 && !str_eq(link.kind, "bridge"))
                say(l, EX_UNKNOWN, "the bridge is missing on the target", "%s is no bridge", bridge);
        if (r >= 0)
                r = nl_addrs(nl, &addrs, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (has_ip(&l->config, &addrs[i].ip))
                        say(l, EX_EXISTS, "an address is taken on the target", "the node has it on %s", addrs[i].link);
        free(addrs);
        nl_free(nl);
        return r;
}

static uint64_t memory_available(void)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        uint64_t kib = 0;

        if (path_read(AT_FDCWD, "/proc/meminfo", &text, &n, NULL) < 0)
                return UINT64_MAX;
        const char *p = strstr(text, "MemAvailable:");
        if (!p)
                return UINT64_MAX;
        for (p += 13; *p == ' '; p++)
                ;
        return scan_u64(&p, &kib) ? kib * 1024 : UINT64_MAX;
}

static void room(struct look *l)
{
        struct statvfs v;
        struct idmap ids;
        struct err e = {0};
        uint64_t memory = memory_available();

        if (fstatvfs(node_lib_dirfd(l->node), &v) == 0) {
                uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
                if (l->m->image_allocated > UINT64_MAX - SPARE || free_bytes < l->m->image_allocated + SPARE)
                        say(l, EX_NOSPC, "not enough disk space on the target", "%llu MiB are needed, %llu are free",
                            (unsigned long long)((l->m->image_allocated >> 20) + 64), (unsigned long long)(free_bytes >> 20));
        }
        if (l->m->memory_used > UINT64_MAX - SPARE || memory < l->m->memory_used + SPARE)
                say(l, EX_NOSPC, "not enough memory on the target", "%llu MiB are needed, %llu are available",
                    (unsigned long long)((l->m->memory_used >> 20) + 64), (unsigned long long)(memory >> 20));
        if (node_idmap_free(l->node, l->config.idmap.count, &ids, &e) < 0)
                found(l, &e);
}

static int processor(struct look *l, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        const char *have[CPU_MAX];
        int r = cpu_flags_read(&text, err);

        if (r < 0)
                return r;
        size_t n = cpu_features(text, have, ELEMENTSOF(have));
        for (size_t i = 0; i < l->m->n_cpu; i++)
                if (cpu_lacks(have, n, &l->m->cpu[i], 1))
                        say(l, EX_UNSUPPORTED, "the target's CPU lacks a feature", "%s", l->m->cpu[i]);
        return 0;
}

static void kernel(struct look *l)
{
        struct cgroups *c = NULL;
        struct err e = {0};

        if (cgroups_open(&c, &e) < 0)
                found(l, &e);
        cgroups_free(c);
}

int check_target(struct node *n, const Gantry__WireCheck *m, struct findings *ret, struct err *err)
{
        struct look l = {.node = n, .m = m, .out = ret};
        struct err e = {0};
        int r;

        if (parse_label(m->name, &e) < 0)
                return err_set(err, EX_PEER, "the other node broke the protocol", "not the name of a container", "%.64s", m->name);
        if (ct_config_parse(m->config, strlen(m->config), "ct.conf", &l.config, &e) < 0) {
                found(&l, &e);
                return l.failed;
        }
        if (!l.config.image || strchr(l.config.image, '/'))
                say(&l, EX_UNSUPPORTED, "the disk image cannot be moved", "%s is not in the container's directory",
                    l.config.image ? l.config.image : "it");
        r = containers(&l, err);
        if (r == 0)
                r = network(&l, err);
        if (r == 0)
                r = processor(&l, err);
        if (r == 0) {
                room(&l);
                kernel(&l);
                r = l.failed;
        }
        ct_config_done(&l.config);
        return r;
}

int check_answer(struct wire *w, const struct findings *f, struct err *err)
{
        Gantry__WireFindings m = GANTRY__WIRE_FINDINGS__INIT;
        Gantry__WireError *at = calloc(f->n + 1, sizeof(*at));
        Gantry__WireError **list = calloc(f->n + 1, sizeof(void *));
        int r = 0;

        if (!at || !list)
                r = err_sys(err, EX_FAIL, ENOMEM, "cannot answer the check", "%s", "");
        for (size_t i = 0; r == 0 && i < f->n; i++) {
                gantry__wire_error__init(&at[i]);
                at[i].code = (uint32_t)f->at[i].code;
                at[i].what = f->at[i].what;
                at[i].on = f->at[i].on;
                at[i].why = f->at[i].why;
                at[i].remedy = f->at[i].remedy;
                list[i] = &at[i];
        }
        if (r == 0) {
                m.n_finding = f->n;
                m.finding = list;
                r = msg_send(w, MSG_FINDINGS, &m.base, err);
        }
        free(at);
        free(list);
        return r;
}
