/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The restore session.
 *
 *      NEW ──check──► CHECKED ──phases GROUND … CONFINE──► READY ──park──► PARKED ──(session_go, by anybody)
 *       └────────────────┴────────────────┴──────────────────┘  undo: the tree is killed, nothing is left
 *
 * Invariants:
 *   1. Before CHECKED nothing is done with any record; the whole image is verified and every record has passed its check().
 *   2. Until PARKED every task of the tree is traced with EXITKILL: if we die, it dies.
 *   3. After PARKED nothing of the container lives here: no tracee, no descriptor that it needs.
 *
 * A phase is: the plans of all records, in order of kind number, write onto one tape per actor; descriptors that the tapes
 * need are delivered; all tapes play side by side; descriptors that they made are fetched; what was delivered is closed.
 *
 * Not here: CHECK (restore-check.c), how a phase's tapes play (phase.c), what the planners do (restore-tree.c, restore-mounts.c,
 * cgtree.c, hand.c, space.c), and how a tree ends (restore-end.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "checkpoint/cgtree.h"
#include "checkpoint/freeze.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/mounts.h"
#include "checkpoint/phase.h"
#include "checkpoint/restore-int.h"
#include "checkpoint/restore-steps.h"

static void stamp(const struct subject *s, const char *name)
{
        if (s->timers && name)
                timers_start(s->timers, name);
        else if (s->timers)
                timers_stop(s->timers);
}

static const char *const phase_name[PH_N] = { "ground", "mounts", "tree", "make", "bind", "hand", "space", "memory", "attr",
                                              "label", "threads", "confine", "park" };

static int plan_phase(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_rec; i++) {
                const struct kind *k = kind_find(rs->rec[i].kind);
                /* The planner of mounts calls its kinds itself, in the order of the tree. */
                if (!k || !k->plan[rs->phase] || (rs->phase == PH_MOUNTS && k->cls == CLS_MOUNT))
                        continue;
                int r = k->plan[rs->phase](rs, &rs->rec[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int run_phase(struct restore *rs, enum phase ph, struct err *err)
{
        int r = 0;

        rs->phase = ph;
        stamp(&rs->s, phase_name[ph]);
        if (ph == PH_GROUND)
                r = cgtree_mount(rs, err);
        if (ph == PH_TREE)
                r = restore_tree(rs, err);
        if (ph == PH_THREADS)
                r = restore_threads_make(rs, err);
        if (ph == PH_MOUNTS && (r = cgtree_enter(rs, err)) >= 0)
                r = mounts_restore(rs, err);
        if (r >= 0 && ph == PH_SPACE)
                r = space_clear(rs, err);
        if (r >= 0)
                r = plan_phase(rs, err);
        if (r >= 0)
                r = phase_play(rs, err);
        else
                phase_drop(rs);
        if (r >= 0 && ph == PH_HAND)
                r = hand_tables(rs, err);
        if (r >= 0 && ph == PH_MEMORY)
                r = fill_pages(rs, err);
        stamp(&rs->s, NULL);
        if (r < 0)
                err_wrap(err, "cannot restore the container", "phase %s", phase_name[ph]);
        return r;
}

/* A namespace that the image has must not be ours: its plans would set our host name, move our root. (The time namespace
 * is made by its own kind.) */
static int check_ground(struct restore *rs, struct err *err)
{
        static const char *const file[] = { "user", "pid", "mnt", "net", "uts", "ipc", "cgroup" };   /* kinds ns-user … ns-cgroup */
        _cleanup_close_ int self = proc_open(getpid(), err);

        if (self < 0)
                return self;
        for (size_t i = 0; i < rs->n_rec; i++) {
                unsigned at = (unsigned)rs->rec[i].kind - KIND_NS_USER;
                char name[16], ours[64], theirs[64];
                if (rs->rec[i].kind < KIND_NS_USER || at >= ELEMENTSOF(file))
                        continue;
                snprintf(name, sizeof(name), "ns/%s", file[at]);
                int r = proc_readlink(self, name, ours, sizeof(ours), err);
                if (r >= 0)
                        r = proc_readlink(rs->task[0].procfd, name, theirs, sizeof(theirs), err);
                if (r < 0)
                        return r;
                if (str_eq(ours, theirs)) {
                        err_set(err, EX_STATE, "cannot restore the image", "it has a namespace that its new ground lacks", "%s", file[at]);
                        return err_remedy(err, "restore it as a container: ctrctl restore CT DIR");
                }
        }
        return 0;
}

static int take_init(struct restore *rs, struct err *err)
{
        struct restore_task *init = &rs->task[0];
        int r = pidfd_pid(rs->s.init_pidfd, &init->pid, err);

        if (r < 0)
                return r;
        init->pidfd = fcntl(rs->s.init_pidfd, F_DUPFD_CLOEXEC, 3);
        init->procfd = proc_open(init->pid, err);
        if (init->procfd < 0)
                return init->procfd;
        r = check_ground(rs, err);
        if (r < 0)
                return r;
        init->sock_fd = rs->s.sock_fd;
        init->thread[0].tid = init->pid;
        r = tracee_seize(init->pid, TRACEE_EXITKILL, &init->thread[0].tracee, err);
        if (r == 1)
                return err_set(err, EX_FAIL, "cannot restore the container", "its stub has ended", "%s", "");
        if (r < 0)
                return r;
        r = tracee_wait(init->thread[0].tracee, 5000, err);
        if (r > 0)
                return err_set(err, EX_BUSY, "cannot restore the container", "its stub does not stop", "%s", "");
        if (r < 0)
                return r;
        return tracee_agent(init->thread[0].tracee, NULL, rs->agent_addr, AGENT_TAPE_BYTES, err);
}

int session_prepare(const struct subject *s, struct image *img, struct restore **ret, struct err *err)
{
        struct restore *rs = calloc(1, sizeof(*rs));

        if (!rs)
                return kind_nomem(err);
        rs->s = *s;
        rs->img = img;
        rs->root_fd = -1;
        rs->spare = tape_new((struct actor){ ACTOR_SELF, 0 });
        stamp(s, "check");
        int r = rs->spare ? restore_check(rs, err) : kind_nomem(err);
        stamp(s, NULL);
        if (r >= 0)
                r = space_choose_agent(rs, err);
        if (r >= 0 && (r = executor_ptrace(restore_tracee, rs, &rs->ptrace, err)) >= 0)
                rs->have_ptrace = true;
        if (r >= 0 && (r = executor_self(&rs->self, err)) >= 0)
                rs->have_self = true;
        rs->state = r >= 0 ? RESTORE_BUILDING : rs->state;
        if (r >= 0)
                r = take_init(rs, err);
        for (unsigned ph = 0; r >= 0 && ph < PH_PARK; ph++)
                r = run_phase(rs, ph, err);
        if (r < 0) {
                session_undo(rs);
                return r;
        }
        rs->state = RESTORE_READY;
        *ret = rs;
        return 0;
}

/* ---- PARK ---- */

static int close_socks(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                if (t->sock_fd < 0)
                        continue;
                struct tape *tape = restore_tape(rs, (struct actor){ ACTOR_TASK, t->id });
                tape_label(tape, "close the delivery socket");
                TAPE(tape, SYS_close, A_IMM(t->sock_fd));
                t->sock_fd = -1;
        }
        return phase_play(rs, err);
}

static int rebuild_and_drop(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_task; i++)
                for (size_t k = rs->task[i].n_thread; k-- > 0;) {
                        struct restore_thread *th = &rs->task[i].thread[k];
                        if (!th->has_cpu)
                                return err_set(err, EX_IMAGE, "cannot restore the container", "a thread has no registers", "thread %d",
                                               (int)th->vtid);
                        int r = th->restart.rebuild ? tracee_rebuild(th->tracee, &th->restart, err) : 0;
                        if (r >= 0)
                                r = tracee_agent_drop(th->tracee, err);
                        if (r < 0)
                                return err_wrap(err, "cannot set a thread going", "thread %d", (int)th->vtid);
                }
        return 0;
}

/* Detached tasks under a frozen cgroup: `frozen 1` also shows while they are only ptrace-stopped, so the tracees are gone
 * before it counts. */
static int wait_frozen(struct restore *rs, struct err *err)
{
        for (unsigned i = 0; i < 2000; i++) {
                bool frozen = false;
                int r = cgroup_frozen(rs->s.cgroup_fd, &frozen, err);
                if (r < 0)
                        return r;
                if (frozen)
                        return 0;
                struct timespec ts = { .tv_nsec = 500000 };
                nanosleep(&ts, NULL);
        }
        return err_set(err, EX_BUSY, "cannot park the container", "its cgroup did not freeze", "%s", "");
}

int session_park(struct restore *rs, struct err *err)
{
        int r = run_phase(rs, PH_PARK, err);

        stamp(&rs->s, "park");
        if (r >= 0)
                r = close_socks(rs, err);
        if (r >= 0)
                r = rebuild_and_drop(rs, err);
        if (r >= 0)
                r = cgroup_freeze_write(rs->s.cgroup_fd, err);
        for (size_t i = 0; r >= 0 && i < rs->n_task; i++)
                for (size_t k = 0; r >= 0 && k < rs->task[i].n_thread; k++)
                        r = tracee_set(rs->task[i].thread[k].tracee, rs->task[i].thread[k].cpu, err);
        for (size_t i = 0; r >= 0 && i < rs->n_task; i++)
                for (size_t k = rs->task[i].n_thread; r >= 0 && k-- > 0;)
                        r = tracee_detach(TAKE_PTR(rs->task[i].thread[k].tracee), err);
        if (r >= 0)
                r = wait_frozen(rs, err);
        if (r >= 0)
                r = cgtree_freeze(rs, err);
        stamp(&rs->s, NULL);
        if (r < 0)
                return r;
        rs->state = RESTORE_PARKED;
        return 0;
}

int session_go(const struct subject *s, struct err *err)
{
        int r = 0;

        if (s->outside && s->outside->network)
                r = s->outside->network(s->ctx, false, err);
        if (r >= 0)
                r = subject_repair_off(s, err);
        if (r >= 0)
                r = subject_thaw(s, false, err);
        return r;
}

void session_undo(struct restore *rs)
{
        if (!rs)
                return;
        if (rs->state != RESTORE_PARKED)
                restore_kill(rs);
        restore_free(rs);
}
