/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A listener with a key for signatures (TCP_MD5SIG), in a network namespace of its own: refused, and it still listens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include "tests/victim/victim.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7179), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct tcp_md5sig key = {.tcpm_keylen = 6, .tcpm_key = "secret"};

        victim_begin(&v, argc, argv);
        VICTIM_MUST(unshare(CLONE_NEWNET) == 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        memcpy(&key.tcpm_addr, &a, sizeof(a));
        VICTIM_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
        VICTIM_MUST(setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) == 0 && listen(fd, 1) == 0);

        victim_wait(&v);

        int listens = 0;
        socklen_t n = sizeof(listens);
        VICTIM_CHECK(&v, getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens, "it does not listen");
        return victim_end(&v);
}
