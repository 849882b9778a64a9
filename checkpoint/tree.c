/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree planner (tree.h). The rules of the kernel that it lives by:
 *
 *  - a child inherits its parent's session and group at the moment of the clone; a task can leave its session only by
 *    becoming the leader of a new one (setsid), and only while it leads no group;
 *  - CLONE_PARENT makes a sibling: a child of the caller's parent that is born in the caller's session. That is how an orphan
 *    which was adopted by init, but belongs to the session of one of init's children, is born again;
 *  - an orphan whose session lives on deeper in the tree is made by a temporary child of a member, which exits: init adopts it;
 *  - where the session's leader is gone, a temporary with its pid leads the session for as long as its members are cloned,
 *    then exits and is waited for by its parent. The same for a process group whose leader is gone.
 *
 * A task's setsid is held back until the children that have its inherited session are there.
 */
#include "checkpoint/tree.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct state {
        const struct plan_task *t;
        size_t n;
        struct tree_plan *plan;
        uint32_t *sid, *pg;   /* current session and group of existing tasks */
        uint32_t *birth;      /* session a task must be born in; 0: any */
        bool *there, *setsid;
        unsigned wave;
        bool progress;
};

static int add(struct state *s, struct tree_op op)
{
        struct tree_plan *p = s->plan;

        if (p->n == p->cap) {
                size_t cap = p->cap ? p->cap * 2 : 64;
                struct tree_op *grown = realloc(p->op, cap * sizeof(*grown));
                if (!grown)
                        return -EX_NOSPC;
                p->op = grown;
                p->cap = cap;
        }
        op.wave = s->wave;
        p->op[p->n++] = op;
        s->progress = true;
        return 0;
}

static bool leads(const struct plan_task *t)
{
        return t->sid == t->pid;
}

/* A child of i that must be born before i becomes a session leader. */
static bool needs_old_session(const struct state *s, size_t i)
{
        for (size_t c = 1; c < s->n; c++)
                if (!s->there[c] && s->t[c].parent == i && s->birth[c] && s->birth[c] == s->sid[i] && s->sid[i] != s->t[i].pid)
                        return true;
        return false;
}

static int setsids(struct state *s)
{
        for (size_t i = 0; i < s->n; i++) {
                if (!s->there[i] || s->setsid[i] || !leads(&s->t[i]) || needs_old_session(s, i))
                        continue;
                s->setsid[i] = true;
                s->sid[i] = s->pg[i] = s->t[i].pid;
                if (add(s, (struct tree_op){ .type = TREE_SETSID, .actor = i }) < 0)
                        return -EX_NOSPC;
        }
        return 0;
}

/* Who can make c now: its parent, or a sibling in the right session. n: nobody. */
static size_t maker(const struct state *s, const bool *before, const uint32_t *sid, size_t c, bool *ret_sibling)
{
        size_t p = s->t[c].parent;

        *ret_sibling = false;
        if (!before[p])
                return s->n;
        if (!s->birth[c] || sid[p] == s->birth[c])
                return p;
        for (size_t l = 1; l < s->n; l++)
                if (before[l] && s->t[l].parent == p && sid[l] == s->birth[c] && s->t[l].exit_signal == s->t[c].exit_signal) {
                        *ret_sibling = true;
                        return l;
                }
        return s->n;
}

static int clones(struct state *s, const bool *before, const uint32_t *sid)
{
        for (size_t c = 1; c < s->n; c++) {
                bool sibling;
                if (s->there[c])
                        continue;
                size_t m = maker(s, before, sid, c, &sibling);
                if (m == s->n)
                        continue;
                s->there[c] = true;
                s->sid[c] = sid[m];
                s->pg[c] = s->pg[m];
                if (add(s, (struct tree_op){ .type = TREE_CLONE, .actor = m, .task = c, .pid = s->t[c].pid, .sibling = sibling,
                                             .exit_signal = s->t[c].exit_signal }) < 0)
                        return -EX_NOSPC;
        }
        return 0;
}

static bool pid_used(const struct state *s, uint32_t pid)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pid == pid)
                        return true;
        return false;
}

/* Pids that nobody has and nobody's session or group goes by. */
static uint32_t spare_pid(const struct state *s)
{
        for (uint32_t pid = 4000000; pid > 300; pid--) {
                bool used = false;
                for (size_t i = 0; i < s->n && !used; i++)
                        used = s->t[i].pid == pid || s->t[i].sid == pid || s->t[i].pgid == pid;
                if (!used)
                        return pid;
        }
        return 0;
}

