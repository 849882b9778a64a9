/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ssh says becomes the right error: a key that changed is not a node that is down. The texts are OpenSSH 9.2's. */
#include <criterion/criterion.h>

#include "migrate/ssh.h"

Test(ssh, hosts)
{
        cr_expect_eq(ssh_host_check("host2", NULL), 0);
        cr_expect_eq(ssh_host_check("root@host2", NULL), 0);
        cr_expect_eq(ssh_host_check("ssh://root@host2:2222", NULL), 0);
        cr_expect_eq(ssh_host_check("fd00::1%eth0", NULL), 0);
        cr_expect_eq(ssh_host_check("", NULL), -EX_USAGE);
        cr_expect_eq(ssh_host_check("-oProxyCommand=touch${IFS}x", NULL), -EX_USAGE);
        cr_expect_eq(ssh_host_check("host2 true", NULL), -EX_USAGE);
        cr_expect_eq(ssh_host_check("host2;true", NULL), -EX_USAGE);
}

Test(ssh, diagnoses)
{
        struct err e;

        cr_expect_eq(ssh_diagnose("h", 255,
                                  "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\n"
                                  "Host key verification failed.\r\n", &e), -EX_HOSTKEY);
        cr_expect_str_eq(e.what, "the other node's host key has changed");
        cr_expect_eq(ssh_diagnose("h", 255, "No ED25519 host key is known for h and you have requested strict checking.\r\n"
                                            "Host key verification failed.\r\n", &e), -EX_HOSTKEY);
        cr_expect_str_eq(e.what, "the other node's host key is unknown");
        cr_expect_eq(ssh_diagnose("h", 255, "ssh: connect to host h port 22: Connection refused\r\n", &e), -EX_CONNECT);
        cr_expect_str_eq(e.why, "ssh: connect to host h port 22: Connection refused");
        cr_expect_eq(ssh_diagnose("h", 255, "root@h: Permission denied (publickey).\r\n", &e), -EX_CONNECT);
        cr_expect_not_null(strstr(e.remedy, "ssh-copy-id"));
        cr_expect_eq(ssh_diagnose("h", 127, "bash: line 1: ctrmigrate: command not found\n", &e), -EX_PEER);
        cr_expect_eq(ssh_diagnose("h", 1, "", &e), -EX_PEER);
}
