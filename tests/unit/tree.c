/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree planner against a model of the kernel's rules: thousands of random trees, made the way programs make them
 * (fork, setsid, setpgid, exit, reparenting to init), are planned; the plan is played on the model; every task must
 * end up with its pid, parent, session and group, and no temporary may be left.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/tree.h"

#define MAX 48

struct proc { uint32_t pid, ppid, pgid, sid; bool alive, was; };
struct model { struct proc p[4 * MAX]; size_t n; };

static unsigned rnd(unsigned *seed, unsigned below)
{
        *seed = *seed * 1103515245u + 12345u;
        return (*seed >> 16) % below;
}

static struct proc *find(struct model *m, uint32_t pid)
{
        for (size_t i = 0; i < m->n; i++)
                if (m->p[i].pid == pid && m->p[i].alive)
                        return &m->p[i];
        return NULL;
}

/* What a running system does, at random. */
static void live(struct model *m, unsigned seed, unsigned steps)
{
        *m = (struct model){ .n = 1 };
        m->p[0] = (struct proc){ .pid = 1, .ppid = 0, .pgid = 1, .sid = 1, .alive = true };
        for (unsigned s = 0; s < steps && m->n < MAX; s++) {
                struct proc *a = &m->p[rnd(&seed, (unsigned)m->n)];
                if (!a->alive)
                        continue;
                switch (rnd(&seed, 8)) {
                case 0:
                        if (a->pgid != a->pid && a->sid != a->pid)
                                a->sid = a->pgid = a->pid;
                        break;
                case 1:
                        if (a->sid != a->pid)
                                a->pgid = a->pid;
                        break;
                case 2:
                        if (a->pid != 1) {
                                a->alive = false;
                                for (size_t i = 0; i < m->n; i++)
                                        if (m->p[i].ppid == a->pid)
                                                m->p[i].ppid = 1;
                        }
                        break;
                default:
                        m->p[m->n] = (struct proc){ (uint32_t)m->n + 1, a->pid, a->pgid, a->sid, true, false };
                        m->n++;
                }
        }
}

static size_t tasks_of(const struct model *m, struct plan_task *t)
{
        size_t n = 0, at[MAX];

        for (bool more = true; more;) {
                more = false;
                for (size_t i = 0; i < m->n; i++) {
                        size_t parent = MAX;
                        bool have = false;
                        for (size_t k = 0; k < n; k++) {
                                have |= at[k] == i;
                                if (t[k].pid == m->p[i].ppid)
                                        parent = k;
                        }
                        if (!m->p[i].alive || have || (m->p[i].ppid && parent == MAX))
                                continue;
                        at[n] = i;
                        t[n++] = (struct plan_task){ m->p[i].pid, m->p[i].pgid, m->p[i].sid, m->p[i].ppid ? parent : 0 };
                        more = true;
                }
        }
        return n;
}

/* The kernel's rules for each operation; false when the kernel would say no. */
static bool play(struct model *m, const struct plan_task *t, const struct tree_op *op)
{
        uint32_t who = op->actor >= TREE_TEMP ? (uint32_t)(op->actor - TREE_TEMP) : t[op->actor].pid;
        struct proc *a = find(m, who);

        if (!a)
                return false;
        switch (op->type) {
        case TREE_CLONE:
                /* A number in use by a session or a group cannot be chosen either. */
                for (size_t i = 0; i < m->n; i++)
                        if ((m->p[i].alive && (m->p[i].pid == op->pid || m->p[i].sid == op->pid || m->p[i].pgid == op->pid)) ||
                            (m->p[i].was && m->p[i].pid == op->pid))
                                return false;
                m->p[m->n++] = (struct proc){ op->pid, op->sibling ? a->ppid : a->pid, a->pgid, a->sid, true, false };
                return !op->sibling || a->pid != 1;
        case TREE_SETSID:
                if (a->pgid == a->pid && a->pid != 1)
                        return false;
                a->sid = a->pgid = a->pid;
                return true;
        case TREE_SETPGID: {
                bool leader_there = false;
                for (size_t i = 0; i < m->n; i++)
                        leader_there |= m->p[i].alive && m->p[i].pgid == op->pid && m->p[i].sid == a->sid;
                if (a->sid == a->pid && op->pid != a->pgid)
                        return false;
                if (op->pid != a->pid && !leader_there)
                        return false;
                a->pgid = op->pid;
                return true;
        }
        case TREE_EXIT:
                for (size_t i = 0; i < m->n; i++)
                        if (m->p[i].alive && m->p[i].ppid == a->pid)
                                m->p[i].ppid = 1;
                a->alive = false;
                a->was = true;
                return true;
        case TREE_WAIT:
                for (size_t i = 0; i < m->n; i++)
                        if (m->p[i].was && m->p[i].pid == op->pid && m->p[i].ppid == a->pid) {
                                m->p[i].was = false;
                                return true;
                        }
                return false;
        default:
                return false;
        }
}

