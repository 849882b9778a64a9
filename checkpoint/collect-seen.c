/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WALK, what /proc does not show of a task, into dump_thread.seen (enum task_seen):
 *
 *      syscall user dispatch    by ptrace (6.4+; before, a BPF iterator tells)
 *      memory policies          get_mempolicy by tape: each thread's own, and each mapping's
 *      keys                     keyctl by tape: what the thread's keyrings hold; persistent ones by /proc/keys (probe-keys.c)
 *      SEM_UNDO                 kcmp with ourselves, who have no undo list
 *      autogroups               /proc/PID/autogroup, where a session has a nice value
 *      Landlock                 a probe child (probe-landlock.c), only where the kernel has it; by tape where there are many alike
 *
 * Everything is asked side by side, one tape per thread. A seccomp filter of the program does not matter: filters are
 * suspended while a thread is traced.
 *
 * Keys: reading the session keyring of a thread that has none makes the kernel install the user's (security/keys, "always
 * install a session keyring upon access"), as the thread's own first look would. A keyring that holds nothing, or nothing but
 * links to empty keyrings (pam_keyinit and systemd link the user's), holds no key that could be lost: it comes back as an
 * empty anonymous one.
 *
 * SEM_UNDO: in an ipc namespace of its own ns-ipc refuses every semaphore, and undo lists without one are empty. So it matters in
 * the node's namespace alone, and only while there are semaphores; a thread's list exists also when it is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "checkpoint/collect.h"
#include "checkpoint/dump-int.h"

#define IDS 64u            /* keys of a keyring that are looked at: more are a refusal anyhow */
#define DESCRIPTION 128u
#define VMAS_PER_TAPE 256u
#define SIDE_BY_SIDE 64u   /* threads; as many probe children exist at the same time */

static const int32_t ring[] = { KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_SESSION_KEYRING,
                                KEY_SPEC_USER_KEYRING };
enum { RINGS = sizeof(ring) / sizeof(*ring) };

/* One tape and what it asks: a thread's own properties, or the policies of `n` mappings. */
struct question {
        struct tape *t;
        struct dump_thread *th;
        size_t n;                         /* mappings; 0: the thread's own */
        uint32_t rings;                   /* keyrings that are asked for */
        uint32_t look;                    /* entry that looks at the thread's witness, 0: there is none */
        uint32_t policy;                  /* data: an int each */
        uint32_t ids;                     /* data: IDS numbers per keyring */
};

struct questions { struct question *at; size_t n, cap; int32_t *empty; size_t n_empty; };

static struct question *add(struct questions *q, struct dump_thread *th)
{
        if (q->n == q->cap) {
                size_t cap = q->cap ? q->cap * 2 : 64;
                struct question *grown = realloc(q->at, cap * sizeof(*grown));
                if (!grown)
                        return NULL;
                q->at = grown;
                q->cap = cap;
        }
        struct question *x = &q->at[q->n];
        *x = (struct question){ .t = tape_new((struct actor){ ACTOR_THREAD, th->id }), .th = th };
        if (!x->t)
                return NULL;
        q->n++;
        return x;
}

static void clear(struct questions *q)
{
        for (size_t i = 0; i < q->n; i++)
                tape_free(q->at[i].t);
        q->n = 0;
}

/* The tape's first entry asks for the thread's policy, the next ones for its keyrings. */
static int ask_thread(struct questions *q, struct dump_thread *th, bool users, struct err *err)
{
        struct question *x = add(q, th);

        if (!x)
                return kind_nomem(err);
        tape_label(x->t, "ask for policy and keyrings");
        x->policy = tape_data(x->t, NULL, sizeof(int));
        x->ids = tape_data(x->t, NULL, RINGS * IDS * sizeof(int32_t));
        tape_may_fail(x->t, TAPE(x->t, SYS_get_mempolicy, A_DATA(x->policy), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0)), 0);
        x->rings = users ? RINGS : RINGS - 1;
        for (uint32_t i = 0; i < x->rings; i++)
                tape_may_fail(x->t, TAPE(x->t, SYS_keyctl, A_IMM(KEYCTL_READ), A_IMM((int64_t)ring[i]),
                                         A_DATA(x->ids + i * IDS * (uint32_t)sizeof(int32_t)), A_IMM(IDS * sizeof(int32_t)), A_IMM(0)), 0);
        x->look = th->witness ? landlock_look(x->t, th->witness) : 0;
        return 0;
}