static int born(struct state *s, size_t c, size_t maker, uint32_t sid, uint32_t pg, bool sibling)
{
        s->there[c] = true;
        s->sid[c] = sid;
        s->pg[c] = pg;
        return add(s, (struct tree_op){ .type = TREE_CLONE, .actor = maker, .task = c, .pid = s->t[c].pid, .sibling = sibling,
                                        .exit_signal = s->t[c].exit_signal });
}

static int end_temp(struct state *s, size_t temp, uint32_t pid, size_t parent)
{
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_EXIT, .actor = temp, .pid = pid }) < 0)
                return -EX_NOSPC;
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_WAIT, .actor = parent, .task = temp, .pid = pid }) < 0)
                return -EX_NOSPC;
        s->wave++;
        return 0;
}

/* c is a child of init that was born in the session of l, deeper in the tree: a temporary child of l makes it and exits. */
static int orphan(struct state *s, size_t c, size_t l)
{
        uint32_t pid = spare_pid(s);
        size_t temp = TREE_TEMP + pid;

        if (add(s, (struct tree_op){ .type = TREE_CLONE, .actor = l, .task = temp, .pid = pid, .exit_signal = SIGCHLD }) < 0)
                return -EX_NOSPC;
        s->wave++;
        if (born(s, c, temp, s->sid[l], s->pg[l], false) < 0)
                return -EX_NOSPC;
        return end_temp(s, temp, pid, l);
}

/* Nobody is left in c's session and its leader is gone: a temporary leads it; every such child of c's parent is born of it. A
 * child whose end is told by another signal than c's is left, and refused in the end. */
static int dead_leader(struct state *s, size_t c)
{
        size_t p = s->t[c].parent, temp = TREE_TEMP + s->birth[c];
        uint32_t sid = s->birth[c];
        int r = add(s, (struct tree_op){ .type = TREE_CLONE, .actor = p, .task = temp, .pid = sid, .exit_signal = s->t[c].exit_signal });

        s->wave++;
        if (r >= 0)
                r = add(s, (struct tree_op){ .type = TREE_SETSID, .actor = temp });
        s->wave++;
        for (size_t i = c; r >= 0 && i < s->n; i++)
                if (!s->there[i] && s->t[i].parent == p && s->birth[i] == sid && s->t[i].exit_signal == s->t[c].exit_signal)
                        r = born(s, i, temp, sid, sid, true);
        return r < 0 ? r : end_temp(s, temp, sid, p);
}

static int unstick(struct state *s, struct err *err)
{
        size_t stuck = s->n;

        for (size_t c = 1; c < s->n; c++) {
                size_t l = s->n;
                if (s->there[c] || !s->there[s->t[c].parent])
                        continue;
                stuck = c;
                for (size_t i = 0; i < s->n && l == s->n; i++)
                        if (s->there[i] && s->sid[i] == s->birth[c])
                                l = i;
                if (l < s->n && s->t[c].parent == 0)
                        return orphan(s, c, l);
                if (l == s->n && !pid_used(s, s->birth[c]))
                        return dead_leader(s, c);
        }
        if (stuck == s->n)
                return err_set(err, EX_IMAGE, "cannot rebuild the process tree", "a task's parent does not exist", "%s", "");
        err_set(err, EX_UNSUPPORTED, "cannot rebuild the process tree", "its session belongs to another branch of the tree",
                "process %u of session %u", s->t[stuck].pid, s->t[stuck].sid);
        return err_remedy(err, "end that process before the checkpoint");
}

/* ---- process groups ---- */

static bool group_there(const struct state *s, uint32_t pg)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->pg[i] == pg)
                        return true;
        return false;
}

static int join(struct state *s, size_t i)
{
        s->pg[i] = s->t[i].pgid;
        return add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = i, .pid = s->t[i].pgid });
}

/* The leader is gone and nobody is in the group: a temporary leads it until the members have joined. */
static int dead_group(struct state *s, size_t i)
{
        uint32_t pg = s->t[i].pgid;
        size_t temp = TREE_TEMP + pg;

        if (add(s, (struct tree_op){ .type = TREE_CLONE, .actor = i, .task = temp, .pid = pg, .exit_signal = SIGCHLD }) < 0)
                return -EX_NOSPC;
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = temp, .pid = pg }) < 0)
                return -EX_NOSPC;
        s->wave++;
        for (size_t k = i; k < s->n; k++)
                if (s->t[k].pgid == pg && s->t[k].sid == s->t[i].sid && join(s, k) < 0)
                        return -EX_NOSPC;
        return end_temp(s, temp, pg, i);
}