static void compare(struct model *m, const struct plan_task *t, size_t n, unsigned seed)
{
        size_t alive = 0;

        for (size_t i = 0; i < m->n; i++) {
                alive += m->p[i].alive;
                cr_assert(!m->p[i].was, "seed %u: temporary %u was not waited for", seed, m->p[i].pid);
        }
        cr_assert_eq(alive, n, "seed %u: %zu tasks instead of %zu", seed, alive, n);
        for (size_t i = 0; i < n; i++) {
                struct proc *p = find(m, t[i].pid);
                cr_assert(p && p->pgid == t[i].pgid && p->sid == t[i].sid, "seed %u: process %u has group or session wrong", seed, t[i].pid);
                cr_assert(i == 0 || p->ppid == t[t[i].parent].pid, "seed %u: process %u has another parent", seed, t[i].pid);
        }
}

Test(tree, random_trees)
{
        unsigned planned = 0, refused = 0;

        for (unsigned seed = 1; seed <= 4000; seed++) {
                struct model life, again = { .n = 1 };
                struct plan_task t[MAX];
                struct tree_plan plan;
                struct err err = {};
                live(&life, seed, 20 + seed % 100);
                size_t n = tasks_of(&life, t);
                int r = tree_plan(t, n, &plan, &err);
                if (r < 0) {
                        cr_assert_eq(err.code, EX_UNSUPPORTED, "seed %u: %s: %s", seed, err.on, err.why);
                        refused++;
                        continue;
                }
                again.p[0] = (struct proc){ 1, 0, 1, 1, true, false };
                unsigned wave = 0;
                for (size_t i = 0; i < plan.n; i++) {
                        cr_assert(plan.op[i].wave >= wave, "seed %u: waves are not in order", seed);
                        wave = plan.op[i].wave;
                        cr_assert(play(&again, t, &plan.op[i]), "seed %u: the kernel would refuse operation %zu (type %d, pid %u)", seed, i,
                                  plan.op[i].type, plan.op[i].pid);
                }
                compare(&again, t, n, seed);
                tree_plan_done(&plan);
                planned++;
        }
        /* What is refused is a session split between branches: it is rare, and must stay so. */
        cr_assert_gt(planned, 3000, "only %u planned, %u refused", planned, refused);
}

Test(tree, hostile)
{
        struct tree_plan plan;
        struct err err = {};
        struct plan_task twice[] = { { 1, 1, 1, 0 }, { 5, 5, 5, 0 }, { 5, 5, 5, 0 } };
        struct plan_task later[] = { { 1, 1, 1, 0 }, { 5, 5, 5, 2 }, { 6, 5, 5, 0 } };
        struct plan_task zero[] = { { 0, 1, 1, 0 } };

        cr_assert_lt(tree_plan(twice, 3, &plan, &err), 0);
        cr_assert_eq(err.code, EX_IMAGE);
        cr_assert_lt(tree_plan(later, 3, &plan, &err), 0);
        cr_assert_lt(tree_plan(zero, 1, &plan, &err), 0);
        cr_assert_lt(tree_plan(zero, 0, &plan, &err), 0);
}
