/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread's registers, extended state, signal mask and rseq registration.
 *
 * The extended state is kept by component, because the same component may lie elsewhere on another processor (the standard
 * XSAVE format: CPUID leaf 0xD tells size and offset here). Components beyond this processor's XCR0 refuse the restore.
 * A thread that sleeps in a call says so by rax = -4, -512, -514 or -516 and orig_rax: restart_plan() turns this into what
 * a new task can go on with. Whether a read on a socket with SO_RCVTIMEO was cut short (rax = -4) only the socket knows.
 * rseq is registered by the thread itself; a thread stopped within a critical section was sent to its abort address.
 *
 * Not here: 32-bit programs, AMX tiles (their permission is asked for at run time), shadow stacks: refused by name.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/task-cpu.pb-c.h"

#define N_REGS (sizeof(struct user_regs_struct) / sizeof(uint64_t))
#define FXSAVE_LEN 512u
#define FXSAVE_SW 464u      /* bytes for software: not state */
#define XHEADER FXSAVE_LEN  /* XSTATE_BV is its first word */
#define XSTATE_MIN (FXSAVE_LEN + 64u)
#define FEATURE_TILES (UINT64_C(3) << 17)
#define USER_CS 0x33
#define USER_SS 0x2b

struct component { uint32_t size, offset; };

static struct component component_of(unsigned number)
{
        unsigned a = 0, b = 0, c = 0, d = 0;

        if (number < 2 || number > 62 || !__get_cpuid_count(0xd, number, &a, &b, &c, &d) || (c & 1) ||
            a > XSTATE_MAX || b > XSTATE_MAX - a)
                return (struct component){0};
        return (struct component){.size = a, .offset = b};
}

/* Size of the whole state, and the components that the kernel has switched on. */
static uint32_t own_xstate(uint64_t *ret_features)
{
        unsigned a = 0, b = 0, c = 0, d = 0;
        uint32_t lo, hi;

        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d)) {
                *ret_features = 3;
                return FXSAVE_LEN;
        }
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        *ret_features = (uint64_t)hi << 32 | lo;
        return b;
}

static int refuse(const struct facts *f, struct err *err)
{
        const struct cpu_state *c = f->task.cpu;

        if (c && c->regs.cs != USER_CS)
                return kind_refuse(&kind_task_cpu, f, err, "32-bit code", "Use the 64-bit build of the program");
        return 0;
}

/* Sleeping in a call that ends with EINTR on sockets with a receive timeout. */
static bool may_be_rcvtimeo(const struct cpu_state *c)
{
        if ((int64_t)c->regs.rax != -EINTR)
                return false;
        switch (c->regs.orig_rax) {
        case __NR_read:
        case __NR_readv:
        case __NR_recvfrom:
        case __NR_recvmsg:
        case __NR_accept:
        case __NR_accept4:
                return true;
        default:
                return false;
        }
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        const struct cpu_state *c = o->facts.task.cpu;
        uint32_t size = sizeof(struct timeval);

        (void)d;
        if (!c || !may_be_rcvtimeo(c))
                return 0;
        uint32_t tv = tape_data(t, NULL, sizeof(struct timeval)); /* at 0 */
        uint32_t len = tape_data(t, &size, sizeof(size));
        tape_may_fail(t, TAPE(t, __NR_getsockopt, A_IMM(c->regs.rdi), A_IMM(SOL_SOCKET), A_IMM(SO_RCVTIMEO), A_DATA(tv),
                              A_DATA(len)), 0);
        return 0;
}

static bool rcvtimeo(const struct cpu_state *c, const struct tape *t)
{
        struct timeval tv;

        if (!may_be_rcvtimeo(c) || !t || tape_ret(t, 0) != 0)
                return false;
        memcpy(&tv, tape_out(t, 0), sizeof(tv));
        return tv.tv_sec || tv.tv_usec;
}

