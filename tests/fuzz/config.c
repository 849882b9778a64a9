/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of ct.conf and the editor: whatever the text, an answer comes; a refusal names a place within it; what was read can
 * be started, written down again and read as the same; and what the editor makes of a text that was right is right again and says
 * what was set, and nothing else.
 */
#include <sys/socket.h>

#include "engine/command.h"
#include "engine/config.h"
#include "engine/ini.h"
#include "tests/fuzz/fuzz.h"

/* Names of sections and keys, lines, host names, bridges, addresses, the file. */
const size_t fuzz_sizes[] = {33, 36, 37, 46, 4097, 1048576, 0};

/* ---- lines ---- */

enum { HOSTNAME, BRIDGE, CPU, IP4, IP6, GW4, GW6, KEYS };
static const char *const names[KEYS] = {"hostname", "bridge", "cpu", "ip4", "ip6", "gw4", "gw6"};

struct lines { const char *text; size_t size; unsigned n; char *value[KEYS]; };

/* Each entry is where it says that it is. */
static int each(void *ctx, const struct ini_entry *e, struct err *err)
{
        struct lines *l = ctx;
        const char *p = l->text, *end = l->text + l->size;
        size_t key = strlen(e->key), value = strlen(e->value);

        (void)err;
        for (unsigned i = 1; i < e->line; i++) {
                p = memchr(p, '\n', (size_t)(end - p));
                FUZZ_CHECK(p);
                p++;
        }
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl ? nl : end) - p);
        FUZZ_CHECK(e->line > l->n && key && key <= 32 && value && value <= 4096 && strlen(e->section) <= 32);
        FUZZ_CHECK(strspn(e->key, "abcdefghijklmnopqrstuvwxyz0123456789_") == key && strspn(e->section, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(e->section));
        FUZZ_CHECK(e->key_col - 1 + key <= n && memcmp(p + e->key_col - 1, e->key, key) == 0);
        FUZZ_CHECK(e->value_col - 1 + value <= n && memcmp(p + e->value_col - 1, e->value, value) == 0);
        FUZZ_CHECK(e->value[0] != ' ' && e->value[value - 1] != ' ' && e->value[0] != '\t' && e->value[value - 1] != '\t');
        for (size_t i = 0; i < value; i++)
                FUZZ_CHECK((unsigned char)e->value[i] >= 0x20 || e->value[i] == '\t');
        l->n = e->line;
        for (size_t i = 0; i < KEYS; i++)
                if (strcmp(e->key, names[i]) == 0) {
                        free(l->value[i]);
                        l->value[i] = fuzz_string(e->value, value);
                }
        return 0;
}

/* What was taken is what the lines say, and all of it. */
static void check_said(const struct lines *l, const struct ct_config *c)
{
        char *const *v = l->value;
        size_t words = 0;

        FUZZ_CHECK(strcmp(c->hostname, v[HOSTNAME] ? v[HOSTNAME] : "") == 0 && strcmp(c->bridge, v[BRIDGE] ? v[BRIDGE] : "") == 0);
        FUZZ_CHECK(!v[CPU] == !c->limits.cpu_milli && (!v[IP4] || !strchr(v[IP4], ':')) && (!v[GW4] || !strpbrk(v[GW4], ":/")));
        FUZZ_CHECK((!v[GW6] || (strchr(v[GW6], ':') && !strchr(v[GW6], '/'))) && !v[GW4] == !c->has_gw4 && !v[GW6] == !c->has_gw6);
        for (int k = IP4; k <= IP6; k++)
                for (const char *p = v[k] ? v[k] : ""; *(p += strspn(p, ", \t")); p += strcspn(p, ", \t"))
                        words++;
        FUZZ_CHECK(words == c->n_ip4 + c->n_ip6);
}

