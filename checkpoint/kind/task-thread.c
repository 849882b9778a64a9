/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What belongs to one thread and only it can tell or set: its name, the address that is cleared when it ends, its robust
 * list, alternate stack, parent-death signal, personality, and what instructions do to it (TSC, CPUID, speculation).
 *
 * All of it is asked by a tape in the thread and set by one in PH_CONFINE, but the parent-death signal: a change of the
 * effective user clears it, so it comes in PH_PARK, after task-cred. SS_ONSTACK is not state: it follows from the stack
 * pointer. The name is read from comm, because stat and status escape it.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "checkpoint/kind/vma.h"
#include "proto/task-thread.pb-c.h"

#define COMM_MAX 15
#define N_SPECULATION 3
#define SPECULATION_SET (PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE | PR_SPEC_DISABLE_NOEXEC)
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

/* Out-buffer of the ask tape at offset 0. */
struct answer {
        uint64_t tid_address, robust_list, robust_len;
        stack_t altstack;
        int32_t death_signal, tsc;
};
enum { ASK_TID, ASK_ROBUST, ASK_STACK, ASK_DEATH, ASK_PERSONALITY, ASK_TSC, ASK_MCE, ASK_CPUID, ASK_SPECULATION };

static int refuse(const struct facts *f, struct err *err)
{
        const char *shadow = proc_kv_get(f->task.status, f->task.n_status, "x86_Thread_features");

        if (shadow && shadow[0])
                return kind_refuse(&kind_task_thread, f, err, "a shadow stack", "Start it without glibc.cpu.x86_shstk");
        return 0;
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, sizeof(struct answer));
#define AT(f) A_DATA(at + (uint32_t)offsetof(struct answer, f))
        TAPE(t, __NR_prctl, A_IMM(PR_GET_TID_ADDRESS), AT(tid_address));
        TAPE(t, __NR_get_robust_list, A_IMM(0), AT(robust_list), AT(robust_len));
        TAPE(t, __NR_sigaltstack, A_IMM(0), AT(altstack));
        TAPE(t, __NR_prctl, A_IMM(PR_GET_PDEATHSIG), AT(death_signal));
        TAPE(t, __NR_personality, A_IMM(0xffffffff));
        TAPE(t, __NR_prctl, A_IMM(PR_GET_TSC), AT(tsc));
        tape_may_fail(t, TAPE(t, __NR_prctl, A_IMM(PR_MCE_KILL_GET), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0)), EINVAL);
        tape_may_fail(t, TAPE(t, __NR_arch_prctl, A_IMM(ARCH_GET_CPUID), A_IMM(0)), EINVAL);
        for (int which = 0; which < N_SPECULATION; which++)
                tape_may_fail(t, TAPE(t, __NR_prctl, A_IMM(PR_GET_SPECULATION_CTRL), A_IMM(which), A_IMM(0), A_IMM(0),
                                      A_IMM(0)), 0);
#undef AT
        return 0;
}

