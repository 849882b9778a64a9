/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct.conf: what is read, what is refused and where, and the editor that leaves everything else alone.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "engine/command.h"
#include "engine/config.h"

#define UUID "c34a3ee7-be1a-4015-8b7b-4d95d0f75111"
#define LEAST "uuid = " UUID "\ninit = /sbin/init\nidmap = 1000000:65536\n"

static int parse(const char *text, struct ct_config *c, struct err *e)
{
        return ct_config_parse(text, strlen(text), "ct.conf", c, e);
}

Test(config, everything)
{
        static const char text[] = "# a comment\n"
                                   "; another\n"
                                   "\n"
                                   "uuid=" UUID "\n"
                                   "  init = /usr/sbin/nginx -g \"daemon off; # kept\"   # and a comment\n"
                                   "image\t=\tdisk/root.img\n"
                                   "size = 2G\n"
                                   "idmap = 1000000:65536\n"
                                   "memory = 512M\n"
                                   "swap = 1G\n"
                                   "cpu = 150%\n"
                                   "pids = 100\n"
                                   "hostname = web1.example.org\n"
                                   "[net] # where it is\n"
                                   "bridge = br0\n"
                                   "mac = 02:00:00:00:00:01\n"
                                   "ip4 = 10.0.0.2/24, 10.0.0.3/32\n"
                                   "ip6 = fd00::2/64\n"
                                   "gw4 = 10.0.0.1\n"
                                   "gw6 = fd00::1";
        struct ct_config c;
        struct err e = {};

        cr_assert_eq(parse(text, &c, &e), 0, "%s: %s", e.on, e.why);
        cr_assert_str_eq(c.uuid, UUID);
        cr_assert_str_eq(c.init, "/usr/sbin/nginx -g \"daemon off; # kept\"");
        cr_assert_str_eq(c.image, "disk/root.img");
        cr_assert_eq(c.size, UINT64_C(2) << 30);
        cr_assert_eq(c.idmap.base, 1000000u);
        cr_assert_eq(c.idmap.count, 65536u);
        cr_assert_eq(c.limits.memory, UINT64_C(512) << 20);
        cr_assert_eq(c.limits.swap, UINT64_C(1) << 30);
        cr_assert_eq(c.limits.cpu_milli, 1500u);
        cr_assert_eq(c.limits.pids, 100u);
        cr_assert_str_eq(c.hostname, "web1.example.org");
        cr_assert_str_eq(c.bridge, "br0");
        cr_assert_eq(c.mac[5], 1);
        cr_assert_eq(c.n_ip4, 2u);
        cr_assert_eq(c.ip4[1].bits, 32u);
        cr_assert_eq(c.n_ip6, 1u);
        cr_assert_eq(c.ip6[0].family, AF_INET6);
        cr_assert(c.has_gw4 && c.has_gw6);
        cr_assert_eq(c.gw4.addr[3], 1);
        ct_config_done(&c);
}

Test(config, defaults)
{
        struct ct_config c;
        struct err e = {};

        cr_assert_eq(parse(LEAST, &c, &e), 0);
        cr_assert_str_eq(c.image, "root.img");
        cr_assert_eq(c.mac[0], 2, "derived from the uuid");
        cr_assert_eq(c.limits.memory, 0u);
        cr_assert_eq(c.n_ip4, 0u);
        ct_config_done(&c);
}

