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
 * Not here: the tree (restore-tree.c), descriptors (deliver.c), address spaces and pages (space.c), mounts (mounts.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/pidfd.h"
#include "base/procfs.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/cpu.h"
#include "checkpoint/dump-int.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/restore-int.h"
#include "proto/header.pb-c.h"

static void stamp(const struct subject *s, const char *name)
{
        if (s->timers && name)
                timers_start(s->timers, name);
        else if (s->timers)
                timers_stop(s->timers);
}

/* ---- CHECK ---- */

static int by_id(const void *a, const void *b, void *ctx)
{
        const struct restore *rs = ctx;
        const struct record *x = &rs->rec[*(const size_t *)a], *y = &rs->rec[*(const size_t *)b];

        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static int read_records(struct restore *rs, struct err *err)
{
        struct record_source src = image_records(rs->img);
        size_t cap = 0;
        int r;

        for (;;) {
                struct record rec = {};
                r = src.next(src.c, &rec, err);
                if (r <= 0)
                        break;
                if (rec.kind == RECORD_HEADER) {
                        const Gantry__Header *h = (const Gantry__Header *)(const void *)rec.msg;
                        r = cpu_check(h->cpu, h->n_cpu, err);
                        record_done(&rec);
                        if (r < 0)
                                break;
                        continue;
                }
                if (rs->n_rec == cap) {
                        cap = cap ? cap * 2 : 256;
                        struct record *grown = realloc(rs->rec, cap * sizeof(*grown));
                        if (!grown) {
                                record_done(&rec);
                                return kind_nomem(err);
                        }
                        rs->rec = grown;
                }
                rs->rec[rs->n_rec++] = rec;
        }
        if (r < 0)
                return r;
        rs->by_id = calloc(rs->n_rec ? rs->n_rec : 1, sizeof(*rs->by_id));
        if (!rs->by_id)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_rec; i++)
                rs->by_id[i] = i;
        qsort_r(rs->by_id, rs->n_rec, sizeof(*rs->by_id), by_id, rs);
        return 0;
}

static int check_order(const struct restore *rs, struct err *err)
{
        for (size_t i = 1; i < rs->n_rec; i++)
                if (rs->rec[i].kind < rs->rec[i - 1].kind)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "its records are not in order", "record %u %llu",
                                       rs->rec[i].kind, (unsigned long long)rs->rec[i].id);
        for (size_t i = 1; i < rs->n_rec; i++) {
                const struct record *a = &rs->rec[rs->by_id[i - 1]], *b = &rs->rec[rs->by_id[i]];
                if (a->id == b->id && a->kind == b->kind)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a record stands twice", "record %u %llu", a->kind,
                                       (unsigned long long)a->id);
        }
        return 0;
}

/* Memory has runs and no record of its id's kind but the address space's; all other runs are what a record could not hold, and
 * counted by its kind. */
static bool is_memory(void *ctx, uint64_t id)
{
        return !has_record(ctx, 0, id) || has_record(ctx, KIND_TASK_MM, id);
}

static int check_memory(struct restore *rs, struct err *err)
{
        uint64_t need = rs->need.bytes + image_resident(rs->img, is_memory, rs);

        if (!rs->s.memory_limit || need <= rs->s.memory_limit)
                return 0;
        err_set(err, EX_NOSPC, "cannot restore the image", "its memory would not fit the container's limit", "%llu MiB of %llu MiB",
                (unsigned long long)(need >> 20), (unsigned long long)(rs->s.memory_limit >> 20));
        return err_remedy(err, "raise the container's memory and try again");
}

static int check_caps(const struct restore *rs, struct err *err)
{
        uint64_t more = rs->need.caps & ~rs->s.caps;

        if (!more)
                return 0;
        err_set(err, EX_IMAGE, "cannot restore the image", "a process in it has capabilities that a container here is not granted",
                "mask 0x%llx", (unsigned long long)more);
        return err_remedy(err, "it is no image of such a container: restore it where it was made, or start the container anew");
}

static int check_all(struct restore *rs, struct err *err)
{
        int r = read_records(rs, err);

        if (r >= 0)
                r = check_order(rs, err);
        for (size_t i = 0; r >= 0 && i < rs->n_rec; i++) {
                const struct kind *k = kind_find(rs->rec[i].kind);
                if (rs->rec[i].kind == RECORD_TREE || rs->rec[i].kind == RECORD_MOUNTS)
                        continue;
                if (!k || !k->check)
                        return err_set(err, EX_IMAGE, "cannot restore the image", "a record's kind cannot be restored here",
                                       "record %u %llu", rs->rec[i].kind, (unsigned long long)rs->rec[i].id);
                r = k->check(&rs->rec[i], &rs->need, err);
        }
        if (r >= 0)
                r = restore_read_tree(rs, err);
        if (r >= 0)
                r = complete_check(rs, err);
        if (r >= 0)
                r = cgtree_check(rs, err);
        if (r >= 0)
                r = mounts_check(rs, err);
        if (r >= 0)
                r = check_caps(rs, err);
        if (r >= 0)
                r = check_memory(rs, err);
        if (r < 0)
                return r;
        rs->state = RESTORE_CHECKED;
        return 0;
}