/* What was taken has no line without a form. */
static void check_lines(const char *text, size_t size)
{
        size_t longest = 0, at = 0;

        FUZZ_CHECK(size <= 1u << 20);
        for (size_t i = 0; i < size; i++) {
                FUZZ_CHECK((unsigned char)text[i] >= 0x20 ? text[i] != 0x7f : text[i] == '\t' || text[i] == '\n');
                at = text[i] == '\n' ? 0 : at + 1;
                longest = at > longest ? at : longest;
        }
        FUZZ_CHECK(longest <= 4096 && !(size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0));
        for (const char *p = text; p < text + size; p++) {
                const char *nl = memchr(p, '\n', (size_t)(text + size - p)), *end = nl ? nl : text + size;
                unsigned quotes = 0;
                while (p < end && (*p == ' ' || *p == '\t'))
                        p++;
                bool entry = p < end && *p != '#' && *p != ';' && *p != '[';
                FUZZ_CHECK(!entry || memchr(p, '=', (size_t)(end - p)));
                FUZZ_CHECK(p == end || *p != '[' || memchr(p, ']', (size_t)(end - p)));
                for (; entry && p < end; p++) {
                        if (*p == '#' && !(quotes & 1) && (p[-1] == ' ' || p[-1] == '\t' || p[-1] == '='))
                                break;
                        quotes += *p == '"';
                }
                FUZZ_CHECK(!(quotes & 1));
                p = end;
        }
}

/* ---- values ---- */

static bool same_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->family == b->family && a->bits == b->bits && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static void same(const struct ct_config *a, const struct ct_config *b)
{
        FUZZ_CHECK(!strcmp(a->uuid, b->uuid) && !strcmp(a->hostname, b->hostname) && !strcmp(a->bridge, b->bridge));
        FUZZ_CHECK(!strcmp(a->init, b->init) && !strcmp(a->image, b->image) && a->size == b->size && memcmp(a->mac, b->mac, 6) == 0);
        FUZZ_CHECK(a->idmap.base == b->idmap.base && a->idmap.count == b->idmap.count && a->limits.memory == b->limits.memory);
        FUZZ_CHECK(a->limits.swap == b->limits.swap && a->limits.cpu_milli == b->limits.cpu_milli && a->limits.pids == b->limits.pids);
        FUZZ_CHECK(a->n_ip4 == b->n_ip4 && a->n_ip6 == b->n_ip6 && a->has_gw4 == b->has_gw4 && a->has_gw6 == b->has_gw6);
        for (size_t i = 0; i < a->n_ip4; i++)
                FUZZ_CHECK(same_prefix(&a->ip4[i], &b->ip4[i]));
        for (size_t i = 0; i < a->n_ip6; i++)
                FUZZ_CHECK(same_prefix(&a->ip6[i], &b->ip6[i]));
        FUZZ_CHECK((!a->has_gw4 || same_prefix(&a->gw4, &b->gw4)) && (!a->has_gw6 || same_prefix(&a->gw6, &b->gw6)));
}

static void check_ips(const struct ip_prefix *at, size_t n, int family)
{
        size_t len = family == AF_INET ? 4 : 16;

        FUZZ_CHECK(n <= CT_IPS_MAX);
        for (size_t i = 0; i < n; i++) {
                FUZZ_CHECK(at[i].family == family && at[i].bits <= 8 * len && (family == AF_INET6 || (at[i].addr[0] != 127 && at[i].addr[0] && at[i].addr[0] < 224)));
                for (size_t k = 0; k < i; k++)
                        FUZZ_CHECK(memcmp(at[i].addr, at[k].addr, len) != 0);
        }
}

/* What no container can be started with. */
static void check_values(const struct ct_config *c)
{
        char **argv = NULL;
        struct err err = {};

        FUZZ_CHECK(strlen(c->uuid) == 36 && uuid_valid(c->uuid) && c->init && c->image && memchr(c->hostname, '\0', sizeof(c->hostname)));
        FUZZ_CHECK(memchr(c->bridge, '\0', sizeof(c->bridge)) && !strpbrk(c->bridge, "/ \t\":") && strcmp(c->bridge, "..") != 0);
        FUZZ_CHECK(c->idmap.base && c->idmap.count >= 65536 && (uint64_t)c->idmap.base + c->idmap.count <= UINT32_MAX);
        FUZZ_CHECK(!c->size || (c->size >= 16u << 20 && c->size % 4096 == 0));
        FUZZ_CHECK((!c->limits.memory || c->limits.memory >= 4u << 20) && c->limits.pids <= 4194304 && !(c->mac[0] & 1));
        FUZZ_CHECK(strncmp(c->image, "../", 3) != 0 && !strstr(c->image, "/../") && !strchr(c->image, '"'));
        for (const char *p = c->hostname; *p; p += strcspn(p, "."), p += *p == '.')
                FUZZ_CHECK(strcspn(p, ".") >= 1 && strcspn(p, ".") <= 63);
        check_ips(c->ip4, c->n_ip4, AF_INET);
        check_ips(c->ip6, c->n_ip6, AF_INET6);
        FUZZ_CHECK((!c->has_gw4 || (c->gw4.family == AF_INET && c->gw4.bits == 32)) && (!c->has_gw6 || (c->gw6.family == AF_INET6 && c->gw6.bits == 128)));
        (void)config_check_gateways(c, &err);
        FUZZ_CHECK(command_split(c->init, &argv, &err) == 0 && argv[0][0] == '/');
        free(argv);
}

