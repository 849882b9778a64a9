/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctrctl checkpoint and restore: a container (or, by its first process, any tree that has a v2 cgroup to itself) into an
 * image directory and back. Suspend, migration and backup are the same session with other ends.
 */
#include "tools/ctrctl.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/parse.h"

static void print_json(const struct session_stats *s)
{
        printf("{\"tasks\":%" PRIu64 ",\"threads\":%" PRIu64 ",\"descriptors\":%" PRIu64 ",\"mappings\":%" PRIu64, s->tasks, s->threads,
               s->fds, s->vmas);
        printf(",\"pages\":%" PRIu64 ",\"zero_pages\":%" PRIu64 ",\"unshared_pages\":%" PRIu64, s->pages, s->zero_pages,
               s->unshared_pages);
        printf(",\"dropped_syn_recv\":%" PRIu64 ",\"dropped_time_wait\":%" PRIu64 "}\n", s->dropped_syn_recv, s->dropped_time_wait);
}

static void print_text(const struct session_stats *s)
{
        printf("%" PRIu64 " tasks, %" PRIu64 " threads, %" PRIu64 " descriptors, %" PRIu64 " mappings, %" PRIu64 " pages (%" PRIu64
               " zero)\n", s->tasks, s->threads, s->fds, s->vmas, s->pages, s->zero_pages);
        if (s->dropped_syn_recv || s->dropped_time_wait)
                printf("dropped: %" PRIu64 " half-open and %" PRIu64 " closing connections\n", s->dropped_syn_recv, s->dropped_time_wait);
        if (s->unshared_pages)
                printf("%.1f MiB that relatives share come back unshared\n", (double)s->unshared_pages / 256.0);
}

static int checkpoint_pid(const struct args *a, struct session_stats *st, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        uint64_t pid = 0;
        int r = parse_u64(arg(a, "pid"), 1, INT32_MAX, &pid, err);

        if (r < 0)
                return err_wrap(err, "cannot use the option", "--pid %s", arg(a, "pid"));
        if (a->n_operands != 1)
                return usage_error(err, "with --pid there is one operand, the directory", "checkpoint");
        r = ctrctl_open_node(&o, err);
        return r < 0 ? r : tree_checkpoint(o.node, (pid_t)pid, a->operand[0], arg_flag(a, "leave-running"), st, err);
}

static int checkpoint_ct(const struct args *a, struct session_stats *st, struct err *err)
{
        _cleanup_opened_ struct opened o = {};

        if (a->n_operands != 2)
                return usage_error(err, "a container and a directory belong here", "checkpoint");
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);
        return r < 0 ? r : ct_checkpoint(o.ct, a->operand[1], arg_flag(a, "leave-running"), st, err);
}

static int run_checkpoint(const struct args *a, struct err *err)
{
        struct session_stats st = {};
        int r = arg(a, "pid") ? checkpoint_pid(a, &st, err) : checkpoint_ct(a, &st, err);

        if (r < 0)
                return r;
        if (arg_flag(a, "json"))
                print_json(&st);
        else
                print_text(&st);
        return 0;
}

const struct verb verb_checkpoint = {
        .name = "checkpoint",
        .operands = "CT|--pid PID DIR",
        .help = "write a running container, or any process tree, into a new image directory",
        .options = {{"pid", "PID", "first process of a tree that is no container; instead of CT"},
                    {"leave-running", NULL, "it goes on afterwards; without it, it ends"},
                    {"json", NULL, "what was written, as one object"}},
        .min = 1,
        .max = 2,
        .run = run_checkpoint,
};

static int run_restore(const struct args *a, struct err *err)
{
        _cleanup_opened_ struct opened o = {};
        char dir[PATH_MAX];

        if (!realpath(a->operand[1], dir)) {
                err_sys(err, errno == ENOENT ? EX_UNKNOWN : EX_FAIL, errno, "cannot open the image", "%s", a->operand[1]);
                return err_remedy(err, "give the directory that ctrctl checkpoint made");
        }
        int r = ctrctl_open(a->operand[0], CT_LOCK_EXCLUSIVE, &o, err);
        return r < 0 ? r : ct_restore(o.ct, dir, err);
}

const struct verb verb_restore = {
        .name = "restore",
        .operands = "CT DIR",
        .help = "let a stopped container go on from an image",
        .min = 2,
        .max = 2,
        .run = run_restore,
};