static int take_component(Gantry__TaskCpu *m, const struct cpu_state *c, unsigned number, struct err *err)
{
        struct component at = component_of(number);

        if (!at.size || at.offset + at.size > c->xstate_len)
                return err_set(err, EX_FAIL, "cannot read the registers of a thread", "the processor does not describe a part",
                               "component %u of the extended state", number);
        Gantry__TaskCpu__Component *one = KIND_NEW(Gantry__TaskCpu__Component, gantry__task_cpu__component__init);
        if (!one)
                return kind_nomem(err);
        m->component[m->n_component++] = one;
        one->number = number;
        return field_set(&one->data, c->xstate + at.offset, at.size, err);
}

static int take_xstate(Gantry__TaskCpu *m, const struct obj *o, const struct cpu_state *c, struct err *err)
{
        int r = field_set(&m->fxsave, c->xstate, FXSAVE_LEN, err);

        if (r < 0)
                return r;
        memset(m->fxsave.data + FXSAVE_SW, 0, FXSAVE_LEN - FXSAVE_SW);
        m->features = 3;
        if (c->xstate_len < XSTATE_MIN)
                return 0;
        memcpy(&m->features, c->xstate + XHEADER, sizeof(m->features));
        if (m->features & FEATURE_TILES)
                return kind_refuse(&kind_task_cpu, &o->facts, err, "tile registers (AMX)", NULL);
        m->component = kind_calloc(64, sizeof(*m->component));
        if (!m->component)
                return kind_nomem(err);
        for (unsigned i = 2; i < 63 && r >= 0; i++)
                if (m->features & UINT64_C(1) << i)
                        r = take_component(m, c, i, err);
        return r;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct cpu_state *c = o->facts.task.cpu;

        (void)d;
        (void)fd;
        Gantry__TaskCpu *m = KIND_NEW(Gantry__TaskCpu, gantry__task_cpu__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->reg = kind_memdup(&c->regs, sizeof(c->regs));
        if (!m->reg)
                return kind_nomem(err);
        m->n_reg = N_REGS;
        m->sigmask = c->sigmask;
        m->has_rseq = m->has_rseq_size = m->has_rseq_sig = c->rseq_ptr != 0;
        m->rseq = c->rseq_ptr;
        m->rseq_size = c->rseq_size;
        m->rseq_sig = c->rseq_sig;
        m->rcvtimeo = rcvtimeo(c, t);
        m->has_left_ns = c->left_known;
        m->left_ns = c->left_known ? c->left_ns : 0;
        int r = take_xstate(m, o, c, err);
        return r < 0 ? r : field_record(&kind_task_cpu, o, &guard, ret);
}

static bool good_selector(uint64_t s)
{
        return !s || ((s & 3) == 3 && s <= 0xffff);
}

static int check_regs(const Gantry__TaskCpu *m, const struct record *r, struct err *err)
{
        struct user_regs_struct regs;

        if (m->n_reg != N_REGS)
                return kind_bad(&kind_task_cpu, r, err, "registers are missing");
        memcpy(&regs, m->reg, sizeof(regs));
        if (regs.cs != USER_CS || regs.ss != USER_SS)
                return kind_bad(&kind_task_cpu, r, err, "its code is not a 64-bit program's");
        if (!good_selector(regs.ds) || !good_selector(regs.es) || !good_selector(regs.fs) || !good_selector(regs.gs))
                return kind_bad(&kind_task_cpu, r, err, "a segment is not a program's");
        if (regs.fs_base > VMA_TOP || regs.gs_base > VMA_TOP || regs.rip > VMA_TOP)
                return kind_bad(&kind_task_cpu, r, err, "an address is not a program's");
        return 0;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskCpu *m = (const Gantry__TaskCpu *)r->msg;
        uint64_t seen = 3;
        size_t total = 0;
        int r2 = check_regs(m, r, err);

        if (r2 < 0)
                return r2;
        if (m->fxsave.len != FXSAVE_LEN)
                return kind_bad(&kind_task_cpu, r, err, "the floating point state has an impossible size");
        if (m->features & FEATURE_TILES || m->features >> 63)
                return kind_bad(&kind_task_cpu, r, err, "it uses registers that cannot be restored");
        for (size_t i = 0; i < m->n_component; i++) {
                const Gantry__TaskCpu__Component *c = m->component[i];
                uint64_t bit = c->number >= 2 && c->number < 63 ? UINT64_C(1) << c->number : 0;
                total += c->data.len;
                if (!bit || (seen & bit) || !(m->features & bit) || !c->data.len || total > XSTATE_MAX - XSTATE_MIN)
                        return kind_bad(&kind_task_cpu, r, err, "a part of the extended state is impossible");
                seen |= bit;
        }
        if (m->features & ~seen)
                return kind_bad(&kind_task_cpu, r, err, "a part of the extended state is missing");
        if (m->has_rseq != m->has_rseq_size || m->has_rseq != m->has_rseq_sig)
                return kind_bad(&kind_task_cpu, r, err, "rseq is told in part only");
        if (m->has_rseq && (!m->rseq || m->rseq > VMA_TOP || m->rseq % 4 || m->rseq_size < 20 || m->rseq_size > 4096))
                return kind_bad(&kind_task_cpu, r, err, "the rseq area is impossible");
        need->features |= m->features;
        return 0;
}

static int plan_confine(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskCpu *m = (const Gantry__TaskCpu *)r->msg;

        (void)err;
        if (!m->has_rseq)
                return 0;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "register rseq (task-cpu %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_rseq, A_IMM(m->rseq), A_IMM(m->rseq_size), A_IMM(0), A_IMM(m->rseq_sig));
        return 0;
}

static int fill_xstate(const Gantry__TaskCpu *m, const struct record *r, struct cpu_state *s, struct err *err)
{
        uint64_t own;
        uint32_t len = own_xstate(&own);

        if (m->features & ~own || len > XSTATE_MAX)
                return err_set(err, EX_KERNEL, "cannot restore the registers of a thread",
                               "this processor lacks a part of them", "features 0x%llx (task-cpu %llu)",
                               (unsigned long long)(m->features & ~own), (unsigned long long)r->id);
        memset(s->xstate, 0, sizeof(s->xstate));
        s->xstate_len = len;
        memcpy(s->xstate, m->fxsave.data, FXSAVE_SW);
        if (len < XSTATE_MIN)
                return 0;
        memcpy(s->xstate + XHEADER, &m->features, sizeof(m->features));
        for (size_t i = 0; i < m->n_component; i++) {
                const Gantry__TaskCpu__Component *c = m->component[i];
                struct component at = component_of(c->number);
                if (at.size != c->data.len || at.offset < XSTATE_MIN || at.offset + at.size > len)
                        return err_set(err, EX_KERNEL, "cannot restore the registers of a thread",
                                       "a part of them has another size here", "component %u (task-cpu %llu)", c->number,
                                       (unsigned long long)r->id);
                memcpy(s->xstate + at.offset, c->data.data, at.size);
        }
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskCpu *m = (const Gantry__TaskCpu *)r->msg;
        struct cpu_state *s = restore_cpu(rs, r->id);

        memcpy(&s->regs, m->reg, sizeof(s->regs));
        s->sigmask = m->sigmask;
        s->rseq_ptr = m->rseq;
        s->rseq_size = m->rseq_size;
        s->rseq_sig = m->rseq_sig;
        s->left_known = m->has_left_ns;
        s->left_ns = m->left_ns;
        int r2 = fill_xstate(m, r, s, err);
        if (r2 < 0)
                return r2;
        restart_plan(s, m->rcvtimeo, 0, restore_restart(rs, r->id));
        return 0;
}

const struct kind kind_task_cpu = {
        .stem = "task-cpu",
        .number = KIND_TASK_CPU,
        .cls = CLS_THREAD,
        .msg = &gantry__task_cpu__descriptor,
        .status_keys = (const char *const[]){"SigBlk", NULL},
        .refuse = refuse,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_CONFINE] = plan_confine, [PH_PARK] = plan_park},
};
