/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Agents for many threads at a time: a call in one thread is three switches between it and us, and a container's whole tree waits for
 * them. Side by side the threads work while we are with the next one.
 *
 *      own code       mmap of the whole range ──(code is written)──> mmap of the tape area over its tail, at the agent's instruction
 *      shared code    mmap of a tape area, at the agent's instruction
 *
 * So many go together as tapes do in a dump (GROUP): while their registers are not their own they die with us. This is the short
 * way; whoever it fails for, in whatever step, is put back and goes the long way of agent.c, which knows limits and says what is wrong.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "checkpoint/tape/agent.h"
#include "checkpoint/tape/tracee-int.h"

#define GROUP 64u
#define TAPE_BYTES 16384u
#define CODE64_CS 0x33

/* The calls of a group; which[i] is the place of calls[i]'s thread in the caller's list. */
struct group {
        struct injection call[GROUP];
        size_t which[GROUP];
        size_t n;
};

static void add(struct group *g, struct tracee *t, size_t which, uint64_t insn, long nr)
{
        g->which[g->n] = which;
        g->call[g->n++] = (struct injection){ .in = t, .insn = insn, .nr = nr };
}

static void want_mmap(struct injection *c, uint64_t addr, uint64_t len, int prot, int flags)
{
        const uint64_t arg[6] = { addr, len, (uint64_t)prot, (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | flags), UINT64_MAX, 0 };

        memcpy(c->arg, arg, sizeof(arg));
}

static bool worked(const struct injection *c)
{
        return c->r == 0 && !(c->ret < 0 && c->ret > -4096);
}

static bool may_come(const struct tracee *t)
{
        return !t->agent && t->stopped && t->seen && t->regs.cs == CODE64_CS;
}

/* One whose code could not be written, or that has no tape area: as if nothing had been. */
static void take_back(struct tracee *t, uint64_t code)
{
        const uint64_t arg[6] = { code, AGENT_CODE_BYTES + TAPE_BYTES };
        uint64_t insn;
        int64_t ret;

        if (!t->gone && tracee_settle(t, NULL) == 0 && tracee_own(t, NULL) == 0 && tracee_find_syscall(t, &insn, NULL) == 0)
                (void)tracee_inject(t, insn, SYS_munmap, arg, &ret, NULL);
}

/* Behind the first mmap of each the second one. Those that go on stand in a syscall stop. */
static void bring(struct group *g)
{
        struct group next = { .n = 0 };
        uint64_t code[GROUP];

        (void)tracee_inject_all(g->call, g->n, true, NULL);
        for (size_t i = 0; i < g->n; i++) {
                struct injection *c = &g->call[i];
                uint64_t at = (uint64_t)c->ret;
                if (c->r < 0)
                        continue; /* at rest already */
                if (!worked(c)) {
                        if (tracee_settle(c->in, NULL) == 0)
                                (void)tracee_own(c->in, NULL);
                } else if (tracee_mem_write(c->in, at, agent_code, (size_t)(agent_code_end - agent_code), NULL) < 0) {
                        take_back(c->in, at);
                } else {
                        code[next.n] = at;
                        add(&next, c->in, 0, at + (uint64_t)(agent_code_syscall - agent_code), SYS_mmap);
                        want_mmap(&next.call[next.n - 1], at + AGENT_CODE_BYTES, TAPE_BYTES, PROT_READ | PROT_WRITE, MAP_FIXED);
                }
        }
        (void)tracee_inject_all(next.call, next.n, false, NULL);
        for (size_t i = 0; i < next.n; i++) {
                if (worked(&next.call[i]))
                        (void)agent_placed(next.call[i].in, code[i], TAPE_BYTES, NULL);
                else
                        take_back(next.call[i].in, code[i]);
        }
}