/* ---- one phase ---- */

struct tape *restore_tape(struct restore *rs, struct actor who)
{
        for (size_t i = 0; i < rs->n_tape; i++) {
                struct actor a = tape_actor(rs->tape[i]);
                if (a.type == who.type && a.id == who.id)
                        return rs->tape[i];
        }
        struct tape **grown = realloc(rs->tape, (rs->n_tape + 1) * sizeof(*grown));
        struct tape *t = grown ? tape_new(who) : NULL;
        if (grown)
                rs->tape = grown;
        if (!t)
                abort();   /* a kind's plan has no way to go on without a tape; the tree dies with us (EXITKILL) */
        rs->tape[rs->n_tape++] = t;
        return t;
}

static int open_maps(struct restore *rs, struct err *err)
{
        for (size_t i = 0; i < rs->n_map; i++) {
                const struct restore_map *m = &rs->map[i];
                const struct restore_task *t = restore_task_find(rs, tape_actor(m->t).id);
                uint64_t at = (uint64_t)tape_ret(m->t, m->entry);
                char name[96];

                snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)at, (unsigned long long)(at + m->size));
                int fd = sys_openat(t->procfd, name, O_RDWR, 0);
                if (fd < 0)
                        return err_sys(err, EX_FAIL, fd, "cannot open a shared memory object", "%s", name);
                int r = object_put(rs, m->object, fd, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void tapes_drop(struct restore *rs)
{
        for (size_t i = 0; i < rs->n_tape; i++)
                tape_free(rs->tape[i]);
        rs->n_tape = rs->n_map = 0;
}

/* The container's own tapes first, then ours: what the engine does by its duplicates needs the objects to exist. */
static int play_split(struct restore *rs, bool self, struct err *err)
{
        _cleanup_free_ struct tape **list = calloc(rs->n_tape ? rs->n_tape : 1, sizeof(*list));
        size_t n = 0;

        if (!list)
                return kind_nomem(err);
        for (size_t i = 0; i < rs->n_tape; i++)
                if ((tape_actor(rs->tape[i]).type == ACTOR_SELF) == self && (tape_len(rs->tape[i]) || tape_bad(rs->tape[i])))
                        list[n++] = rs->tape[i];
        int r = 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = deliver_needs(rs, list[i], err);
        if (r >= 0 && n)
                r = executor_play(self ? &rs->self : &rs->ptrace, list, n, err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = collect_keeps(rs, list[i], err);
        return r;
}

int phase_play(struct restore *rs, struct err *err)
{
        int r = play_split(rs, false, err);

        if (r >= 0)
                r = open_maps(rs, err);
        if (r >= 0)
                r = play_split(rs, true, err);
        tapes_drop(rs);
        if (r >= 0)
                r = deliver_cleanup(rs, err);
        return r;
}

int play_one(struct restore *rs, struct tape *t, struct err *err)
{
        int r = deliver_needs(rs, t, err);

        if (r >= 0)
                r = executor_play(&rs->ptrace, &t, 1, err);
        if (r >= 0)
                r = collect_keeps(rs, t, err);
        tape_free(t);
        return r;
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
                tapes_drop(rs);
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
        stamp(s, "check");
        int r = check_all(rs, err);
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

/* ---- the end ---- */

/* Threads of a task but the leader, known to us or not: true while there are some. */
static bool reap_threads(const struct restore_task *t)
{
        _cleanup_free_ unsigned *tid = NULL;
        size_t n = 0;
        bool some = false;

        if (t->procfd < 0 || proc_numbers(t->procfd, "task", &tid, &n, NULL) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if ((pid_t)tid[i] != t->pid) {
                        some = true;
                        (void)waitpid((pid_t)tid[i], NULL, __WALL | WNOHANG);
                }
        return some;
}

static bool reap_children(int proc, pid_t init)
{
        _cleanup_free_ char *text = NULL;
        char name[64];
        size_t n = 0;
        unsigned pid = 0; /* of our pid namespace */
        bool some = false;

        snprintf(name, sizeof(name), "task/%d/children", (int)init);
        if (proc_read(proc, name, &text, &n, NULL) < 0 || n == 0)
                return false;
        for (const char *p = text; sscanf(p, "%u", &pid) == 1; p += strcspn(p, " "), p += strspn(p, " "))
                some |= waitpid((pid_t)pid, NULL, __WALL | WNOHANG) >= 0; /* else it is not ours: init's own zombie */
        return some;
}

/* Children and threads that a wave had cloned and not yet told us of when it failed: they are traced from their birth, so
 * they are ours to reap, and init waits for them. */
static void reap_strays(struct restore *rs)
{
        const struct timespec tick = { .tv_nsec = 2000000 };
        pid_t init = 0;

        if (pidfd_pid(rs->s.init_pidfd, &init, NULL) < 0)
                return;
        _cleanup_close_ int proc = proc_open(init, NULL);
        for (unsigned i = 0; proc >= 0 && i < 500 && pidfd_alive(rs->s.init_pidfd) == 1; i++) {
                bool some = reap_children(proc, init);
                for (size_t k = 0; k < rs->n_task; k++)
                        some |= reap_threads(&rs->task[k]);
                if (!some)
                        return;
                nanosleep(&tick, NULL);
        }
}

#define END_MS 10000

/* Threads of the tasks from `first` on, and the temporary ones beside them: reaped as they end. */
static void end_tasks(struct restore *rs, size_t first, size_t end)
{
        size_t n = rs->n_temp, at = 0;

        for (size_t i = first; i < end; i++)
                n += rs->task[i].n_thread;
        _cleanup_free_ struct tracee **all = calloc(n ? n : 1, sizeof(struct tracee *));
        for (size_t i = 0; all && i < rs->n_temp; i++)
                all[at++] = TAKE_PTR(rs->temp[i].tracee);
        for (size_t i = end; i-- > first;)
                for (size_t k = rs->task[i].n_thread; k-- > 0;) {
                        if (all)
                                all[at++] = TAKE_PTR(rs->task[i].thread[k].tracee);
                        else
                                (void)tracee_detach(TAKE_PTR(rs->task[i].thread[k].tracee), NULL);
                }
        if (all)
                tracee_end(all, at, END_MS);
}

static void kill_tree(struct restore *rs)
{
        if (rs->s.cgroup_fd >= 0)
                (void)cgroup_kill(rs->s.cgroup_fd, NULL);
        (void)pidfd_signal(rs->s.init_pidfd, SIGKILL, NULL); /* also when nothing but the stub was there yet */
        for (size_t i = 0; i < rs->n_task; i++)
                if (rs->task[i].pidfd >= 0)
                        (void)pidfd_signal(rs->task[i].pidfd, SIGKILL, NULL);
        /* An init does not end before its zombies are reaped, and those that we trace are ours to reap: init last. */
        if (rs->n_task) {
                end_tasks(rs, 1, rs->n_task);
                reap_strays(rs);
                end_tasks(rs, 0, 1);
        }
        for (size_t i = rs->n_task; i-- > 0;)
                if (rs->task[i].pidfd >= 0)
                        pidfd_end(rs->task[i].pidfd);
        if (rs->s.cgroup_fd >= 0)
                (void)cgroup_thaw(rs->s.cgroup_fd, NULL);
}

void restore_free(struct restore *rs)
{
        if (!rs)
                return;
        tapes_drop(rs);
        for (size_t i = 0; i < rs->n_rec; i++)
                record_done(&rs->rec[i]);
        for (size_t i = 0; i < rs->n_task; i++) {
                struct restore_task *t = &rs->task[i];
                for (size_t k = 0; k < t->n_thread; k++)
                        free(t->thread[k].cpu);
                free(t->thread);
                free(t->thread_ids);
                free(t->temp);
                fd_close(t->pidfd);
                fd_close(t->procfd);
        }
        for (size_t i = 0; i < rs->n_object; i++)
                fd_close(rs->object[i].fd);
        if (rs->have_ptrace)
                executor_done(&rs->ptrace);
        if (rs->have_self)
                executor_done(&rs->self);
        tree_plan_done(&rs->plan);
        nl_free(rs->nl);
        net_settings_done(&rs->settings);
        fd_close(rs->root_fd);
        free(rs->object);
        free(rs->task);
        free(rs->dead);
        free(rs->temp);
        free(rs->tape);
        free(rs->map);
        free(rs->cg);
        free(rs->by_id);
        free(rs->rec);
        free(rs);
}

void session_undo(struct restore *rs)
{
        if (!rs)
                return;
        if (rs->state != RESTORE_PARKED)
                kill_tree(rs);
        restore_free(rs);
}
