/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scheduling that differs from thread to thread: policy, nice, processors, I/O priority, timer slack, slice. */
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/victim/gate.h"
#include "tests/victim/victim.h"

#define N 5

struct attr {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
};
struct seen { struct attr attr; long io, slack; cpu_set_t cpus; };
static volatile int go, ready;
static struct seen before[N], after[N];

static void look(struct seen *s)
{
        memset(s, 0, sizeof(*s));
        syscall(SYS_sched_getattr, 0, &s->attr, sizeof(s->attr), 0);
        s->io = syscall(SYS_ioprio_get, 1, 0);
        s->slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
        sched_getaffinity(0, sizeof(s->cpus), &s->cpus);
}

static void become(long i)
{
        static const struct attr attrs[N] = {
                {.nice = 0}, {.policy = SCHED_BATCH, .nice = 5}, {.policy = SCHED_IDLE, .nice = 3},
                {.nice = 19, .flags = 1 /* reset on fork */}, {.runtime = 50000000},
        };
        struct attr a = attrs[i];
        cpu_set_t all;

        a.size = sizeof(a);
        VICTIM_MUST(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
        if (i == 1)
                VICTIM_MUST(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0);
        if (i == 2)
                VICTIM_MUST(prctl(PR_SET_TIMERSLACK, 1234567, 0, 0, 0) == 0);
        if (i == 3) {
                memset(&all, 0xff, sizeof(all));
                VICTIM_MUST(sched_setaffinity(0, sizeof(all), &all) == 0);
        }
}

static void *one(void *arg)
{
        long i = (long)arg;

        become(i);
        look(&before[i]);
        __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
        (void)gate_wait(&go);
        look(&after[i]);
        return NULL;
}

int main(int argc, char **argv)
{
        struct victim v;
        pthread_t t[N];

        victim_begin(&v, argc, argv);
        for (long i = 0; i < N; i++)
                VICTIM_MUST(pthread_create(&t[i], NULL, one, (void *)i) == 0);
        while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < N)
                usleep(1000);

        victim_wait(&v);

        gate_open(&go);
        for (int i = 0; i < N; i++) {
                const struct seen *a = &before[i], *b = &after[i];
                pthread_join(t[i], NULL);
                VICTIM_CHECK(&v, a->attr.policy == b->attr.policy && a->attr.nice == b->attr.nice && a->attr.flags == b->attr.flags,
                             "thread %d: policy %u, nice %d became %u, %d", i, a->attr.policy, a->attr.nice, b->attr.policy,
                             b->attr.nice);
                VICTIM_CHECK(&v, a->attr.runtime == b->attr.runtime, "thread %d: slice %llu became %llu", i,
                             (unsigned long long)a->attr.runtime, (unsigned long long)b->attr.runtime);
                VICTIM_CHECK(&v, a->io == b->io, "thread %d: I/O priority %ld became %ld", i, a->io, b->io);
                VICTIM_CHECK(&v, a->slack == b->slack, "thread %d: timer slack %ld became %ld", i, a->slack, b->slack);
                VICTIM_CHECK(&v, CPU_EQUAL(&a->cpus, &b->cpus), "thread %d may run on other processors", i);
        }
        return victim_end(&v);
}