static int take_name(Gantry__TaskThread *m, const struct obj *o, struct err *err)
{
        _cleanup_free_ char *comm = NULL;
        size_t len;
        int r = dump_proc(o, "comm", &comm, &len, err);

        if (r < 0)
                return r;
        if (len && comm[len - 1] == '\n')
                len--;
        return field_set(&m->name, comm, len > COMM_MAX ? COMM_MAX : len, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct answer a;

        (void)d;
        (void)fd;
        memcpy(&a, tape_out(t, 0), sizeof(a));
        Gantry__TaskThread *m = KIND_NEW(Gantry__TaskThread, gantry__task_thread__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->tid_address = a.tid_address;
        m->robust_list = a.robust_list;
        m->robust_len = (uint32_t)a.robust_len;
        m->altstack = (uint64_t)(uintptr_t)a.altstack.ss_sp;
        m->altstack_size = a.altstack.ss_size;
        m->altstack_flags = (uint32_t)a.altstack.ss_flags & ~(uint32_t)SS_ONSTACK;
        m->death_signal = (uint32_t)a.death_signal;
        m->personality = (uint32_t)tape_ret(t, ASK_PERSONALITY);
        m->tsc = (uint32_t)a.tsc;
        m->machine_check = tape_ret(t, ASK_MCE) < 0 ? PR_MCE_KILL_DEFAULT : (uint32_t)tape_ret(t, ASK_MCE);
        m->cpuid = tape_ret(t, ASK_CPUID) != 0;
        m->speculation = kind_calloc(N_SPECULATION, sizeof(*m->speculation));
        if (!m->speculation)
                return kind_nomem(err);
        for (uint32_t i = 0; i < N_SPECULATION; i++) {
                int64_t v = tape_ret(t, ASK_SPECULATION + i);
                m->speculation[m->n_speculation++] = v < 0 ? 0 : (uint32_t)v;
        }
        int r = take_name(m, o, err);
        return r < 0 ? r : field_record(&kind_task_thread, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskThread *m = (const Gantry__TaskThread *)r->msg;

        (void)need;
        if (m->name.len > COMM_MAX || (m->name.len && !field_is_text(&m->name, COMM_MAX)))
                return kind_bad(&kind_task_thread, r, err, "its name is not one");
        if (m->tid_address > VMA_TOP || m->robust_list > VMA_TOP || m->altstack > VMA_TOP || m->altstack_size > VMA_TOP)
                return kind_bad(&kind_task_thread, r, err, "an address is not a program's");
        if (m->robust_list && m->robust_len != 24)
                return kind_bad(&kind_task_thread, r, err, "its robust list has an impossible size");
        if (m->altstack_flags & ~(uint32_t)(SS_DISABLE | SS_AUTODISARM))
                return kind_bad(&kind_task_thread, r, err, "unknown flags of the signal stack");
        if (m->death_signal > 64)
                return kind_bad(&kind_task_thread, r, err, "its parent-death signal is none");
        if (m->tsc < PR_TSC_ENABLE || m->tsc > PR_TSC_SIGSEGV || m->machine_check > PR_MCE_KILL_DEFAULT)
                return kind_bad(&kind_task_thread, r, err, "an unknown mode");
        if (m->n_speculation > N_SPECULATION)
                return kind_bad(&kind_task_thread, r, err, "unknown speculation controls");
        for (size_t i = 0; i < m->n_speculation; i++)
                if (m->speculation[i] & ~(uint32_t)(PR_SPEC_PRCTL | PR_SPEC_ENABLE | SPECULATION_SET))
                        return kind_bad(&kind_task_thread, r, err, "unknown speculation controls");
        return 0;
}

static void plan_modes(struct tape *t, const Gantry__TaskThread *m)
{
        TAPE(t, __NR_personality, A_IMM(m->personality));
        if (m->tsc != PR_TSC_ENABLE)
                TAPE(t, __NR_prctl, A_IMM(PR_SET_TSC), A_IMM(m->tsc));
        if (m->machine_check != PR_MCE_KILL_DEFAULT)
                TAPE(t, __NR_prctl, A_IMM(PR_MCE_KILL), A_IMM(PR_MCE_KILL_SET), A_IMM(m->machine_check), A_IMM(0), A_IMM(0));
        if (!m->cpuid)
                TAPE(t, __NR_arch_prctl, A_IMM(ARCH_SET_CPUID), A_IMM(0));
        for (size_t i = 0; i < m->n_speculation; i++) {
                uint32_t v = m->speculation[i];
                if (!(v & PR_SPEC_PRCTL) || !(v & SPECULATION_SET))
                        continue;
                uint32_t e = TAPE(t, __NR_prctl, A_IMM(PR_SET_SPECULATION_CTRL), A_IMM(i), A_IMM(v & SPECULATION_SET),
                                  A_IMM(0), A_IMM(0));
                tape_may_fail(t, e, ENXIO); /* not to be controlled on this processor */
        }
}

static int plan_confine(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskThread *m = (const Gantry__TaskThread *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        stack_t alt = {.ss_sp = (void *)(uintptr_t)m->altstack, .ss_size = m->altstack_size,
                       .ss_flags = (int)m->altstack_flags};

        (void)err;
        tape_label(t, "set what belongs to a thread (task-thread %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_prctl, A_IMM(PR_SET_NAME), A_DATA(field_tape(t, &m->name)));
        TAPE(t, __NR_set_tid_address, A_IMM(m->tid_address));
        if (m->robust_list)
                TAPE(t, __NR_set_robust_list, A_IMM(m->robust_list), A_IMM(m->robust_len));
        if (!(m->altstack_flags & SS_DISABLE))
                TAPE(t, __NR_sigaltstack, A_DATA(tape_data(t, &alt, sizeof(alt))), A_IMM(0));
        plan_modes(t, m);
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskThread *m = (const Gantry__TaskThread *)r->msg;

        (void)err;
        if (!m->death_signal)
                return 0;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "set the parent-death signal (task-thread %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_prctl, A_IMM(PR_SET_PDEATHSIG), A_IMM(m->death_signal));
        return 0;
}

const struct kind kind_task_thread = {
        .stem = "task-thread",
        .number = KIND_TASK_THREAD,
        .cls = CLS_THREAD,
        .msg = &gantry__task_thread__descriptor,
        .status_keys = (const char *const[]){"Name", "Speculation_Store_Bypass", "SpeculationIndirectBranch",
                                             "x86_Thread_features", "x86_Thread_features_locked", NULL},
        .refuse = refuse,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_CONFINE] = plan_confine, [PH_PARK] = plan_park},
};
