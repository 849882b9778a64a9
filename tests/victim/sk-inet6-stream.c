/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP over IPv6: tests/victim/tcp.h. */
#include "tests/victim/tcp.h"

int main(int argc, char **argv)
{
        struct victim v;
        struct tcp_state s;

        victim_begin(&v, argc, argv);
        tcp_build(&s, AF_INET6);
        victim_wait(&v);
        tcp_verify(&s, &v, AF_INET6);
        return victim_end(&v);
}
