/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container into an image directory, and back: the two whole verbs over a session.
 *
 * A checkpoint either leaves the container running or ends it, and ends it only when the image is whole and durable (its
 * directory has been renamed): every failure before that resumes it. A signal that would end the command is such a failure: it is held
 * back and looked at with every run of pages, so that half an image does not stay on the disk. A restore is a worker, like a start: the worker
 * makes the ground, verifies the image before anything of it is used, prepares and parks the tree, writes the run
 * state, lets it go and becomes the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/signals.h"
#include "base/str.h"
#include "checkpoint/image.h"
#include "engine/ground-int.h"

#define FREEZE_MS 5000

static int refuse_state(struct ct *ct, const char *what, enum ct_state s, struct err *err)
{
        err_set(err, EX_STATE, what, "", "%s", ct->name);
        err_why(err, "it is %s", ct_state_name(s));
        return err_remedy(err, "see ctrctl info %s", ct->name);
}

static int watched_put(void *c, const struct run *run, const void *buf, struct err *err)
{
        int r = signals_check("cannot write the checkpoint image", "", err);

        return r < 0 ? r : image_page_sink.put(c, run, buf, err);
}

static int write_image(struct dump *d, const char *dir, struct err *err)
{
        struct page_sink_ops watched = image_page_sink;
        struct image_writer *w = NULL;
        int r = image_writer_open(AT_FDCWD, dir, session_record_types(), &w, err);

        if (r < 0)
                return r;
        const struct record_sink sink = image_writer_records(w);
        watched.put = watched_put;
        r = session_dump(d, &sink, &watched, w, err);
        if (r == 0)
                r = signals_check("cannot write the checkpoint image", "", err);
        if (r < 0) {
                image_writer_abort(w);
                return r;
        }
        return image_writer_close(w, err);
}

static int dump_held(const struct subject *s, const char *dir, bool leave_running, struct session_stats *ret, struct err *err)
{
        struct dump *d = NULL;
        struct err later = {};
        int r = session_freeze(s, FREEZE_MS, &d, err);

        if (r < 0)
                return r;
        r = write_image(d, dir, err);
        if (ret)
                dump_stats(d, ret);
        if (r == 0 && !leave_running)
                return session_kill(s, d, err);
        int q = session_resume(d, &later);
        return r == 0 && q < 0 ? err_take(err, &later) : r;
}

static int dump_subject(const struct subject *s, const char *dir, bool leave_running, struct session_stats *ret, struct err *err)
{
        sigset_t before;
        int r = signals_hold(&before, err);

        if (r < 0)
                return r;
        r = dump_held(s, dir, leave_running, ret, err);
        signals_release(&before, r);
        return r;
}

int ct_checkpoint(struct ct *ct, const char *dir, bool leave_running, struct session_stats *ret, struct err *err)
{
        static const char what[] = "cannot checkpoint the container";
        struct subject s;
        enum ct_state state;
        int r = ct_need_lock(ct, what, err);

        if (r == 0)
                r = ct_state(ct, &state, err);
        if (r == 0 && state != CT_RUNNING)
                r = refuse_state(ct, what, state, err);
        if (r == 0)
                r = ct_subject(ct, &s, err);
        if (r < 0)
                return r;
        r = ct_note_frozen(ct, true, err);
        if (r == 0)
                r = dump_subject(&s, dir, leave_running, ret, err);
        subject_done(&s);
        /* One that could not be thawed stays noted, for the next command; so does one whose note cannot be taken back, which
         * costs that command a needless cure and is no failure of this one. */
        if (ct_state(ct, &state, NULL) < 0 || state != CT_FROZEN)
                (void)ct_note_frozen(ct, false, NULL);
        if (r < 0)
                return err_wrap(err, what, "%s", ct->name);
        if (leave_running)
                return 0;
        r = ct_cleanup(ct, err);
        return r == 0 ? ct_wait_detached(ct, err) : r;
}

/* ---- a tree that is no container ---- */

