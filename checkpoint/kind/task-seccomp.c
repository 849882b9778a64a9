/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System call filters. The one that the engine puts around a container is the engine's to make again; it is recognized byte
 * by byte. Any other filter, and strict mode, is refused by name.
 *
 * Where the engine has a filter, every thread gets it, whatever its record says: an image confers no authority. It is loaded
 * in PH_CONFINE before the ids go, because without no_new_privs that takes CAP_SYS_ADMIN in the container; while
 * the thread is traced filters are suspended (PTRACE_O_SUSPEND_SECCOMP), so that the rest of the tape is not its victim.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-seccomp.pb-c.h"

static int refuse(const struct facts *f, struct err *err)
{
        if (str_eq(proc_kv_get(f->task.status, f->task.n_status, "Seccomp"), "1"))
                return kind_refuse(&kind_task_seccomp, f, err, "seccomp's strict mode", NULL);
        return 0;
}

static int other_filter(const struct obj *o, struct err *err)
{
        return kind_refuse(&kind_task_seccomp, &o->facts, err, "a system call filter of its own",
                           "Run the service without it (SystemCallFilter= and what implies one)");
}

/* Exactly one filter, and it is the engine's. */
static int is_engine_filter(struct dump *d, const struct obj *o, struct err *err)
{
        const void *engine = NULL;
        _cleanup_free_ void *theirs = NULL;
        size_t n = 0, n_engine = 0, n_theirs = 0;
        int r = dump_seccomp(d, &engine, &n_engine, err);

        if (r < 0)
                return r;
        if (r == 1)
                return other_filter(o, err);
        r = dump_thread_filters(d, o, &n, err);
        if (r < 0)
                return r;
        if (n != 1)
                return other_filter(o, err);
        r = dump_thread_filter(d, o, 0, &theirs, &n_theirs, err);
        if (r < 0)
                return r;
        if (n_theirs != n_engine || memcmp(theirs, engine, n_engine * sizeof(struct sock_filter)) != 0)
                return other_filter(o, err);
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const char *mode = proc_kv_get(o->facts.task.status, o->facts.task.n_status, "Seccomp");
        bool filtered = str_eq(mode, "2");

        (void)fd;
        (void)t;
        if (!filtered && !str_eq(mode, "0"))
                return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form",
                               "status: Seccomp");
        if (filtered) {
                int r = is_engine_filter(d, o, err);
                if (r < 0)
                        return r;
        }
        Gantry__TaskSeccomp *m = KIND_NEW(Gantry__TaskSeccomp, gantry__task_seccomp__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->engine_filter = filtered;
        return field_record(&kind_task_seccomp, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        (void)r;
        (void)need;
        (void)err;
        return 0; /* a bool */
}

static int plan_confine(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskSeccomp *m = (const Gantry__TaskSeccomp *)r->msg;
        const void *insns = NULL;
        size_t n = 0;
        int r2 = restore_seccomp(rs, &insns, &n, err);

        if (r2 < 0)
                return r2;
        if (r2 == 1 && m->engine_filter) {
                err_set(err, EX_IMAGE, "a process ran under the engine's system call filter, and this restore has none",
                        "it would have more rights than before", "task-seccomp %llu", (unsigned long long)r->id);
                return err_remedy(err, "Restore it as the container that it was");
        }
        if (r2 == 1)
                return 0;
        struct sock_fprog prog = {.len = (unsigned short)n};
        if (n == 0 || n > BPF_MAXINSNS)
                return err_set(err, EX_FAIL, "cannot load the system call filter", "its size is impossible", "%zu", n);
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "load the system call filter (task-seccomp %llu)", (unsigned long long)r->id);
        uint32_t code = tape_data(t, insns, n * sizeof(struct sock_filter));
        uint32_t at = tape_data(t, &prog, sizeof(prog));
        tape_reloc(t, at + (uint32_t)offsetof(struct sock_fprog, filter), 8, A_DATA(code));
        TAPE(t, __NR_seccomp, A_IMM(SECCOMP_SET_MODE_FILTER), A_IMM(0), A_DATA(at));
        return 0;
}

const struct kind kind_task_seccomp = {
        .stem = "task-seccomp",
        .number = KIND_TASK_SECCOMP,
        .cls = CLS_THREAD,
        .msg = &gantry__task_seccomp__descriptor,
        .status_keys = (const char *const[]){"Seccomp", "Seccomp_filters", NULL},
        .refuse = refuse,
        .take = take,
        .check = check,
        .plan = {[PH_CONFINE] = plan_confine},
};
