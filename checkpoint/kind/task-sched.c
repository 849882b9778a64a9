/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a thread is scheduled: policy (other, batch, idle), nice, slice, processors, I/O priority, timer slack.
 *
 * All is asked by the thread's own tape and set by it in PH_PARK, so that an idle thread does not slow the restore down. What a
 * container may not choose (a lower nice value without RLIMIT_NICE, real-time I/O) fails with EPERM and is passed over: the
 * node did not grant it here. Real-time policies need a right of the node: refused by name, as core scheduling groups and clamps are. Which processors it may
 * run on is kept only when the thread chose fewer than there are; another node may have none of them (EINVAL), and then
 * it runs anywhere.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-sched.pb-c.h"

#define MASK_BYTES 1024
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_MAX (4u << 13)
#define FLAG_RESET_ON_FORK 1u
#define UTIL_MAX 1024u
#define SLICE_MIN UINT64_C(100000)
#define SLICE_MAX UINT64_C(100000000)

struct attr { /* struct sched_attr, version 1 */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
};
struct answer { struct attr attr; uint8_t mask[MASK_BYTES]; uint64_t cookie; };
enum { ASK_ATTR, ASK_AFFINITY, ASK_IOPRIO, ASK_SLACK, ASK_COOKIE };

static int refuse(const struct facts *f, struct err *err)
{
        if (f->task.seen & TASK_SEEN_AUTOGROUP)
                return kind_refuse(&kind_task_sched, f, err, "a nice value of its session (/proc/PID/autogroup)",
                                   "Set it back to 0, or give the processes nice values of their own");
        switch (f->task.stat ? f->task.stat->policy : SCHED_OTHER) {
        case SCHED_OTHER:
        case SCHED_BATCH:
        case SCHED_IDLE:
                return 0;
        default:
                return kind_refuse(&kind_task_sched, f, err, "a real-time or deadline scheduling policy",
                                   "Let it use the ordinary policy (chrt -o -p 0 PID)");
        }
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, sizeof(struct answer)); /* offset 0 */
        TAPE(t, __NR_sched_getattr, A_IMM(0), A_DATA(at), A_IMM(sizeof(struct attr)), A_IMM(0));
        TAPE(t, __NR_sched_getaffinity, A_IMM(0), A_IMM(MASK_BYTES), A_DATA(at + (uint32_t)offsetof(struct answer, mask)));
        tape_may_fail(t, TAPE(t, __NR_ioprio_get, A_IMM(IOPRIO_WHO_PROCESS), A_IMM(0)), 0);
        TAPE(t, __NR_prctl, A_IMM(PR_GET_TIMERSLACK), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0));
        tape_may_fail(t, TAPE(t, __NR_prctl, A_IMM(PR_SCHED_CORE), A_IMM(PR_SCHED_CORE_GET), A_IMM(0), A_IMM(PR_SCHED_CORE_SCOPE_THREAD),
                              A_DATA(at + (uint32_t)offsetof(struct answer, cookie))), 0);
        return 0;
}

/* What a thread shares with others and cannot be told to share again, and what few kernels have. What we have ourselves its stub inherits. */
static int refuse_groups(const struct obj *o, const struct answer *a, bool has_cookie, struct err *err)
{
        uint64_t ours = 0;

        if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, PR_SCHED_CORE_SCOPE_THREAD, &ours) < 0)
                ours = 0;
        if (has_cookie && a->cookie && a->cookie != ours)
                return kind_refuse(&kind_task_sched, &o->facts, err, "a core scheduling group (PR_SCHED_CORE)", "Start the program without it");
        if (a->attr.util_min || (a->attr.util_max && a->attr.util_max != UTIL_MAX))
                return kind_refuse(&kind_task_sched, &o->facts, err, "a clamp of its utilization (uclampset)", "Reset it: uclampset -m -1 -M -1 -p PID");
        return 0;
}

/* Every processor of this machine is in it. */
static bool is_all(const uint8_t *mask, size_t n)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        for (long i = 0; i < cpus; i++)
                if ((size_t)i / 8 >= n || !(mask[i / 8] & 1u << i % 8))
                        return false;
        return true;
}

/* 6.12 and later tell the slice of ordinary threads: one that is not ours was chosen. */
static uint64_t own_slice(void)
{
        struct attr a = {.size = sizeof(a)};

        return syscall(__NR_sched_getattr, 0, &a, sizeof(a), 0) < 0 ? 0 : a.runtime;
}

static uint32_t policy_of(uint32_t kernel)
{
        if (kernel == SCHED_BATCH)
                return GANTRY__TASK_SCHED__POLICY__BATCH;
        return kernel == SCHED_IDLE ? GANTRY__TASK_SCHED__POLICY__IDLE : GANTRY__TASK_SCHED__POLICY__OTHER;
}