/* Its directory in the v2 tree, from the line "0::/PATH". */
static int cgroup_of(struct node *n, int procfd, pid_t pid, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        int r = proc_read(procfd, "cgroup", &text, NULL, err);
        struct cgroups *c = r < 0 ? NULL : node_cgroups(n, err);

        if (!c)
                return err_result(err);
        char *p = str_starts(text, "0::/") ? text : strstr(text, "\n0::/");
        if (p) {
                p = strchr(p, '/') + 1;
                p[strcspn(p, "\n")] = '\0';
        }
        if (p && *p)
                return cgroup_open_v2(c, p, err);
        err_set(err, EX_STATE, "cannot checkpoint the process tree", "it has no v2 cgroup of its own to be frozen in", "pid %d", pid);
        return err_remedy(err, "make one and write the number of each of its processes into its cgroup.procs");
}

static int tree_subject(struct node *n, pid_t pid, struct subject *s, struct err *err)
{
        _cleanup_close_ int proc = proc_open(pid, err);

        if (proc < 0)
                return proc;
        s->init_pidfd = pidfd_open_proc(pid, err);
        if (s->init_pidfd < 0)
                return s->init_pidfd;
        s->cgroup_fd = cgroup_of(n, proc, pid, err);
        if (s->cgroup_fd < 0)
                return s->cgroup_fd;
        s->root_fd = path_open(proc, "root", O_RDONLY | O_DIRECTORY, 0, err);
        return s->root_fd < 0 ? s->root_fd : 0;
}

int tree_checkpoint(struct node *n, pid_t pid, const char *dir, bool leave_running, struct session_stats *ret, struct err *err)
{
        struct subject s = {.init_pidfd = -1, .cgroup_fd = -1, .root_fd = -1, .console_index = -1, .sock = -1, .sock_fd = -1,
                            .fssync_fd = -1, .log = n->log};
        int r = tree_subject(n, pid, &s, err);

        if (r == 0)
                r = sleepers_open(&s.sleepers, err);
        if (r >= 0)
                r = dump_subject(&s, dir, leave_running, ret, err);
        subject_done(&s);
        return r < 0 ? err_wrap(err, "cannot checkpoint the process tree", "pid %d", pid) : 0;
}

/* ---- restore ---- */

static int restore_tree(struct worker *w, struct ground *g, const struct subject *s, struct image *img, struct err *err)
{
        struct restore *rs = NULL;
        int r = session_prepare(s, img, &rs, err);

        if (r < 0)
                return r;
        r = session_park(rs, err);
        if (r < 0) {
                session_undo(rs);
                return r;
        }
        restore_free(rs);
        if (!worker_watched(w))
                return err_set(err, EX_INTERRUPTED, "cannot restore the container", "the command was interrupted", "%s", g->ct->name);
        r = ground_keeper(g, err);
        if (r == 0)
                r = ground_commit(g, err);
        return r == 0 ? session_go(s, err) : r;
}

static int restore_steps(struct worker *w, struct ground *g, struct image *img, struct err *err)
{
        struct subject s;
        int r = ground_image(g, err);

        if (r == 0)
                r = ground_subject(g, &s, err);
        if (r < 0)
                return r;
        r = restore_tree(w, g, &s, img, err);
        subject_done(&s);
        return r;
}

static int restore_run(struct worker *w, struct ct *ct, void *ctx, struct err *err)
{
        const char *dir = ctx;
        struct ground *g = NULL;
        struct image *img = NULL;
        int r = image_open(dir[0] == '/' ? AT_FDCWD : ct->dir, dir, session_record_types(), &img, err);

        if (r == 0)
                r = ct_ground(ct, GROUND_RESTORE, &g, err);
        if (r == 0)
                r = restore_steps(w, g, img, err);
        image_close(img);
        if (r < 0) {
                ground_undo(g);
                return err_wrap(err, "cannot restore the container", "%s", ct->name);
        }
        (void)worker_done(w, err); /* it runs, whether or not the command is still there to hear it */
        return ground_monitor(g, err);
}

int ct_restore(struct ct *ct, const char *dir, struct err *err)
{
        static const char what[] = "cannot restore the container";
        char path[4200];
        enum ct_state state;
        int r = ct_need_lock(ct, what, err);

        if (r == 0)
                r = ct_state(ct, &state, err);
        if (r == 0 && state != CT_STOPPED && state != CT_SUSPENDED)
                r = refuse_state(ct, what, state, err);
        if (r == 0)
                r = node_conflicts(ct->node, ct->name, &ct->conf, err);
        if (r < 0)
                return r;
        str_copy(path, sizeof(path), dir);
        return worker_run(ct, restore_run, path, err);
}
