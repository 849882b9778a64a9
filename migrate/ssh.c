/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reaching the other node by ssh (migrate/ssh.h).
 *
 * BatchMode: nothing is ever asked, a missing key is an error. StrictHostKeyChecking=yes: an unknown or changed host key
 * is an error of its own (EX_HOSTKEY), because the right answer to it is another one than to a node that is down. ssh
 * tells the two apart only in words, so its standard error is kept (in memory, so that it never blocks) and read when
 * the first message does not come; the words are OpenSSH's, in English, whatever the locale.
 *
 * ssh gets a session of its own: Ctrl-C is for us, who then end the migration in order. AES-GCM is asked for first,
 * which modern CPUs do at several times the speed of the default.
 */
#include "migrate/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/pidfd.h"
#include "base/spawn.h"
#include "base/str.h"
#include "base/sys.h"
#include "migrate/relay.h"

#define TEXT_MAX 8192
#define EXIT_WAIT_MS 5000

int ssh_host_check(const char *host, struct err *err)
{
        size_t n = strlen(host);

        if (!n || n > SSH_HOST_MAX || host[0] == '-')
                return err_set(err, EX_USAGE, "not the name of a host", "it is empty, too long or an option", "%s", host);
        for (const char *p = host; *p; p++)
                if (*p <= ' ' || *p > '~' || strchr("'\"\\$`;&|<>(){}*?!", *p))
                        return err_set(err, EX_USAGE, "not the name of a host", "it has a character no host has",
                                       "%s", host);
        return 0;
}

static bool contains(const char *text, const char *what)
{
        return strstr(text, what) != NULL;
}

/* The last line that says something; ssh may end with "Connection closed". */
static void last_line(const char *text, char *ret, size_t size)
{
        const char *end = text + strlen(text);

        while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
                end--;
        const char *start = end;
        while (start > text && start[-1] != '\n')
                start--;
        snprintf(ret, size, "%.*s", (int)(end - start), start);
}

int ssh_diagnose(const char *host, int status, const char *text, struct err *err)
{
        char line[160];

        last_line(text, line, sizeof(line));
        if (contains(text, "REMOTE HOST IDENTIFICATION HAS CHANGED") || contains(text, "differs from the key for")) {
                err_set(err, EX_HOSTKEY, "the other node's host key has changed", "it is not the one in known_hosts",
                        "%s", host);
                return err_remedy(err, "ask the node's administrator whether the key was replaced; only if it was, run "
                                       "`ssh-keygen -R HOST` and accept the new key with `ssh HOST`");
        }
        if (contains(text, "Host key verification failed") || contains(text, "host key is known for")) {
                err_set(err, EX_HOSTKEY, "the other node's host key is unknown", line, "%s", host);
                return err_remedy(err, "run `ssh HOST` once and compare the fingerprint, or add the key to known_hosts");
        }
        if (status == 255) {
                err_set(err, EX_CONNECT, "cannot reach the other node", line[0] ? line : "ssh gave no reason", "%s", host);
                if (contains(text, "Permission denied"))
                        return err_remedy(err, "allow this node's root to log in there with a key: `ssh-copy-id HOST`");
                return err_remedy(err, "check that `ssh HOST true` works from this node");
        }
        if (status == 127) {
                err_set(err, EX_PEER, "the other node has no ctrmigrate", line, "%s", host);
                return err_remedy(err, "install Gantry there, where a non-interactive ssh finds it");
        }
        err_set(err, EX_PEER, "the other node's ctrmigrate ended", line[0] ? line : "it gave no reason", "%s, status %d",
                host, status);
        return err_remedy(err, "see `ssh HOST ctrmigrate --version`; both nodes need the same release");
}

int ssh_open(const char *host, unsigned step_ms, struct ssh *ret, struct err *err)
{
        const char *argv[] = {"ssh", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o",
                              "ConnectTimeout=10", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no", "-o",
                              "EscapeChar=none", "-o", "Ciphers=^aes128-gcm@openssh.com", "--", host,
                              "ctrmigrate --serve", NULL};
        _cleanup_close_ int down_r = -1, down_w = -1, up_r = -1, up_w = -1, text = -1;
        int p[2], pidfd = -1, relay_pidfd = -1;
        struct wire wire;

        int r = ssh_host_check(host, err);
        if (r < 0)
                return r;
        if (pipe2(p, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot start ssh", "pipe");
        down_r = p[0], down_w = p[1];
        if (pipe2(p, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot start ssh", "pipe");
        up_r = p[0], up_w = p[1];
        text = sys_memfd_create("ssh", MFD_CLOEXEC);
        if (text < 0)
                return err_sys(err, EX_FAIL, text, "cannot start ssh", "memfd");
        struct spawn s = {.argv = argv, .in = up_r, .out = down_w, .errfd = text, .setsid = true};
        r = spawn_start(&s, &pidfd, err);
        if (r < 0)
                return err_wrap(err, "cannot reach the other node", "%s", host);
        r = relay_start(down_r, up_w, step_ms, &wire, &relay_pidfd, err);
        if (r < 0) {
                pidfd_end(pidfd);
                fd_close(pidfd);
                return r;
        }
        (void)TAKE_FD(down_r);
        (void)TAKE_FD(up_w);
        *ret = (struct ssh){.wire = wire, .pidfd = pidfd, .relay_pidfd = relay_pidfd, .err_fd = TAKE_FD(text)};
        str_copy(ret->host, sizeof(ret->host), host);
        return 0;
}

int ssh_why(struct ssh *s, struct err *err)
{
        char text[TEXT_MAX + 1];
        size_t got = 0;
        int status = 0;

        wire_done(&s->wire);
        int r = pidfd_wait(s->pidfd, EXIT_WAIT_MS, &status, NULL);
        if (r != 0)
                return err ? -err->code : -EX_CONNECT;   /* ssh lives: what the wire said stands */
        (void)fd_pread_full(s->err_fd, text, TEXT_MAX, 0, &got, NULL);
        text[got] = '\0';
        return ssh_diagnose(s->host, status, text, err);
}

void ssh_close(struct ssh *s)
{
        wire_done(&s->wire);
        /* The relay first: it lets the last message leave. ssh then ends by itself, or is ended. */
        if (s->relay_pidfd >= 0 && pidfd_wait(s->relay_pidfd, EXIT_WAIT_MS, NULL, NULL) != 0)
                pidfd_end(s->relay_pidfd);
        if (s->pidfd >= 0 && pidfd_wait(s->pidfd, 1000, NULL, NULL) != 0)
                pidfd_end(s->pidfd);
        s->relay_pidfd = fd_close(s->relay_pidfd);
        s->pidfd = fd_close(s->pidfd);
        s->err_fd = fd_close(s->err_fd);
}