static uint32_t policy_to(uint32_t ours)
{
        if (ours == GANTRY__TASK_SCHED__POLICY__BATCH)
                return SCHED_BATCH;
        return ours == GANTRY__TASK_SCHED__POLICY__IDLE ? SCHED_IDLE : SCHED_OTHER;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct answer *a = tape_out(t, 0);
        int64_t n = tape_ret(t, ASK_AFFINITY), io = tape_ret(t, ASK_IOPRIO);

        (void)d;
        (void)fd;
        int q = refuse_groups(o, a, tape_ret(t, ASK_COOKIE) == 0, err);
        if (q < 0)
                return q;
        Gantry__TaskSched *m = KIND_NEW(Gantry__TaskSched, gantry__task_sched__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->policy = policy_of(a->attr.policy);
        m->nice = a->attr.nice;
        m->reset_on_fork = a->attr.flags & FLAG_RESET_ON_FORK;
        m->io_priority = io < 0 ? 0 : (uint32_t)io;
        m->timer_slack_ns = (uint64_t)tape_ret(t, ASK_SLACK);
        m->has_slice_ns = a->attr.policy != SCHED_IDLE && a->attr.runtime && a->attr.runtime != own_slice();
        m->slice_ns = m->has_slice_ns ? a->attr.runtime : 0;
        if (n > 0 && n <= MASK_BYTES && !is_all(a->mask, (size_t)n)) {
                int r = field_set(&m->affinity, a->mask, (size_t)n, err);
                if (r < 0)
                        return r;
                m->has_affinity = true;
        }
        return field_record(&kind_task_sched, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskSched *m = (const Gantry__TaskSched *)r->msg;

        (void)need;
        if (m->nice < -20 || m->nice > 19)
                return kind_bad(&kind_task_sched, r, err, "its nice value is impossible");
        if (m->io_priority >= IOPRIO_MAX)
                return kind_bad(&kind_task_sched, r, err, "its I/O priority is impossible");
        if (m->has_affinity && (!m->affinity.len || m->affinity.len > MASK_BYTES || m->affinity.len % 8))
                return kind_bad(&kind_task_sched, r, err, "its set of processors is impossible");
        if (m->has_slice_ns && (m->slice_ns < SLICE_MIN || m->slice_ns > SLICE_MAX))
                return kind_bad(&kind_task_sched, r, err, "its slice is impossible");
        return 0;
}

static void set_attr(struct tape *t, const Gantry__TaskSched *m, int32_t nice)
{
        struct attr a = {.size = sizeof(a), .policy = policy_to(m->policy), .nice = nice,
                         .flags = m->reset_on_fork ? FLAG_RESET_ON_FORK : 0, .runtime = m->slice_ns};
        uint32_t e = TAPE(t, __NR_sched_setattr, A_IMM(0), A_DATA(tape_data(t, &a, sizeof(a))), A_IMM(0));

        if (nice < 0)
                tape_may_fail(t, e, EPERM);
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskSched *m = (const Gantry__TaskSched *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        uint8_t all[128];

        (void)err;
        tape_label(t, "set how it is scheduled (task-sched %llu)", (unsigned long long)r->id);
        memset(all, 0xff, sizeof(all));
        const void *mask = m->has_affinity ? (const void *)m->affinity.data : all;
        size_t n = m->has_affinity ? m->affinity.len : sizeof(all);
        uint32_t e = TAPE(t, __NR_sched_setaffinity, A_IMM(0), A_IMM(n), A_DATA(tape_data(t, mask, n)));
        tape_may_fail(t, e, EINVAL);
        if (m->timer_slack_ns)
                TAPE(t, __NR_prctl, A_IMM(PR_SET_TIMERSLACK), A_IMM(m->timer_slack_ns), A_IMM(0), A_IMM(0), A_IMM(0));
        if (m->io_priority)
                tape_may_fail(t, TAPE(t, __NR_ioprio_set, A_IMM(IOPRIO_WHO_PROCESS), A_IMM(0), A_IMM(m->io_priority)), EPERM);
        set_attr(t, m, m->nice < 0 ? 0 : m->nice);
        if (m->nice < 0)
                set_attr(t, m, m->nice);
        return 0;
}

const struct kind kind_task_sched = {
        .stem = "task-sched",
        .number = KIND_TASK_SCHED,
        .cls = CLS_THREAD,
        .msg = &gantry__task_sched__descriptor,
        .status_keys = (const char *const[]){"Cpus_allowed", "Cpus_allowed_list", NULL},
        .refuse = refuse,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_PARK] = plan_park},
};