/* Every refusal names the place where a person has to look. */
Test(config, refusals)
{
        static const struct { const char *text, *place, *why; } wrong[] = {
                {LEAST "memorry = 1G\n", "ct.conf:4:1", "unknown key"},
                {LEAST "  memorry = 1G\n", "ct.conf:4:3", "unknown key"},
                {LEAST "memory = lots\n", "ct.conf:4:10", "memory: "},
                {LEAST "memory =\n", "ct.conf:4:9", "value is missing"},
                {LEAST "memory = # none\n", "ct.conf:4:10", "value is missing"},
                {LEAST "memory 1G\n", "ct.conf:4:8", "a = belongs here"},
                {LEAST "memory = 1G\nmemory = 2G\n", "ct.conf:5:1", "twice, first on line 4"},
                {LEAST "memory = 1K\n", "ct.conf:4:10", "less than 4M"},
                {LEAST "[nets]\nip4 = 10.0.0.1/8\n", "ct.conf:5:1", "no section [nets]"},
                {LEAST "[net\n", "ct.conf:4:5", "] belongs here"},
                {LEAST "[net] ip4\n", "ct.conf:4:7", "nothing may follow"},
                {LEAST "[net]\nip4 = 10.0.0.1\n", "ct.conf:5:7", "ip4: "},
                {LEAST "[net]\nip4 = fd00::1/64\n", "ct.conf:5:7", "no IPv4"},
                {LEAST "[net]\ngw4 = 10.0.0.1/8\n", "ct.conf:5:7", "without a prefix"},
                {LEAST "[net]\nmac = 01:00:00:00:00:01\n", "ct.conf:5:7", "group address"},
                {LEAST "[net]\nbridge = a/b\n", "ct.conf:5:10", "name of a link"},
                {LEAST "ip4 = 10.0.0.1/8\n", "ct.conf:4:1", "unknown key"},
                {LEAST "[net]\nip4 = 0.0.0.0/0\n", "ct.conf:5:7", "no address of a host"},
                {LEAST "[net]\nip4 = 224.0.0.1/24\n", "ct.conf:5:7", "no address of a host"},
                {LEAST "[net]\nip4 = 127.0.0.1/8\n", "ct.conf:5:7", "loopback"},
                {LEAST "[net]\nip4 = 10.77.0.0/24\n", "ct.conf:5:7", "of the network"},
                {LEAST "[net]\nip4 = 10.77.0.255/24\n", "ct.conf:5:7", "broadcast"},
                {LEAST "[net]\nip4 = 10.0.0.1/24, 10.0.0.1/8\n", "ct.conf:5:7", "twice"},
                {LEAST "[net]\nip6 = ::1/128\n", "ct.conf:5:7", "loopback"},
                {LEAST "[net]\nip6 = ff02::1/64\n", "ct.conf:5:7", "no address of a host"},
                {LEAST "[net]\ngw4 = 10.0.0.300\n", "ct.conf:5:7", "neither"},
                {LEAST "[net]\nmac = 00:00:00:00:00:00\n", "ct.conf:5:7", "no address"},
                {LEAST "cpu = -1\n", "ct.conf:4:7", "cpu: "},
                {LEAST "cpu = 0\n", "ct.conf:4:7", "more than 0"},
                {LEAST "cpu = 0%\n", "ct.conf:4:7", "more than 0"},
                {LEAST "pids = 0\n", "ct.conf:4:8", "pids: "},
                {LEAST "hostname = -a\n", "ct.conf:4:12", "hostname: "},
                {LEAST "image = ../root.img\n", "ct.conf:4:9", "image: "},
                {LEAST "size = 1M\n", "ct.conf:4:8", "16M or more"},
                {LEAST "pids = 1\r\n", "ct.conf:4:9", "carriage return"},
                {LEAST "pids = 1\v\n", "ct.conf:4:9", "control character"},
                {"\xef\xbb\xbf" LEAST, "ct.conf:1:1", "byte order mark"},
                {"uuid = " UUID "\ninit = sbin/init\n", "ct.conf:2:8", "absolute path"},
                {"uuid = " UUID "\ninit = /a \"b\n", "ct.conf:2:11", "not closed"},
                {"uuid = X\n", "ct.conf:1:8", "uuid: "},
                {"idmap = 0:65536\n", "ct.conf:1:9", "above 0"},
                {"idmap = 1:65535\n", "ct.conf:1:9", "65536"},
                {"idmap = 4294967295:65536\n", "ct.conf:1:9", "idmap: "},
                {"uuid = " UUID "\nidmap = 1:65536\n", "ct.conf:1:1", "init is missing"},
                {"", "ct.conf:1:1", "uuid is missing"},
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                struct ct_config c;
                struct err e = {};
                cr_assert_eq(parse(wrong[i].text, &c, &e), -EX_CONFIG, "%zu is taken", i);
                cr_assert_str_eq(e.on, wrong[i].place, "%zu: %s (%s)", i, e.on, e.why);
                cr_assert(strstr(e.why, wrong[i].why), "%zu: %s", i, e.why);
        }
}