static int ask_vmas(struct questions *q, struct dump *d, size_t task, struct err *err)
{
        size_t at = d->task[task].vma_from;
        struct question *x = NULL;

        for (const struct dump_obj *v; (v = dump_next_vma(d, task, &at));) {
                if (v->vma->start >> 63)
                        continue;
                if (!x || x->n == VMAS_PER_TAPE) {
                        x = add(q, &d->task[task].thread[0]);
                        if (!x)
                                return kind_nomem(err);
                        tape_label(x->t, "ask for policies of mappings");
                        x->policy = tape_data(x->t, NULL, VMAS_PER_TAPE * sizeof(int));
                }
                uint32_t e = TAPE(x->t, SYS_get_mempolicy, A_DATA(x->policy + (uint32_t)(x->n++ * sizeof(int))), A_IMM(0), A_IMM(0),
                                  A_IMM(v->vma->start), A_IMM(MPOL_F_ADDR));
                tape_may_fail(x->t, e, 0);
        }
        return 0;
}

static int play(struct dump *d, const struct questions *q, size_t from, struct err *err)
{
        _cleanup_free_ struct tape **t = calloc(q->n ? q->n : 1, sizeof(*t));
        size_t n = 0;

        if (!t)
                return kind_nomem(err);
        for (size_t i = from; i < q->n; i++)
                t[n++] = q->at[i].t;
        return n ? executor_play(&d->ptrace, t, n, err) : 0;
}

/* ---- answers ---- */

static void take_policies(const struct question *x)
{
        for (uint32_t i = 0; i < (x->n ? x->n : 1); i++) {
                int mode;
                memcpy(&mode, tape_out(x->t, x->policy + i * (uint32_t)sizeof(mode)), sizeof(mode));
                if (tape_ret(x->t, i) == 0 && mode != MPOL_DEFAULT)
                        x->th->seen |= TASK_SEEN_MEMPOLICY;
        }
}

static bool known_empty(const struct questions *q, int32_t id)
{
        for (size_t i = 0; i < q->n_empty; i++)
                if (q->empty[i] == id)
                        return true;
        return false;
}

/* The ids that a thread's keyrings link to and that nobody has looked into yet; -1: it is clear that there are keys. */
static int links(const struct questions *q, const struct question *x, int32_t *ret, size_t *ret_n)
{
        for (uint32_t i = 0; i < x->rings; i++) {
                int64_t len = tape_ret(x->t, i + 1);
                const int32_t *ids = tape_out(x->t, x->ids + i * IDS * (uint32_t)sizeof(int32_t));
                if (len == -EACCES || len > (int64_t)(IDS * sizeof(int32_t)))
                        return -1;
                for (int64_t k = 0; k < len / (int64_t)sizeof(int32_t); k++)
                        if (!known_empty(q, ids[k]))
                                ret[(*ret_n)++] = ids[k];
        }
        return 0;
}

/* Two entries each: what it is, and how much it holds. */
static int look_into(struct dump *d, struct questions *q, struct dump_thread *th, const int32_t *ids, size_t n, struct err *err)
{
        size_t from = q->n;
        struct question *x = add(q, th);

        if (!x)
                return kind_nomem(err);
        tape_label(x->t, "look into linked keyrings");
        uint32_t text = tape_data(x->t, NULL, n * DESCRIPTION);
        for (uint32_t i = 0; i < n; i++) {
                tape_may_fail(x->t, TAPE(x->t, SYS_keyctl, A_IMM(KEYCTL_DESCRIBE), A_IMM((int64_t)ids[i]), A_DATA(text + i * DESCRIPTION),
                                         A_IMM(DESCRIPTION - 1), A_IMM(0)), 0);
                tape_may_fail(x->t, TAPE(x->t, SYS_keyctl, A_IMM(KEYCTL_READ), A_IMM((int64_t)ids[i]), A_IMM(0), A_IMM(0), A_IMM(0)), 0);
        }
        int r = play(d, q, from, err);
        int32_t *grown = r < 0 ? NULL : realloc(q->empty, (q->n_empty + n) * sizeof(*grown));
        if (r < 0 || !grown)
                return r < 0 ? r : kind_nomem(err);
        q->empty = grown;
        for (uint32_t i = 0; i < n; i++) {
                const char *is = tape_out(x->t, text + i * DESCRIPTION);
                if (str_starts(is, "keyring;") && tape_ret(x->t, 2 * i + 1) == 0)
                        q->empty[q->n_empty++] = ids[i];
                else
                        th->seen |= TASK_SEEN_KEYRING;
        }
        return 0;
}

