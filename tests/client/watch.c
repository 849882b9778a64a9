/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts TCP resets on one interface, both ways, IPv4 and IPv6: `watch INTERFACE UNTIL-FILE` in the middle's network
 * namespace, on the port of the client, prints {"resets":N,"dropped":N} when the file is there.
 *
 * A kernel filter lets only segments with RST through, so that a busy link cannot overflow the counter's socket; what
 * the kernel dropped all the same is printed, because a count that may have missed one is no proof. It says "ready" on
 * its standard error once it listens. Fragments and IPv6 extension headers are not looked into.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int attach_filter(int fd)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 8, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 11),
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 9),
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 7, 0),
                BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
                BPF_STMT(BPF_LD | BPF_B | BPF_IND, 14 + 13),
                BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 2),
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40 + 13),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, 128),
        };
        struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int open_counter(const char *name)
{
        struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
        /* Protocol 0 first: nothing comes in before the filter is there. */
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

        at.sll_ifindex = (int)if_nametoindex(name);
        if (fd < 0 || !at.sll_ifindex || attach_filter(fd) < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
                fprintf(stderr, "watch: cannot listen on %s: %s\n", name, strerror(errno));
                return -1;
        }
        return fd;
}

int main(int argc, char **argv)
{
        struct tpacket_stats stats = {0};
        socklen_t len = sizeof(stats);
        uint64_t resets = 0;
        uint8_t frame[128];

        if (argc != 3) {
                fprintf(stderr, "usage: watch INTERFACE UNTIL-FILE\n");
                return 2;
        }
        int fd = open_counter(argv[1]);
        if (fd < 0)
                return 1;
        fprintf(stderr, "ready\n");
        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int r = poll(&p, 1, 100);
                if (r < 0)
                        return 1;
                if (r > 0 && recv(fd, frame, sizeof(frame), 0) > 0)
                        resets++;
                else if (access(argv[2], F_OK) == 0)
                        break;
        }
        if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
                return 1;
        printf("{\"resets\":%" PRIu64 ",\"dropped\":%u}\n", resets, stats.tp_drops);
        return 0;
}
