/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree planner (tree.h). The rules of the kernel that it lives by:
 *
 *  - a child inherits its parent's session and group at the moment of the clone; a task can leave its session only by
 *    becoming the leader of a new one (setsid), and only while it leads no group;
 *  - CLONE_PARENT makes a sibling: a child of the caller's parent that is born in the caller's session. That is how an orphan
 *    which was adopted by init, but belongs to the session of one of init's children, is born again;
 *  - where the session's leader is gone, a temporary with its pid leads the session for as long as its members are cloned,
 *    then exits and is waited for by its parent. The same for a process group whose leader is gone.
 *
 * A task's setsid is held back until the children that have its inherited session are there.
 */
#include "checkpoint/tree.h"

#include <stdbool.h>
#include <stdlib.h>

struct state {
        const struct plan_task *t;
        size_t n;
        struct tree_plan *plan;
        uint32_t *sid;        /* current session of existing tasks */
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
                if (!s->there[c] && s->t[c].parent == i && !leads(&s->t[c]) && s->t[c].sid == s->sid[i])
                        return true;
        return false;
}

static int setsids(struct state *s)
{
        for (size_t i = 0; i < s->n; i++) {
                if (!s->there[i] || s->setsid[i] || !leads(&s->t[i]) || needs_old_session(s, i))
                        continue;
                s->setsid[i] = true;
                s->sid[i] = s->t[i].pid;
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
        if (leads(&s->t[c]) || sid[p] == s->t[c].sid)
                return p;
        for (size_t l = 1; l < s->n; l++)
                if (before[l] && s->t[l].parent == p && sid[l] == s->t[c].sid) {
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
                if (add(s, (struct tree_op){ .type = TREE_CLONE, .actor = m, .task = c, .pid = s->t[c].pid, .sibling = sibling }) < 0)
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

/* Nothing else can be made: c's session has no leader. A temporary leads it; every such child of c's parent is born of it. */
static int dead_leader(struct state *s, size_t c, struct err *err)
{
        size_t p = s->t[c].parent, temp = TREE_TEMP + s->t[c].sid;
        uint32_t sid = s->t[c].sid;
        int r;

        if (sid == 0 || pid_used(s, sid)) {
                err_set(err, EX_UNSUPPORTED, "cannot rebuild the process tree",
                        "its session belongs to another branch of the tree", "process %u of session %u", s->t[c].pid, sid);
                return err_remedy(err, "end that process before the checkpoint");
        }
        r = add(s, (struct tree_op){ .type = TREE_CLONE, .actor = p, .task = temp, .pid = sid });
        s->wave++;
        if (r >= 0)
                r = add(s, (struct tree_op){ .type = TREE_SETSID, .actor = temp });
        s->wave++;
        for (size_t i = c; r >= 0 && i < s->n; i++) {
                if (s->there[i] || s->t[i].parent != p || s->t[i].sid != sid)
                        continue;
                s->there[i] = true;
                s->sid[i] = sid;
                r = add(s, (struct tree_op){ .type = TREE_CLONE, .actor = temp, .task = i, .pid = s->t[i].pid, .sibling = 1 });
        }
        s->wave++;
        if (r >= 0)
                r = add(s, (struct tree_op){ .type = TREE_EXIT, .actor = temp, .pid = sid });
        s->wave++;
        if (r >= 0)
                r = add(s, (struct tree_op){ .type = TREE_WAIT, .actor = p, .task = temp, .pid = sid });
        return r < 0 ? err_set(err, EX_NOSPC, "cannot plan the process tree", "no memory", "%s", "") : 0;
}

static int unstick(struct state *s, struct err *err)
{
        for (size_t c = 1; c < s->n; c++)
                if (!s->there[c] && s->there[s->t[c].parent])
                        return dead_leader(s, c, err);
        return err_set(err, EX_IMAGE, "cannot rebuild the process tree", "a task's parent does not exist", "%s", "");
}

/* ---- process groups: leaders, then members; a dead leader's group is led by a temporary meanwhile ---- */

static int dead_group(struct state *s, size_t i)
{
        uint32_t pg = s->t[i].pgid;
        size_t temp = TREE_TEMP + pg;

        if (add(s, (struct tree_op){ .type = TREE_CLONE, .actor = i, .task = temp, .pid = pg }) < 0)
                return -EX_NOSPC;
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = temp, .pid = pg }) < 0)
                return -EX_NOSPC;
        s->wave++;
        for (size_t k = i; k < s->n; k++)
                if (s->t[k].pgid == pg && s->t[k].sid == s->t[i].sid &&
                    add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = k, .pid = pg }) < 0)
                        return -EX_NOSPC;
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_EXIT, .actor = temp, .pid = pg }) < 0)
                return -EX_NOSPC;
        s->wave++;
        if (add(s, (struct tree_op){ .type = TREE_WAIT, .actor = i, .task = temp, .pid = pg }) < 0)
                return -EX_NOSPC;
        s->wave++;
        return 0;
}

static int groups(struct state *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid == s->t[i].pid && !leads(&s->t[i]) &&
                    add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = i, .pid = s->t[i].pid }) < 0)
                        return -EX_NOSPC;
        s->wave++;
        for (size_t i = 0; i < s->n; i++)
                if (s->t[i].pgid && s->t[i].pgid != s->t[i].pid && pid_used(s, s->t[i].pgid) &&
                    add(s, (struct tree_op){ .type = TREE_SETPGID, .actor = i, .pid = s->t[i].pgid }) < 0)
                        return -EX_NOSPC;
        s->wave++;
        for (size_t i = 0; i < s->n; i++) {
                bool first = s->t[i].pgid && !pid_used(s, s->t[i].pgid);
                for (size_t k = 0; k < i && first; k++)
                        first = s->t[k].pgid != s->t[i].pgid;
                if (first && dead_group(s, i) < 0)
                        return -EX_NOSPC;
        }
        return 0;
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
        s.there = calloc(n, sizeof(*s.there));
        s.setsid = calloc(n, sizeof(*s.setsid));
        if (!s.sid || !s.there || !s.setsid) {
                r = err_set(err, EX_NOSPC, "cannot plan the process tree", "no memory", "%s", "");
        } else {
                s.there[0] = true;
                r = run(&s, err);
        }
        free(s.sid);
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