static void bring_shared(struct group *g, struct tracee *const t[], const size_t share[])
{
        (void)tracee_inject_all(g->call, g->n, false, NULL);
        for (size_t i = 0; i < g->n; i++) {
                struct tracee *in = g->call[i].in;
                if (!worked(&g->call[i]))
                        continue;
                in->agent = t[share[g->which[i]]]->agent;
                in->agent->refs++;
                in->tape = (uint64_t)g->call[i].ret;
                in->tape_len = TAPE_BYTES;
        }
}

/* Those from *at on that bring code of their own, or those that do not, as many as go together. */
static void gather(struct tracee *const t[], const size_t share[], size_t n, size_t *at, bool shared, struct group *g)
{
        uint64_t insn = 0;

        g->n = 0;
        for (; *at < n && g->n < GROUP; (*at)++) {
                struct tracee *in = t[*at], *of = t[share[*at]];
                if (shared != (share[*at] != *at) || !may_come(in) || (shared && !of->agent))
                        continue;
                if (!shared && tracee_find_syscall(in, &insn, NULL) < 0)
                        continue;
                tracee_sud(in, true);
                add(g, in, *at, shared ? agent_insn(of) : insn, SYS_mmap);
                if (shared)
                        want_mmap(&g->call[g->n - 1], 0, TAPE_BYTES, PROT_READ | PROT_WRITE, 0);
                else
                        want_mmap(&g->call[g->n - 1], 0, AGENT_CODE_BYTES + TAPE_BYTES, PROT_READ | PROT_EXEC, 0);
        }
}

int tracee_agents(struct tracee *const t[], const size_t share[], size_t n, size_t *ret_which, struct err *err)
{
        struct group g;

        for (size_t at = 0; at < n;) {
                gather(t, share, n, &at, false, &g);
                bring(&g);
        }
        for (size_t at = 0; at < n;) {
                gather(t, share, n, &at, true, &g);
                bring_shared(&g, t, share);
        }
        for (size_t i = 0; i < n; i++) {
                int r = t[i]->agent ? 0 : tracee_agent(t[i], share[i] == i ? NULL : t[share[i]], 0, TAPE_BYTES, err);
                if (r < 0) {
                        *ret_which = i;
                        return r;
                }
        }
        return 0;
}

/* ---- and out again ---- */

static void unmap(struct group *g)
{
        (void)tracee_inject_all(g->call, g->n, false, NULL);
        for (size_t i = 0; i < g->n; i++) {
                struct tracee *in = g->call[i].in;
                if (!in->gone && !worked(&g->call[i]))
                        continue; /* the long way tells why */
                agent_forget(in);
                if (!in->gone)
                        tracee_sud(in, false);
        }
}

/* Tape areas of their own first; then, where nobody else is left, the code with the area behind it. */
static void gather_out(struct tracee *const t[], size_t n, size_t *at, bool whole, struct group *g)
{
        uint64_t insn = 0;

        g->n = 0;
        for (; *at < n && g->n < GROUP; (*at)++) {
                struct tracee *in = t[*at];
                if (!in || in->gone || !in->agent || !in->stopped || whole != agent_owns_code(in))
                        continue;
                if (whole ? in->agent->refs > 1 || tracee_find_syscall(in, &insn, NULL) < 0 : in->agent->refs < 2)
                        continue;
                add(g, in, *at, whole ? insn : agent_insn(in), SYS_munmap);
                struct injection *c = &g->call[g->n - 1];
                c->arg[0] = whole ? in->agent->code : in->tape;
                c->arg[1] = in->tape_len + (whole ? AGENT_CODE_BYTES : 0);
        }
}

int tracee_agents_drop(struct tracee *const t[], size_t n, struct err *err)
{
        struct group g;
        int r = 0;

        for (int whole = 0; whole < 2; whole++)
                for (size_t at = 0; at < n;) {
                        gather_out(t, n, &at, whole, &g);
                        unmap(&g);
                }
        for (size_t i = n; i-- > 0;) {
                int q = t[i] ? tracee_agent_drop(t[i], r < 0 ? NULL : err) : 0;
                r = r < 0 ? r : q;
        }
        return r;
}
