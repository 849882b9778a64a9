/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ct.conf: one table of keys, a parser on top of ini.c, a writer for new files and the editor-safe set.
 *
 * The table is the only place that knows a key: its section, the function that reads its value, whether a file without
 * it is complete, and whether a change takes effect on a running container. Unknown keys are errors, not warnings: a
 * typo in `memory` must not start a container without a limit. A key given twice is one too.
 */
#include "engine/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "engine/command.h"
#include "engine/ini.h"

#define IDS_MIN 65536
#define PIDS_MAX 4194304

static int refuse(struct err *err, const char *why)
{
        return err_set(err, EX_CONFIG, "wrong value", why, "%s", "");
}

static int nomem(struct err *err)
{
        return err_set(err, EX_NOSPC, "cannot read the configuration", "out of memory", "%s", "");
}

bool uuid_valid(const char *s)
{
        for (int i = 0; i < 36; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;
                if (dash ? s[i] != '-' : !((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
                        return false;
        }
        return s[36] == '\0';
}

int uuid_new(char ret[37], struct err *err)
{
        unsigned char u[16];
        char *p = ret;

        if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
                return err_set(err, EX_FAIL, "cannot make a uuid", "no random bytes", "%s", "");
        u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
        u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
        for (int i = 0; i < 16; i++)
                p += snprintf(p, 4, "%02x%s", u[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
        return 0;
}

void mac_from_uuid(const char *uuid, unsigned char ret[6])
{
        char hex[11] = "";
        uint64_t v = 0;
        const char *p = hex;

        snprintf(hex, sizeof(hex), "%.2s%.8s", uuid + 34, uuid);
        (void)scan_hex64(&p, &v); /* a uuid is hex digits; otherwise the zero will do */
        ret[0] = 0x02;
        for (int i = 0; i < 5; i++)
                ret[1 + i] = (unsigned char)(v >> (32 - 8 * i));
}

void prefix_format(const struct ip_prefix *p, bool with_bits, char *ret, size_t size)
{
        char a[INET6_ADDRSTRLEN] = "?";

        (void)inet_ntop(p->family, p->addr, a, sizeof(a)); /* "?" for a family that no parser lets in */
        if (with_bits)
                snprintf(ret, size, "%s/%u", a, p->bits);
        else
                snprintf(ret, size, "%s", a);
}

/* ---- one function per key ---- */

static int set_uuid(struct ct_config *c, const char *v, struct err *err)
{
        if (strlen(v) != 36 || !uuid_valid(v))
                return refuse(err, "a uuid is 8-4-4-4-12 lower-case hexadecimal digits");
        str_copy(c->uuid, sizeof(c->uuid), v);
        return 0;
}

static int set_init(struct ct_config *c, const char *v, struct err *err)
{
        _cleanup_free_ char **argv = NULL;
        int r = command_split(v, &argv, err);

        if (r < 0)
                return r;
        c->init = strdup(v);
        return c->init ? 0 : nomem(err);
}

static int set_image(struct ct_config *c, const char *v, struct err *err)
{
        if (str_starts(v, "../") || strstr(v, "/../") || strchr(v, '"'))
                return refuse(err, "an image is a file of the container's directory or an absolute path");
        c->image = strdup(v);
        return c->image ? 0 : nomem(err);
}

static int set_size(struct ct_config *c, const char *v, struct err *err)
{
        int r = parse_size(v, &c->size, err);

        if (r == 0 && (c->size < (UINT64_C(16) << 20) || c->size % 4096))
                return refuse(err, "an image has 16M or more, in multiples of 4K");
        return r;
}

static int set_idmap(struct ct_config *c, const char *v, struct err *err)
{
        const char *p = v;
        uint64_t base, count;

        if (!scan_u64(&p, &base) || !scan_skip(&p, ":") || !scan_u64(&p, &count) || *p)
                return refuse(err, "an id map is BASE:COUNT, for example 1000000:65536");
        if (base == 0 || count < IDS_MIN || base > UINT32_MAX || count > UINT32_MAX || base + count > UINT32_MAX)
                return refuse(err, "an id map begins above 0 and has 65536 ids or more");
        c->idmap = (struct idmap){.base = (uint32_t)base, .count = (uint32_t)count};
        return 0;
}

static int set_memory(struct ct_config *c, const char *v, struct err *err)
{
        int r = parse_size(v, &c->limits.memory, err);

        if (r == 0 && c->limits.memory < (UINT64_C(4) << 20))
                return refuse(err, "less than 4M cannot start anything");
        return r;
}

static int set_swap(struct ct_config *c, const char *v, struct err *err)
{
        return parse_size(v, &c->limits.swap, err);
}

static int set_cpu(struct ct_config *c, const char *v, struct err *err)
{
        int r = parse_cpus(v, &c->limits.cpu_milli, err);

        /* 0 is "not limited" to the engine, and nobody who writes it means that. */
        return r == 0 && c->limits.cpu_milli == 0 ? refuse(err, "it must be more than 0; without the key there is no limit") : r;
}

static int set_pids(struct ct_config *c, const char *v, struct err *err)
{
        return parse_u64(v, 1, PIDS_MAX, &c->limits.pids, err);
}

static int set_hostname(struct ct_config *c, const char *v, struct err *err)
{
        char label[64];

        if (strlen(v) > 64)
                return refuse(err, "a host name has at most 64 bytes");
        for (const char *p = v;; p++) {
                size_t n = strcspn(p, ".");
                snprintf(label, sizeof(label), "%.*s", (int)(n < 64 ? n : 63), p);
                int r = n < 64 ? parse_label(label, err) : refuse(err, "a label of a host name has at most 63 bytes");
                if (r < 0)
                        return r;
                p += n;
                if (!*p)
                        break;
        }
        str_copy(c->hostname, sizeof(c->hostname), v);
        return 0;
}

static int set_bridge(struct ct_config *c, const char *v, struct err *err)
{
        if (strlen(v) >= sizeof(c->bridge) || strpbrk(v, "/ \t\":") || str_eq(v, ".") || str_eq(v, ".."))
                return refuse(err, "a bridge is the name of a link, at most 15 bytes");
        str_copy(c->bridge, sizeof(c->bridge), v);
        return 0;
}

static int set_mac(struct ct_config *c, const char *v, struct err *err)
{
        int r = parse_mac(v, c->mac, err);

        if (r == 0 && (c->mac[0] & 1))
                return refuse(err, "this is a group address");
        if (r == 0 && !(c->mac[0] | c->mac[1] | c->mac[2] | c->mac[3] | c->mac[4] | c->mac[5]))
                return refuse(err, "this is no address");
        return r;
}

/* What the kernel takes, or takes sometimes, and no container can be reached at. */
static const char *no_host4(const struct ip_prefix *p)
{
        uint32_t a = (uint32_t)p->addr[0] << 24 | (uint32_t)p->addr[1] << 16 | (uint32_t)p->addr[2] << 8 | p->addr[3];
        uint32_t hosts = p->bits ? (uint32_t)((UINT64_C(1) << (32 - p->bits)) - 1) : UINT32_MAX;

        if (p->addr[0] == 0 || p->addr[0] >= 224)
                return "this is no address of a host";
        if (p->addr[0] == 127)
                return "this is an address of the loopback";
        if (p->bits <= 30 && ((a & hosts) == 0 || (a & hosts) == hosts))
                return "this is the address of the network, or its broadcast address";
        return NULL;
}

static const char *no_host6(const struct ip_prefix *p)
{
        static const unsigned char none[15], mapped[12] = {[10] = 0xff, [11] = 0xff};

        if (p->addr[0] == 0xff || memcmp(p->addr, mapped, sizeof(mapped)) == 0)
                return "this is no address of a host";
        if (memcmp(p->addr, none, sizeof(none)) == 0 && p->addr[15] <= 1)
                return p->addr[15] ? "this is an address of the loopback" : "this is no address of a host";
        return NULL;
}

static bool same_address(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->family == b->family && memcmp(a->addr, b->addr, a->family == AF_INET ? 4 : 16) == 0;
}

static int check_ip(const struct ip_prefix *at, size_t n, int family, struct err *err)
{
        if (at[n].family != family)
                return refuse(err, family == AF_INET ? "this is no IPv4 address" : "this is no IPv6 address");
        const char *why = family == AF_INET ? no_host4(&at[n]) : no_host6(&at[n]);
        if (why)
                return refuse(err, why);
        for (size_t i = 0; i < n; i++)
                if (same_address(&at[i], &at[n]))
                        return refuse(err, "an address is given twice");
        return 0;
}

static int add_ips(const char *v, int family, struct ip_prefix *at, size_t *n, struct err *err)
{
        char one[64];

        for (const char *p = v; *p;) {
                size_t len = strcspn(p, ", \t");
                if (len == 0) {
                        p++;
                        continue;
                }
                if (len >= sizeof(one))
                        return refuse(err, "an address is too long");
                if (*n == CT_IPS_MAX)
                        return refuse(err, "too many addresses");
                snprintf(one, sizeof(one), "%.*s", (int)len, p);
                int r = parse_prefix(one, &at[*n], err);
                if (r == 0)
                        r = check_ip(at, *n, family, err);
                if (r < 0)
                        return r;
                (*n)++;
                p += len;
        }
        return *n ? 0 : refuse(err, "no address");
}

static int set_ip4(struct ct_config *c, const char *v, struct err *err)
{
        return add_ips(v, AF_INET, c->ip4, &c->n_ip4, err);
}

static int set_ip6(struct ct_config *c, const char *v, struct err *err)
{
        return add_ips(v, AF_INET6, c->ip6, &c->n_ip6, err);
}

static int gateway(const char *v, int family, struct ip_prefix *ret, struct err *err)
{
        char text[80];

        if (strchr(v, '/') || strlen(v) > 64)
                return refuse(err, "a gateway is an address without a prefix");
        snprintf(text, sizeof(text), "%s/%d", v, family == AF_INET ? 32 : 128);
        int r = parse_prefix(text, ret, err);
        return r < 0 ? r : check_ip(ret, 0, family, err);
}

static bool within(const struct ip_prefix *net, const struct ip_prefix *a)
{
        unsigned bytes = net->bits / 8, rest = net->bits % 8;

        if (memcmp(net->addr, a->addr, bytes) != 0)
                return false;
        return !rest || ((net->addr[bytes] ^ a->addr[bytes]) & (0xff00u >> rest) & 0xffu) == 0;
}

static int reached(const struct ip_prefix *gw, const struct ip_prefix *at, size_t n, const char *key, struct err *err)
{
        char text[INET6_ADDRSTRLEN];

        if (gw->family == AF_INET6 && gw->addr[0] == 0xfe && (gw->addr[1] & 0xc0) == 0x80)
                return 0; /* of the link itself */
        for (size_t i = 0; i < n; i++)
                if (within(&at[i], gw))
                        return 0;
        prefix_format(gw, false, text, sizeof(text));
        err_set(err, EX_CONFIG, "cannot use the gateway", "it is in the network of none of the container's addresses", "%s = %s", key, text);
        return err_remedy(err, "correct it, or the prefix of an address");
}

/* Not while parsing: address and gateway are changed one after the other. */
int config_check_gateways(const struct ct_config *c, struct err *err)
{
        int r = c->has_gw4 ? reached(&c->gw4, c->ip4, c->n_ip4, "gw4", err) : 0;

        return r == 0 && c->has_gw6 ? reached(&c->gw6, c->ip6, c->n_ip6, "gw6", err) : r;
}

static int set_gw4(struct ct_config *c, const char *v, struct err *err)
{
        c->has_gw4 = true;
        return gateway(v, AF_INET, &c->gw4, err);
}

static int set_gw6(struct ct_config *c, const char *v, struct err *err)
{
        c->has_gw6 = true;
        return gateway(v, AF_INET6, &c->gw6, err);
}

struct key {
        const char *section, *name;
        int (*set)(struct ct_config *c, const char *value, struct err *err);
        bool required, live;
};

static const struct key keys[] = {
        {"", "uuid", set_uuid, .required = true},
        {"", "init", set_init, .required = true},
        {"", "image", set_image},
        {"", "size", set_size},
        {"", "idmap", set_idmap, .required = true},
        {"", "memory", set_memory, .live = true},
        {"", "swap", set_swap, .live = true},
        {"", "cpu", set_cpu, .live = true},
        {"", "pids", set_pids, .live = true},
        {"", "hostname", set_hostname},
        {"net", "bridge", set_bridge},
        {"net", "mac", set_mac},
        {"net", "ip4", set_ip4},
        {"net", "ip6", set_ip6},
        {"net", "gw4", set_gw4},
        {"net", "gw6", set_gw6},
};
#define KEYS ELEMENTSOF(keys)

struct parse {
        const char *file;
        struct ct_config *c;
        unsigned line[KEYS]; /* where it was given; 0: not yet */
};

static const struct key *find_key(const char *section, const char *name)
{
        for (size_t i = 0; i < KEYS; i++)
                if (str_eq(keys[i].section, section) && str_eq(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

static int unknown_key(const struct parse *p, const struct ini_entry *e, struct err *err)
{
        char list[192] = "";
        size_t len = 0;

        for (size_t i = 0; i < KEYS; i++)
                if (str_eq(keys[i].section, e->section) && len < sizeof(list))
                        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", keys[i].name);
        if (!len)
                ini_error(err, p->file, e->line, e->key_col, "there is no section [%s]", e->section);
        else
                ini_error(err, p->file, e->line, e->key_col, "unknown key %s", e->key);
        return err_remedy(err, "%s%s", len ? "known here: " : "the only section is [net]", list);
}

static int each_entry(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct parse *p = ctx;
        const struct key *k = find_key(e->section, e->key);
        struct err inner = {};

        if (!k)
                return unknown_key(p, e, err);
        unsigned *line = &p->line[k - keys];
        if (*line)
                return ini_error(err, p->file, e->line, e->key_col, "%s is given twice, first on line %u", e->key, *line);
        *line = e->line;
        int r = k->set(p->c, e->value, &inner);
        if (r < 0) {
                ini_error(err, p->file, e->line, e->value_col, "%s: %s", e->key, inner.why);
                return err_remedy(err, "%s", inner.remedy[0] ? inner.remedy : "correct this line");
        }
        return 0;
}

static int complete(const struct parse *p, struct err *err)
{
        struct ct_config *c = p->c;

        for (size_t i = 0; i < KEYS; i++) {
                if (!keys[i].required || p->line[i])
                        continue;
                ini_error(err, p->file, 1, 1, "the key %s is missing", keys[i].name);
                return err_remedy(err, "add a line \"%s = …\"", keys[i].name);
        }
        if (!c->image)
                c->image = strdup("root.img");
        if (!c->image)
                return nomem(err);
        if (!p->line[find_key("net", "mac") - keys])
                mac_from_uuid(c->uuid, c->mac);
        return 0;
}

int ct_config_parse(const char *text, size_t len, const char *file, struct ct_config *ret, struct err *err)
{
        struct ct_config c = {};
        struct parse p = {.file = file, .c = &c};
        int r = ini_parse(text, len, file, each_entry, &p, err);

        if (r == 0)
                r = complete(&p, err);
        if (r < 0) {
                ct_config_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}

void ct_config_done(struct ct_config *c)
{
        free(c->init);
        free(c->image);
        *c = (struct ct_config){};
}

int config_key_find(const char *name, struct config_key *ret, struct err *err)
{
        for (size_t i = 0; i < KEYS; i++) {
                const struct key *k = &keys[i];
                size_t n = strlen(k->section);
                bool same = n ? strncmp(name, k->section, n) == 0 && name[n] == '.' && str_eq(name + n + 1, k->name)
                              : str_eq(name, k->name);
                if (same) {
                        *ret = (struct config_key){.section = k->section, .key = k->name, .live = k->live};
                        return 0;
                }
        }
        err_set(err, EX_USAGE, "cannot change the configuration", "there is no such key", "%s", name);
        return err_remedy(err, "keys of sections have a dot, as in net.ip4; see ctrctl set --help");
}

int ct_config_set(const char *text, const char *section, const char *key, const char *value, char **ret, struct err *err)
{
        _cleanup_free_ char *out = NULL;
        struct ct_config c;
        int r = ini_set(text, section, key, value, &out, err);

        if (r == 0)
                r = ct_config_parse(out, strlen(out), "ct.conf", &c, err);
        if (r < 0)
                return r;
        ct_config_done(&c);
        *ret = TAKE_PTR(out);
        return 0;
}

/* ---- a new file ---- */

static void add_size(struct strbuf *b, const char *key, uint64_t v)
{
        static const struct { unsigned shift; char unit; } units[] = {{40, 'T'}, {30, 'G'}, {20, 'M'}, {10, 'K'}};

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (v && v % (UINT64_C(1) << units[i].shift) == 0) {
                        strbuf_addf(b, "%s = %llu%c\n", key, (unsigned long long)(v >> units[i].shift), units[i].unit);
                        return;
                }
        if (v)
                strbuf_addf(b, "%s = %llu\n", key, (unsigned long long)v);
}

static void add_ip_list(struct strbuf *b, const char *key, const struct ip_prefix *at, size_t n)
{
        char text[INET6_ADDRSTRLEN + 8];

        for (size_t i = 0; i < n; i++) {
                prefix_format(&at[i], true, text, sizeof(text));
                strbuf_addf(b, "%s%s", i ? ", " : "", i ? "" : key);
                strbuf_addf(b, "%s%s", i ? "" : " = ", text);
        }
        if (n)
                strbuf_adds(b, "\n");
}

static void add_net(struct strbuf *b, const struct ct_config *c)
{
        char text[INET6_ADDRSTRLEN + 8];

        strbuf_adds(b, "\n[net]\n");
        if (c->bridge[0])
                strbuf_addf(b, "bridge = %s\n", c->bridge);
        strbuf_addf(b, "mac = %02x:%02x:%02x:%02x:%02x:%02x\n", c->mac[0], c->mac[1], c->mac[2], c->mac[3], c->mac[4],
                    c->mac[5]);
        add_ip_list(b, "ip4", c->ip4, c->n_ip4);
        add_ip_list(b, "ip6", c->ip6, c->n_ip6);
        if (c->has_gw4) {
                prefix_format(&c->gw4, false, text, sizeof(text));
                strbuf_addf(b, "gw4 = %s\n", text);
        }
        if (c->has_gw6) {
                prefix_format(&c->gw6, false, text, sizeof(text));
                strbuf_addf(b, "gw6 = %s\n", text);
        }
}

int config_format(const struct ct_config *c, char **ret, struct err *err)
{
        _cleanup_strbuf_ struct strbuf b = {};
        const struct cg_limits *l = &c->limits;

        strbuf_adds(&b, "# This container's configuration; ctrctl set edits it too and keeps comments.\n");
        strbuf_addf(&b, "uuid = %s\n", c->uuid);
        strbuf_addf(&b, "hostname = %s\n", c->hostname);
        strbuf_addf(&b, "init = %s\n", c->init);
        strbuf_addf(&b, "image = %s\n", c->image);
        add_size(&b, "size", c->size);
        strbuf_addf(&b, "idmap = %u:%u\n", c->idmap.base, c->idmap.count);
        add_size(&b, "memory", l->memory);
        add_size(&b, "swap", l->swap);
        if (l->cpu_milli)
                strbuf_addf(&b, "cpu = %u.%03u\n", l->cpu_milli / 1000, l->cpu_milli % 1000);
        if (l->pids)
                strbuf_addf(&b, "pids = %llu\n", (unsigned long long)l->pids);
        add_net(&b, c);
        *ret = strbuf_take(&b);
        return *ret ? 0 : nomem(err);
}