Test(config, gateways)
{
        static const struct { const char *text; bool ok; } row[] = {
                {LEAST "[net]\nip4 = 10.0.0.2/24\ngw4 = 10.0.0.1\n", true},
                {LEAST "[net]\nip4 = 10.0.0.2/31, 10.1.0.66/26\ngw4 = 10.1.0.126\n", true},
                {LEAST "[net]\nip4 = 10.1.0.66/26\ngw4 = 10.1.0.62\n", false},
                {LEAST "[net]\nip4 = 10.0.0.2/32\ngw4 = 10.0.0.1\n", false},
                {LEAST "[net]\ngw4 = 10.0.0.1\n", false},
                {LEAST "[net]\nip6 = fd00:1::2/32\ngw6 = fd00:1:8::1\n", true},
                {LEAST "[net]\nip6 = fd00:1::2/33\ngw6 = fd00:1:8000::1\n", false},
                {LEAST "[net]\ngw6 = fe80::1\n", true},
        };

        for (size_t i = 0; i < ELEMENTSOF(row); i++) {
                struct ct_config c;
                struct err e = {};
                cr_assert_eq(parse(row[i].text, &c, &e), 0, "%zu: %s", i, e.why);
                cr_assert_eq(config_check_gateways(&c, &e), row[i].ok ? 0 : -EX_CONFIG, "%zu", i);
                ct_config_done(&c);
        }
}

Test(config, nul_byte)
{
        static const char text[] = LEAST "pids = 1\0" "2\n";
        struct ct_config c;
        struct err e = {};

        cr_assert_eq(ct_config_parse(text, sizeof(text) - 1, "ct.conf", &c, &e), -EX_CONFIG);
        cr_assert_str_eq(e.on, "ct.conf:4:9");
}

static void set(const char *text, const char *section, const char *key, const char *value, const char *want)
{
        _cleanup_free_ char *out = NULL;
        struct err e = {};

        cr_assert_eq(ct_config_set(text, section, key, value, &out, &e), 0, "%s: %s", e.on, e.why);
        cr_assert_str_eq(out, want);
}

/* What a person wrote stays as it was: comments, order, blanks, a missing newline at the end. */
Test(config, set_keeps_the_rest)
{
        set("# mine\n" LEAST "memory  =  1G   # half of it\n\n[net]\n# here\n", "", "memory", "512M",
            "# mine\n" LEAST "memory  =  512M   # half of it\n\n[net]\n# here\n");
        set(LEAST "\n[net]\nip4 = 10.0.0.2/24\n", "", "memory", "1G", LEAST "memory = 1G\n\n[net]\nip4 = 10.0.0.2/24\n");
        set(LEAST "pids = 9", "", "memory", "1G", LEAST "pids = 9\nmemory = 1G\n");
        set(LEAST, "net", "ip4", "10.0.0.2/24", LEAST "\n[net]\nip4 = 10.0.0.2/24\n");
        set(LEAST "[net]\n# none yet\n", "net", "ip4", "10.0.0.2/24", LEAST "[net]\nip4 = 10.0.0.2/24\n# none yet\n");
        set(LEAST "pids = 9 # few\nmemory = 1G\n", "", "pids", NULL, LEAST "memory = 1G\n");
        set(LEAST, "", "pids", NULL, LEAST);
        set(LEAST, "", "init", "/bin/a -x \"b c # d\"", "uuid = " UUID "\ninit = /bin/a -x \"b c # d\"\nidmap = 1000000:65536\n");
}

Test(config, set_refuses)
{
        static const struct { const char *key, *value; } wrong[] = {
                {"memory", "lots"}, {"memory", "1G # much"}, {"memory", "1G\npids = 1"}, {"memory", " 1G"}, {"memory", ""},
                {"init", "/bin/a \"b"}, {"uuid", NULL}, {"nothing", "1"}, {"pids", "1\x01"},
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                char *out = NULL;
                struct err e = {};
                cr_assert_lt(ct_config_set(LEAST, "", wrong[i].key, wrong[i].value, &out, &e), 0, "%zu is taken: %s", i, out);
                cr_assert_null(out);
        }
}

