/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start and stop.
 *
 * A start is a worker (worker.c) that makes the ground, hands the mounts in, writes the run state, lets the packets
 * through and tells the child to execute init; then it becomes the monitor. The command waits until init has been
 * executed, so that a wrong `init =` is its error and leaves nothing.
 *
 * A stop sends init its own stop signal: an init system's is SIGRTMIN+3 (systemd's "halt"; SIGTERM would only make it
 * re-execute), anything else gets SIGTERM. A first program without a handler for it does not see the signal at all, as pid 1
 * of its namespace. One that has just been started may have none yet, so the signal is sent when it can be heard; a program that stays deaf
 * for some seconds, and any after the timeout, is killed with its cgroup. The stop waits until the image has no loop
 * device any more: a namespace's mounts go a moment after its last process.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timer.h"
#include "engine/command.h"
#include "engine/ground-int.h"

#define KILLED_MS 20000
#define DEAF_MS 5000

static int refuse_state(struct ct *ct, const char *what, enum ct_state s, const char *remedy, struct err *err)
{
        err_set(err, EX_STATE, what, "", "%s", ct->name);
        err_why(err, "it is %s", ct_state_name(s));
        return err_remedy(err, "%s %s", remedy, ct->name);
}

/* ---- start ---- */

static int start_steps(struct worker *w, struct ct *ct, struct ground *g, struct err *err)
{
        int r = ground_image(g, err);

        if (r == 0)
                r = ground_mounts(g, err);
        if (r == 0)
                r = ground_commit(g, err);
        if (r == 0)
                r = ground_port(ct, false, err);
        if (r == 0 && !worker_watched(w))
                r = err_set(err, EX_INTERRUPTED, "cannot start the container", "the command was interrupted", "%s", ct->name);
        return r == 0 ? ground_go(g, err) : r;
}

static int start_run(struct worker *w, struct ct *ct, void *ctx, struct err *err)
{
        struct ground *g = NULL;
        int r = ct_ground(ct, GROUND_START, &g, err);

        (void)ctx;
        if (r < 0)
                return r;
        r = start_steps(w, ct, g, err);
        if (r < 0) {
                ground_undo(g);
                return r;
        }
        (void)worker_done(w, err); /* it runs, whether or not the command is still there to hear it */
        return ground_monitor(g, err);
}

int ct_start(struct ct *ct, struct err *err)
{
        static const char what[] = "cannot start the container";
        enum ct_state s;
        int r = ct_need_lock(ct, what, err);

        if (r == 0)
                r = ct_state(ct, &s, err);
        if (r == 0 && (s == CT_STOPPED || s == CT_SUSPENDED)) /* a copy that moved away shares all with the one that came back */
                r = node_conflicts(ct->node, ct->name, &ct->conf, err);
        if (r < 0)
                return r;
        switch (s) {
        case CT_STOPPED:
                return worker_run(ct, start_run, NULL, err);
        case CT_RUNNING:
        case CT_FROZEN:
                return refuse_state(ct, what, s, "see ctrctl info", err);
        case CT_SUSPENDED:
                return ct_restore(ct, "suspended", err); /* relative: in its own directory */
        case CT_OFFERED:
        case CT_INCOMING:
                return refuse_state(ct, what, s, "ask the other node: ctrmigrate --resolve", err);
        case CT_MOVED:
                return refuse_state(ct, what, s, "it runs on another node; remove this copy with ctrctl destroy", err);
        }
        return -EX_FAIL;
}

/* ---- stop ---- */

static int stop_signal(struct ct *ct)
{
        _cleanup_free_ char **argv = NULL;

        if (command_split(ct->conf.init, &argv, NULL) < 0)
                return SIGTERM;
        const char *slash = strrchr(argv[0], '/');
        return str_eq(slash, "/init") || str_eq(slash, "/systemd") ? SIGRTMIN + 3 : SIGTERM;
}