static void write_and_read(const struct ct_config *c)
{
        struct ct_config again;
        struct err err = {};
        char *text = NULL;

        if (!c->hostname[0]) /* a new file has one always */
                return;
        FUZZ_CHECK(config_format(c, &text, &err) == 0);
        FUZZ_CHECK(ct_config_parse(text, strlen(text), "again", &again, &err) == 0);
        same(c, &again);
        ct_config_done(&again);
        free(text);
}

/* ---- the editor ---- */

static void edit(const char *text, struct ct_config *c)
{
        struct ct_config again;
        struct err err = {};
        char *out = NULL, *back = NULL;

        if (strlen(text) > (1u << 20) - 64)
                return;
        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
                if (strcspn(p, "\n") > 4096 - 16) /* there is no room for the new value */
                        return;
        FUZZ_CHECK(ct_config_set(text, "", "pids", "4711", &out, &err) == 0);
        FUZZ_CHECK(ct_config_parse(out, strlen(out), "edited", &again, &err) == 0 && again.limits.pids == 4711);
        uint64_t pids = c->limits.pids;
        c->limits.pids = 4711;
        same(c, &again);
        ct_config_done(&again);
        FUZZ_CHECK(ct_config_set(out, "", "pids", NULL, &back, &err) == 0);
        FUZZ_CHECK(ct_config_parse(back, strlen(back), "without", &again, &err) == 0 && again.limits.pids == 0);
        c->limits.pids = 0;
        same(c, &again);
        ct_config_done(&again);
        c->limits.pids = pids;
        free(out);
        free(back);
}

/* The text as a value: it is refused, or it is what the key has afterwards, and there is no other line. */
static void as_value(const char *text)
{
        static const char base[] = "uuid = c34a3ee7-be1a-4015-8b7b-4d95d0f75111\ninit = /a\nidmap = 1:65536\n";
        struct ct_config c;
        struct err err = {};
        char *out = NULL;

        if (ini_set(base, "", "hostname", text, &out, &err) < 0)
                return;
        FUZZ_CHECK(strncmp(out, base, strlen(base)) == 0 && strncmp(out + strlen(base), "hostname = ", 11) == 0);
        FUZZ_CHECK(strcmp(strchr(out + strlen(base), '\n'), "\n") == 0);
        if (ct_config_parse(out, strlen(out), "value", &c, &err) == 0) {
                FUZZ_CHECK(strcmp(c.hostname, text) == 0);
                ct_config_done(&c);
        }
        free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct lines l = {.text = (const char *)data, .size = size};
        struct ct_config *c = fuzz_array(1, sizeof(*c));
        struct err *e = fuzz_array(1, sizeof(*e));
        char *text = fuzz_string(data, size);

        *e = (struct err){};
        if (ini_parse((const char *)data, size, "f", each, &l, e) == 0)
                check_lines((const char *)data, size);
        *e = (struct err){};
        int r = ct_config_parse((const char *)data, size, "f", c, e);
        if (r == 0) {
                check_values(c);
                check_said(&l, c);
                write_and_read(c);
                edit(text, c);
                ct_config_done(c);
        } else {
                FUZZ_CHECK(r == -EX_CONFIG && strncmp(e->on, "f:", 2) == 0 && e->why[0]);
        }
        as_value(text);
        for (size_t i = 0; i < KEYS; i++)
                free(l.value[i]);
        free(text);
        free(e);
        free(c);
        return 0;
}