Test(config, what_is_written_is_read)
{
        _cleanup_free_ char *text = NULL;
        struct ct_config a, b;
        struct err e = {};

        cr_assert_eq(parse(LEAST "size = 3G\nmemory = 5000000\ncpu = 0.25\npids = 7\nhostname = x\n[net]\nip4 = 10.0.0.2/24 10.0.0.3/24\n"
                                 "ip6 = fd00::2/64\ngw4 = 10.0.0.1\ngw6 = fd00::1\nbridge = b\n", &a, &e), 0);
        cr_assert_eq(config_format(&a, &text, &e), 0);
        cr_assert_eq(parse(text, &b, &e), 0, "%s: %s in %s", e.on, e.why, text);
        cr_assert_str_eq(a.uuid, b.uuid);
        cr_assert_eq(a.size, b.size);
        cr_assert_eq(memcmp(&a.limits, &b.limits, sizeof(a.limits)), 0);
        cr_assert_eq(memcmp(a.mac, b.mac, 6), 0);
        cr_assert_eq(b.n_ip4, 2u);
        cr_assert_eq(memcmp(a.ip4, b.ip4, sizeof(a.ip4)), 0);
        cr_assert_eq(memcmp(&a.gw6, &b.gw6, sizeof(a.gw6)), 0);
        cr_assert_str_eq(a.bridge, b.bridge);
        ct_config_done(&a);
        ct_config_done(&b);
}

Test(config, keys_by_name)
{
        struct config_key k;
        struct err e = {};

        cr_assert_eq(config_key_find("memory", &k, &e), 0);
        cr_assert(k.live);
        cr_assert_eq(config_key_find("net.ip4", &k, &e), 0);
        cr_assert_str_eq(k.section, "net");
        cr_assert_str_eq(k.key, "ip4");
        cr_assert_eq(config_key_find("ip4", &k, &e), -EX_USAGE);
        cr_assert_eq(config_key_find("net.memory", &k, &e), -EX_USAGE);
        cr_assert_eq(config_key_find("net", &k, &e), -EX_USAGE);
        cr_assert_eq(config_key_find("", &k, &e), -EX_USAGE);
}

Test(command, words)
{
        static const struct { const char *text; const char *argv[6]; } right[] = {
                {"/bin/a", {"/bin/a"}},
                {"  /bin/a  b\tc ", {"/bin/a", "b", "c"}},
                {"/bin/a -g \"daemon off; x\" y", {"/bin/a", "-g", "daemon off; x", "y"}},
                {"/bin/a \"\" b", {"/bin/a", "", "b"}},
                {"/bin/a x\"y z\"w", {"/bin/a", "xy zw"}},
                {"\"/bin/a b\" c", {"/bin/a b", "c"}},
        };

        for (size_t i = 0; i < ELEMENTSOF(right); i++) {
                char **argv = NULL;
                struct err e = {};
                size_t n = 0;
                cr_assert_eq(command_split(right[i].text, &argv, &e), 0, "%zu", i);
                for (; argv[n]; n++) {
                        cr_assert_lt(n, 5u);
                        cr_assert_str_eq(argv[n], right[i].argv[n]);
                }
                cr_assert_null(right[i].argv[n]);
                free(argv);
        }
}

Test(command, refusals)
{
        static const char *const wrong[] = {"", "   ", "a", "\"\"", "/bin/a \"b", "bin/a"};

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                char **argv = NULL;
                struct err e = {};
                cr_assert_eq(command_split(wrong[i], &argv, &e), -EX_CONFIG, "%zu", i);
        }
}

Test(mac, same_container_same_address)
{
        unsigned char a[6], b[6];

        mac_from_uuid(UUID, a);
        mac_from_uuid(UUID, b);
        cr_assert_eq(memcmp(a, b, 6), 0);
        cr_assert_eq(a[0] & 3, 2, "locally administered, no group");
        mac_from_uuid("c34a3ee8-be1a-4015-8b7b-4d95d0f75111", b);
        cr_assert_neq(memcmp(a, b, 6), 0);
}