static int take_keys(struct dump *d, struct questions *q, size_t at, struct err *err)
{
        int32_t ids[RINGS * IDS];
        size_t n = 0;
        struct question x = q->at[at];

        if (links(q, &x, ids, &n) < 0) {
                x.th->seen |= TASK_SEEN_KEYRING;
                return 0;
        }
        return n ? look_into(d, q, x.th, ids, n, err) : 0;
}

static int ask_and_take(struct dump *d, struct questions *q, const struct thread_at *at, size_t n, struct err *err)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct dump_task *t = &d->task[at[i].task];
                r = ask_thread(q, &t->thread[at[i].thread], at[i].thread == 0 && t->ns[NS_USER], err);
                if (r >= 0 && at[i].thread == 0)
                        r = ask_vmas(q, d, at[i].task, err);
        }
        if (r >= 0)
                r = play(d, q, 0, err);
        size_t asked = q->n;
        for (size_t i = 0; r >= 0 && i < asked; i++) {
                take_policies(&q->at[i]);
                if (q->at[i].look && tape_ret(q->at[i].t, q->at[i].look) == 0)
                        q->at[i].th->landlock_known = true;
                if (q->at[i].n == 0)
                        r = take_keys(d, q, i, err);
        }
        clear(q);
        return r;
}

/* ---- without a tape ---- */

/* "/autogroup-25 nice 0": what a session as a whole gets. It is told of each of its processes. */
static int autogroups(struct dump *d, struct err *err)
{
        for (size_t i = 0; i < d->n_task; i++) {
                _cleanup_free_ char *text = NULL;
                size_t len = 0;
                struct err e = {};
                int r = proc_read(d->task[i].procfd, "autogroup", &text, &len, &e);
                if (r < 0 && e.sys != ENOENT)
                        return err_take(err, &e);
                const char *nice = r < 0 || !len ? NULL : strstr(text, " nice ");
                if (nice && !str_eq(nice, " nice 0\n"))
                        d->task[i].thread[0].seen |= TASK_SEEN_AUTOGROUP;
        }
        return 0;
}

static int semaphores_here(struct err *err)
{
        _cleanup_close_ int dir = path_open(AT_FDCWD, "/proc/sysvipc", O_PATH | O_DIRECTORY, 0, NULL);
        _cleanup_free_ char *text = NULL;
        size_t len = 0;

        if (dir < 0)
                return 0;   /* a kernel without System V objects */
        int r = proc_read(dir, "sem", &text, &len, err);
        if (r < 0)
                return r;
        const char *nl = strchr(text, '\n');
        return nl && nl[1];
}

static int undo_lists(struct dump *d, struct err *err)
{
        int sems = -1;

        for (size_t i = 0; i < d->n_task; i++) {
                struct dump_task *t = &d->task[i];
                if (t->ns[NS_IPC])
                        continue;
                if (sems < 0 && (sems = semaphores_here(err)) < 0)
                        return sems;
                if (sems == 0)
                        return 0;
                for (size_t k = 0; k < t->n_thread; k++) {
                        int r = sys_kcmp(getpid(), t->thread[k].tid, KCMP_SYSVSEM, 0, 0);
                        if (r < 0)
                                return err_sys(err, EX_FAIL, r, "cannot compare the semaphore undo lists", "process %d", (int)t->vpid);
                        if (r > 0)
                                t->thread[0].seen |= TASK_SEEN_SYSVSEM;
                }
        }
        return 0;
}

/* ---- the numbers that probe children take ---- */

#define LAST_PID "/proc/sys/kernel/ns_last_pid"
enum { LAST_PID_TEXT = 16 };

/* Init reads (text empty) or writes the place from where the namespace looks for its next number, so that children that nobody sees
 * leave no gap either. Where init may not write it, or has no /proc, the numbers have moved on. */
static int last_pid(struct dump *d, char text[LAST_PID_TEXT], struct err *err)
{
        size_t len = strlen(text);
        struct tape *t = tape_new((struct actor){ ACTOR_THREAD, d->task[0].thread[0].id });

        if (!t)
                return kind_nomem(err);
        tape_label(t, "%s the last pid", len ? "set" : "read");
        uint32_t at = tape_data(t, text, LAST_PID_TEXT);
        uint32_t fd = TAPE(t, SYS_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, LAST_PID)),
                           A_IMM((len ? O_WRONLY : O_RDONLY) | O_CLOEXEC), A_IMM(0));
        uint32_t io = TAPE(t, len ? SYS_write : SYS_read, A_RET(fd), A_DATA(at), A_IMM(len ? len : LAST_PID_TEXT - 1));
        uint32_t end = TAPE(t, SYS_close, A_RET(fd));
        tape_may_fail(t, fd, 0);
        tape_may_fail(t, io, 0);
        tape_may_fail(t, end, 0);
        int r = executor_play(&d->ptrace, &t, 1, err);
        if (r >= 0 && !len && tape_ret(t, io) > 0)
                str_copy(text, LAST_PID_TEXT, tape_out(t, at));
        tape_free(t);
        return r;
}