/* true: it has ended within ms. */
static bool wait_gone(int pidfd, unsigned ms)
{
        uint64_t until = now_ns() + (uint64_t)ms * 1000000;
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        for (;;) {
                uint64_t now = now_ns();
                int left = now >= until ? 0 : (int)((until - now) / 1000000) + 1;
                int r = poll(&p, 1, left);
                if (r > 0)
                        return true;
                if (r == 0 && left == 0)
                        return false;
                if (r < 0 && errno != EINTR)
                        return false;
        }
}

/* Has it a handler for the signal, or blocked it (signalfd, sigwait)? Where that cannot be told: yes. */
static bool hears(int pidfd, int sig)
{
        static const char *const keys[] = {"\nSigCgt:\t", "\nSigBlk:\t"};
        _cleanup_free_ char *text = NULL;
        uint64_t mask, all = 0;
        size_t len;
        pid_t pid;

        if (pidfd_pid(pidfd, &pid, NULL) < 0)
                return true;
        _cleanup_close_ int proc = proc_open(pid, NULL);
        if (proc < 0 || proc_read(proc, "status", &text, &len, NULL) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *p = strstr(text, keys[i]);
                if (p)
                        p += strlen(keys[i]);
                if (!p || !scan_hex64(&p, &mask))
                        return true;
                all |= mask;
        }
        return all & UINT64_C(1) << (sig - 1);
}

/* 1: it has ended. 0: it has not, within the time, or hears nothing. */
static int ask_to_end(int pidfd, int sig, unsigned seconds, struct err *err)
{
        uint64_t ms = (uint64_t)seconds * 1000, waited = 0;

        for (; !hears(pidfd, sig); waited += 50) {
                if (waited >= ms || waited >= DEAF_MS)
                        return 0;
                if (wait_gone(pidfd, 50))
                        return 1;
        }
        int r = pidfd_signal(pidfd, sig, err);
        return r < 0 || r == 1 ? r : wait_gone(pidfd, (unsigned)(ms > waited ? ms - waited : 0));
}

static int own_cgroup(struct ct *ct, struct err *err)
{
        struct cgroups *c = node_cgroups(ct->node, err);

        return c ? cgroup_open_v2(c, ct->cgroup, err) : err_result(err);
}

static int end_init(struct ct *ct, int pidfd, unsigned seconds, struct err *err)
{
        _cleanup_close_ int cg = own_cgroup(ct, err);

        if (cg < 0)
                return cg;
        int r = seconds ? ask_to_end(pidfd, stop_signal(ct), seconds, err) : 0;
        if (r)
                return r < 0 ? r : 0;
        r = cgroup_kill(cg, err);
        if (r == 0 && !wait_gone(pidfd, KILLED_MS))
                r = err_set(err, EX_BUSY, "cannot stop the container", "its first process is still there after SIGKILL", "%s", ct->name);
        return r;
}

int ct_stop(struct ct *ct, unsigned seconds, struct err *err)
{
        static const char what[] = "cannot stop the container";
        enum ct_state s;
        int r = ct_need_lock(ct, what, err);

        if (r == 0)
                r = ct_state(ct, &s, err);
        if (r < 0)
                return r;
        if (s == CT_STOPPED || s == CT_SUSPENDED || s == CT_MOVED)
                return refuse_state(ct, what, s, "see ctrctl info", err);
        if (s != CT_RUNNING && s != CT_FROZEN)
                return refuse_state(ct, what, s, "ask the other node: ctrmigrate --resolve", err);
        _cleanup_close_ int pidfd = ct_init_pidfd(ct, err);
        if (pidfd < 0)
                return pidfd;
        /* A frozen one cannot hear a signal; killing works on it. */
        r = end_init(ct, pidfd, s == CT_FROZEN ? 0 : seconds, err);
        if (r == 0)
                r = ct_cleanup(ct, err);
        return r == 0 ? ct_wait_detached(ct, err) : r;
}
