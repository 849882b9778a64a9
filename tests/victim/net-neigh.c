/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Neighbours that the container has set itself: of every state that lasts, with what their maker said of them; beside those that
 * the kernel makes. In a container.
 */
#include <linux/neighbour.h>

#include "tests/victim/netif.h"
#include "tests/victim/netlink.h"

#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED 1
#endif

static const struct neighbour { const char *ip; uint8_t mac[6], state, flags, protocol; uint32_t ext; } all[] = {
        {"10.88.0.200", {2, 0, 0, 0x12, 0x34, 0x56}, NUD_PERMANENT, 0, 0, 0},
        {"10.88.0.201", {2, 0, 0, 0x12, 0x34, 0x57}, NUD_NOARP, 0, 0, 0},
        {"10.88.0.202", {2, 0, 0, 0x12, 0x34, 0x58}, NUD_STALE, NTF_EXT_LEARNED, RTPROT_STATIC, 0},
        {"10.88.0.203", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, NUD_NOARP, 0, 0, 0},
        {"239.1.2.3", {2, 0, 0, 0x12, 0x34, 0x59}, NUD_PERMANENT, 0, 99, 0},
        {"239.1.2.4", {2, 0, 0, 0x12, 0x34, 0x5a}, NUD_NOARP, 0, 0, 0},
        {"fd88::200", {2, 0, 0, 0x12, 0x34, 0x5b}, NUD_NOARP, NTF_ROUTER, 0, 0},
        {"fd88::201", {2, 0, 0, 0x12, 0x34, 0x5c}, NUD_PERMANENT, NTF_ROUTER | NTF_EXT_LEARNED, 0, 0},
        {"fd88::202", {2, 0, 0, 0x12, 0x34, 0x5d}, NUD_STALE, 0, 0, NTF_EXT_MANAGED},
        {"ff05::77", {2, 0, 0, 0x12, 0x34, 0x5e}, NUD_NOARP, 0, 0, 0},
};

static void set(const struct neighbour *x)
{
        struct request m = {.h = {.nlmsg_type = RTM_NEWNEIGH, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)),
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE}};
        struct ndmsg *n = NLMSG_DATA(&m.h);
        bool six = strchr(x->ip, ':');
        uint8_t ip[16];

        *n = (struct ndmsg){.ndm_family = six ? AF_INET6 : AF_INET, .ndm_ifindex = (int)if_nametoindex("eth0"), .ndm_state = x->state,
                            .ndm_flags = x->flags};
        VICTIM_MUST(inet_pton(n->ndm_family, x->ip, ip) == 1);
        request_attr(&m, NDA_DST, ip, six ? 16 : 4);
        request_attr(&m, NDA_LLADDR, x->mac, sizeof(x->mac));
        if (x->protocol)
                request_attr(&m, NDA_PROTOCOL, &x->protocol, 1);
        if (x->ext)
                request_attr(&m, NDA_FLAGS_EXT, &x->ext, 4);
        int e = request_send(NETLINK_ROUTE, &m, m.h.nlmsg_len);
        if (e)
                fprintf(stderr, "neighbour %s: %s\n", x->ip, strerror(e));
        VICTIM_MUST(e == 0);
}

/* Each as a line; the state of what is verified changes by itself, and so does whether its address is known. */
static void mine(void *arg, const char *line)
{
        unsigned head[12];
        char text[1024];

        for (unsigned i = 0; i < 12; i++)
                head[i] = (unsigned)strtoul((char[]){line[2 * i], line[2 * i + 1], 0}, NULL, 16);
        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                char key[48] = " 1=";
                uint8_t ip[16];
                bool six = strchr(all[i].ip, ':');
                VICTIM_MUST(inet_pton(six ? AF_INET6 : AF_INET, all[i].ip, ip) == 1);
                for (unsigned k = 0; k < (six ? 16 : 4); k++)
                        snprintf(key + 3 + 2 * k, 3, "%02x", ip[k]);
                if (!strstr(line, key) || head[0] != (six ? AF_INET6 : AF_INET))
                        continue;
                snprintf(text, sizeof(text), "%s: state %u flags %x %.512s", all[i].ip, head[8] & (NUD_PERMANENT | NUD_NOARP), head[10],
                         all[i].ext ? strstr(line, " 15=") : line + 24);
                lines_add(arg, text);
        }
}

static void read_neighbours(struct lines *l)
{
        struct request m = {.h = {.nlmsg_type = RTM_GETNEIGH, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg))}};

        l->n = 0;
        request_lines(NETLINK_ROUTE, &m, sizeof(struct ndmsg), NDA_CACHEINFO, mine, l);
        lines_sort(l);
}

int main(int argc, char **argv)
{
        static struct lines before, after;
        struct victim v;

        VICTIM_MUST(getenv("container"));   /* it would change the node otherwise */
        victim_begin(&v, argc, argv);
        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                set(&all[i]);
        read_neighbours(&before);
        VICTIM_MUST(before.n == sizeof(all) / sizeof(all[0]));

        victim_wait(&v);

        read_neighbours(&after);
        lines_compare(&v, &before, &after);
        return victim_end(&v);
}