/* First into groups that somebody has been born into and that have no leader, as long as he is in them; then leaders, then
 * their members, then groups that nobody is in. */
static int groups(struct state *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid && s->pg[i] != s->t[i].pgid && !pid_used(s, s->t[i].pgid) && group_there(s, s->t[i].pgid) &&
                    join(s, i) < 0)
                        return -EX_NOSPC;
        s->wave++;
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid == s->t[i].pid && s->pg[i] != s->t[i].pid && join(s, i) < 0)
                        return -EX_NOSPC;
        s->wave++;
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid && s->pg[i] != s->t[i].pgid && pid_used(s, s->t[i].pgid) && join(s, i) < 0)
                        return -EX_NOSPC;
        s->wave++;
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid && s->pg[i] != s->t[i].pgid && dead_group(s, i) < 0)
                        return -EX_NOSPC;
        return 0;
}

/* Bottom up: a leader that has a child of another session was itself born in that session. Init adopts, so its children say
 * nothing of it. */
static void births(struct state *s)
{
        for (size_t i = s->n; i-- > 0;) {
                if (!leads(&s->t[i]))
                        s->birth[i] = s->t[i].sid;
                size_t p = s->t[i].parent;
                if (i && p && leads(&s->t[p]) && s->birth[i] && s->birth[i] != s->t[p].pid)
                        s->birth[p] = s->birth[i];
        }
}

static int sane(const struct plan_task *t, size_t n, struct err *err)
{
        for (size_t i = 0; i < n; i++) {
                bool ok = t[i].pid >= 1 && t[i].pid <= 4194304 && t[i].pgid <= 4194304 && t[i].sid <= 4194304 &&
                          (i == 0 || t[i].parent < i);
                for (size_t k = 0; k < i && ok; k++)
                        ok = t[k].pid != t[i].pid;
                if (!ok)
                        return err_set(err, EX_IMAGE, "cannot rebuild the process tree", "a task is impossible", "process %u", t[i].pid);
        }
        return n ? 0 : err_set(err, EX_IMAGE, "cannot rebuild the process tree", "it has no task", "%s", "");
}

static int run(struct state *s, struct err *err)
{
        bool *before = calloc(s->n, sizeof(*before));
        uint32_t *sid = calloc(s->n, sizeof(*sid));
        size_t left = s->n;
        int r = before && sid ? 0 : -EX_NOSPC;

        while (r >= 0 && left) {
                left = 0;
                s->progress = false;
                for (size_t i = 0; i < s->n; i++) {
                        before[i] = s->there[i];
                        sid[i] = s->sid[i];
                }
                r = clones(s, before, sid);
                s->wave++;
                if (r >= 0)
                        r = setsids(s);
                s->wave++;
                for (size_t i = 0; i < s->n; i++)
                        left += !s->there[i] || (leads(&s->t[i]) && !s->setsid[i]);
                if (r >= 0 && left && !s->progress) {
                        r = unstick(s, err);
                        s->wave++;
                        if (r < 0) {
                                free(before);
                                free(sid);
                                return r;
                        }
                }
        }
        free(before);
        free(sid);
        if (r >= 0)
                r = groups(s);
        return r < 0 ? err_set(err, EX_NOSPC, "cannot plan the process tree", "no memory", "%s", "") : 0;
}

int tree_plan(const struct plan_task *t, size_t n, struct tree_plan *ret, struct err *err)
{
        struct state s = { .t = t, .n = n, .plan = ret };
        int r = sane(t, n, err);

        *ret = (struct tree_plan){};
        if (r < 0)
                return r;
        s.sid = calloc(n, sizeof(*s.sid));
        s.pg = calloc(n, sizeof(*s.pg));
        s.birth = calloc(n, sizeof(*s.birth));
        s.there = calloc(n, sizeof(*s.there));
        s.setsid = calloc(n, sizeof(*s.setsid));
        if (!s.sid || !s.pg || !s.birth || !s.there || !s.setsid) {
                r = err_set(err, EX_NOSPC, "cannot plan the process tree", "no memory", "%s", "");
        } else {
                s.there[0] = true;
                births(&s);
                r = run(&s, err);
        }
        free(s.sid);
        free(s.pg);
        free(s.birth);
        free(s.there);
        free(s.setsid);
        ret->waves = s.wave + 1;
        if (r < 0)
                tree_plan_done(ret);
        return r;
}

void tree_plan_done(struct tree_plan *p)
{
        free(p->op);
        *p = (struct tree_plan){};
}
