/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `ctrmigrate --serve`: what ssh starts on the other node (migrate/migrate.h).
 *
 *      sshd ── P ── worker (setsid) ── relay           P waits for the worker's end of a pipe
 *                      └── the container's init        the worker becomes the monitor: exec closes the pipe
 *
 * The worker is not ssh's child but that child's, in a session of its own, so that a lost connection ends P and the
 * relay at most: what the worker has claimed it finishes. P must live as long as the stream is used, because sshd
 * closes it when its child ends. Nothing else holds the stream: the worker's descriptors 0 to 2 are /dev/null, else sshd
 * would wait for the container's whole life.
 */
#include "migrate/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/sys.h"
#include "migrate/hello.h"
#include "migrate/msg.h"
#include "migrate/relay.h"
#include "migrate/target.h"

#define STEP_MS 60000u
#define FLUSH_MS 5000

static void drop_stdio(void)
{
        int null = open("/dev/null", O_RDWR);

        for (int i = 0; null >= 0 && i < 3; i++)
                (void)dup2(null, i);
        if (null > 2)
                close(null);
}

/* The relay goes when its stream is done; an end in order lets the last message leave. */
static void hang_up(struct wire *w, int relay)
{
        wire_done(w);
        if (pidfd_wait(relay, FLUSH_MS, NULL, NULL) != 0)
                pidfd_end(relay);
        fd_close(relay);
}

static int work(const struct log *log, struct wire *w, struct ct **ret_ct, struct ground **ret_ground, struct node **ret_node,
                struct err *err)
{
        struct hello peer;
        int r = hello_target(w, &peer, err);

        if (r == 0)
                r = node_open(log, ret_node, err);
        if (r == 0)
                r = target_run(*ret_node, w, &peer, ret_ct, ret_ground, err);
        if (r < 0)
                msg_send_error(w, err);
        return r;
}

static int worker(const struct log *log, int in, int out, struct err *err)
{
        struct wire w = {0};
        struct ct *ct = NULL;
        struct ground *ground = NULL;
        struct node *node = NULL;
        int relay = -1;

        (void)setsid();
        (void)prctl(PR_SET_NAME, "ctrmigrate-work");
        int r = relay_start(in, out, STEP_MS, &w, &relay, err);
        drop_stdio();
        if (r < 0)
                return r;
        r = work(log, &w, &ct, &ground, &node, err);
        hang_up(&w, relay);
        /* Claimed: whatever failed after it, the container is ours and wants its monitor. */
        if (ground && ground_monitor(ground, err) < 0)
                r = err_result(err);
        ct_close(ct);
        node_free(node);
        return r;
}

int migrate_serve(const struct log *log, int in, int out, struct err *err)
{
        int alive[2], pidfd = -1;
        struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
        char byte;

        if (pipe2(alive, O_CLOEXEC) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot serve a migration", "pipe");
        pid_t pid = sys_clone3(&args, sizeof(args));
        if (pid == 0) {
                struct err e = {0};
                fd_close(alive[0]);
                _exit(worker(log, in, out, &e) < 0 ? e.code : EX_OK);
        }
        fd_close(alive[1]);
        if (pid < 0) {
                fd_close(alive[0]);
                return err_sys(err, EX_FAIL, pid, "cannot serve a migration", "clone3");
        }
        fd_close(in);
        if (out != in)
                fd_close(out);
        /* End of file: the worker has ended, or is a monitor now and none of our business. */
        while (read(alive[0], &byte, 1) < 0 && errno == EINTR)
                ;
        fd_close(alive[0]);
        int status = 0, r = pidfd_wait(pidfd, 100, &status, err);
        fd_close(pidfd);
        if (r == 0 && status > 128)
                return err_set(err, EX_FAIL, "the worker of the migration was killed", "by a signal", "signal %d", status - 128);
        if (r == 0 && status) /* the other node has been told why, as far as it listens */
                return err_set(err, status, "the migration to this node has not come about", "the other node has been told why", "%s", "ctrmigrate --serve");
        return r < 0 ? r : 0;
}