static int probe_all(struct dump *d, const struct thread_at *at, size_t n, struct err *err)
{
        char last[LAST_PID_TEXT] = "";
        bool own = d->task[0].ns[NS_PID] && n > 0 && d->task[0].thread[0].cpu->regs.cs == CODE64_CS;   /* else it is the node's, or init has no agent */
        int r = own ? last_pid(d, last, err) : 0;

        for (size_t i = 0; r >= 0 && i < n; i += SIDE_BY_SIDE)
                r = landlock_probe(d, at + i, n - i < SIDE_BY_SIDE ? n - i : SIDE_BY_SIDE, err);
        int q = last[0] ? last_pid(d, last, r < 0 ? NULL : err) : 0;
        return r < 0 ? r : q;
}

/* Where ptrace cannot suspend it, the first call of a tape could be a SIGSYS: such a thread is refused before it is asked anything. */
static int user_dispatch(struct dump *d, const struct dump_task *t, struct dump_thread *th, struct err *err)
{
        struct sleeper_bits bits = {};
        bool told;

        if (tracee_has_sud(th->tracee, &told))
                th->seen |= TASK_SEEN_SUD;
        if (told || sleepers_bits(d->s.sleepers, th->tid, &bits) != 0 || !bits.sud)
                return 0;
        err_set(err, EX_UNSUPPORTED, "cannot checkpoint a task", "it has system call user dispatch, which this kernel cannot suspend",
                "task-sud: process %d (%s), thread %d", (int)t->vpid, th->stat.comm, (int)th->vtid);
        return err_remedy(err, "stop the emulator that uses it");
}

static size_t all_threads(struct dump *d, struct thread_at **ret)
{
        size_t n = 0;

        for (size_t i = 0; i < d->n_task; i++)
                n += d->task[i].n_thread;
        *ret = calloc(n ? n : 1, sizeof(**ret));
        n = 0;
        for (size_t i = 0; *ret && i < d->n_task; i++)
                for (size_t k = 0; k < d->task[i].n_thread; k++)
                        if (d->task[i].thread[k].cpu->regs.cs == CODE64_CS)
                                (*ret)[n++] = (struct thread_at){ i, k };
        return n;
}

/* Those of whom it is not known yet whether they are in a Landlock domain, to the front; how many. */
static size_t unknown(const struct dump *d, struct thread_at *at, size_t n)
{
        size_t left = 0;

        for (size_t i = 0; i < n; i++)
                if (!d->task[at[i].task].thread[at[i].thread].landlock_known)
                        at[left++] = at[i];
        return left;
}

int dump_seen(struct dump *d, struct err *err)
{
        _cleanup_free_ struct thread_at *at = NULL;
        struct thread_at first[LANDLOCK_CROWDS];
        struct questions q = {};
        size_t n = all_threads(d, &at);
        bool landlock = landlock_here();

        if (!at)
                return kind_nomem(err);
        for (size_t i = 0; i < n; i++) {
                int s = user_dispatch(d, &d->task[at[i].task], &d->task[at[i].task].thread[at[i].thread], err);
                if (s < 0)
                        return s;
        }
        int r = undo_lists(d, err);
        if (r >= 0)
                r = autogroups(d, err);
        if (r >= 0)
                r = dump_persistent_keys(d, err);
        if (r >= 0)
                r = dump_agents(d, err);
        if (r >= 0 && landlock) {
                r = probe_all(d, first, landlock_crowds(d, at, n, first), err);
                landlock_witnesses(d, at, n, first);
        }
        for (size_t i = 0; r >= 0 && i < n; i += SIDE_BY_SIDE)
                r = ask_and_take(d, &q, at + i, n - i < SIDE_BY_SIDE ? n - i : SIDE_BY_SIDE, err);
        if (r >= 0 && landlock)
                r = probe_all(d, at, unknown(d, at, n), err);
        clear(&q);
        free(q.at);
        free(q.empty);
        return r < 0 ? r : 0;
}
