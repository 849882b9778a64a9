/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other node by ssh: keys, known_hosts, users and ports are what administrators already manage. */
#pragma once

#include "base/err.h"
#include "migrate/wire.h"

#define SSH_HOST_MAX 255

struct ssh {
        struct wire wire;
        int pidfd, relay_pidfd, err_fd;
        char host[SSH_HOST_MAX + 1];
};
/* "host", "user@host" or "ssh://[user@]host[:port]"; nothing that ssh could take for an option. */
int ssh_host_check(const char *host, struct err *err);
/* Starts `ctrmigrate --serve` there, with the relay between. step_ms: limit of each wait. The login has not happened yet. */
int ssh_open(const char *host, unsigned step_ms, struct ssh *ret, struct err *err);
/* After the first message did not come (*err says how): what ssh says about it. EX_HOSTKEY, EX_CONNECT, EX_PEER. */
int ssh_why(struct ssh *s, struct err *err);
void ssh_close(struct ssh *s);
/* Pure: ssh's exit status and standard error to an error. */
int ssh_diagnose(const char *host, int status, const char *text, struct err *err);
