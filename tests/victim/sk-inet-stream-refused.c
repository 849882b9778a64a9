/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A listener with a key for signatures (TCP_MD5SIG), and one of a group with a program that chooses among its members
 * (SO_ATTACH_REUSEPORT_CBPF), in a network namespace of its own: both refused, and there afterwards. Of the second only the kernel's own
 * structures tell, which needs BTF.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include "tests/victim/victim.h"

static int bound(uint16_t port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        VICTIM_MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
        VICTIM_MUST(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
        return fd;
}

int main(int argc, char **argv)
{
        struct victim v;
        struct sock_filter first = BPF_STMT(BPF_RET | BPF_K, 0);
        struct sock_fprog choice = {1, &first};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000009)};
        struct tcp_md5sig key = {.tcpm_keylen = 6, .tcpm_key = "secret"};

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        int fd = bound(7179), other = bound(7180), plain = bound(7181);
        memcpy(&key.tcpm_addr, &a, sizeof(a));
        VICTIM_MUST(setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) == 0);
        VICTIM_MUST(setsockopt(other, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &choice, sizeof(choice)) == 0);
        VICTIM_MUST(listen(fd, 1) == 0 && listen(other, 1) == 0 && listen(plain, 1) == 0);
        victim_file(&v, "expect", access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? "2\n" : "1\n");

        victim_wait(&v);

        int listens = 0, none = 0;
        socklen_t n = sizeof(listens);
        VICTIM_CHECK(&v, getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens, "it does not listen");
        VICTIM_CHECK(&v, setsockopt(other, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof(none)) == 0, "the program is gone: %s", strerror(errno));
        return victim_end(&v);
}
