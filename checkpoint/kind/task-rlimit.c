/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resource limits, as /proc/PID/limits prints them (raw numbers, "unlimited").
 *
 * RLIMIT_MEMLOCK is set in PH_ATTR, because locks of memory follow; all others last of all (PH_PARK), where a small limit
 * of address space, processes or descriptors can no longer hinder the restore itself. Raising a hard limit needs a
 * capability of the node (CAP_SYS_RESOURCE in the first user namespace), which a container does not have: where the
 * node's own limits are lower, the process keeps those (EPERM is passed over), as it would after a start here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-rlimit.pb-c.h"

/* Rows of /proc/PID/limits by resource number (fs/proc/base.c). */
static const char *const rows[] = {
        [RLIMIT_CPU] = "Max cpu time",           [RLIMIT_FSIZE] = "Max file size",
        [RLIMIT_DATA] = "Max data size",         [RLIMIT_STACK] = "Max stack size",
        [RLIMIT_CORE] = "Max core file size",    [RLIMIT_RSS] = "Max resident set",
        [RLIMIT_NPROC] = "Max processes",        [RLIMIT_NOFILE] = "Max open files",
        [RLIMIT_MEMLOCK] = "Max locked memory",  [RLIMIT_AS] = "Max address space",
        [RLIMIT_LOCKS] = "Max file locks",       [RLIMIT_SIGPENDING] = "Max pending signals",
        [RLIMIT_MSGQUEUE] = "Max msgqueue size", [RLIMIT_NICE] = "Max nice priority",
        [RLIMIT_RTPRIO] = "Max realtime priority", [RLIMIT_RTTIME] = "Max realtime timeout",
};
#define N_LIMITS ELEMENTSOF(rows)

static bool number(const char **p, uint64_t *ret)
{
        *p += strspn(*p, " ");
        if (scan_skip(p, "unlimited")) {
                *ret = UINT64_MAX;
                return true;
        }
        return scan_u64(p, ret);
}

static bool parse(const char *text, uint64_t *soft, uint64_t *hard)
{
        for (size_t i = 0; i < N_LIMITS; i++) {
                const char *p = strstr(text, rows[i]);
                if (!p || (p != text && p[-1] != '\n'))
                        return false;
                p += strlen(rows[i]);
                if (!number(&p, &soft[i]) || !number(&p, &hard[i]))
                        return false;
        }
        return true;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;

        (void)d;
        (void)fd;
        (void)t;
        int r = dump_proc(o, "limits", &text, &len, err);
        if (r < 0)
                return r;
        Gantry__TaskRlimit *m = KIND_NEW(Gantry__TaskRlimit, gantry__task_rlimit__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->soft = kind_calloc(N_LIMITS, sizeof(*m->soft));
        m->hard = kind_calloc(N_LIMITS, sizeof(*m->hard));
        if (!m->soft || !m->hard)
                return kind_nomem(err);
        m->n_soft = m->n_hard = N_LIMITS;
        if (!parse(text, m->soft, m->hard))
                return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form", "limits");
        return field_record(&kind_task_rlimit, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskRlimit *m = (const Gantry__TaskRlimit *)r->msg;

        (void)need;
        if (m->n_soft != N_LIMITS || m->n_hard != N_LIMITS)
                return kind_bad(&kind_task_rlimit, r, err, "limits are missing");
        for (size_t i = 0; i < N_LIMITS; i++)
                if (m->soft[i] > m->hard[i])
                        return kind_bad(&kind_task_rlimit, r, err, "a limit is above its own bound");
        return 0;
}

static void set(struct tape *t, const Gantry__TaskRlimit *m, size_t i)
{
        struct rlimit lim = {.rlim_cur = m->soft[i], .rlim_max = m->hard[i]};
        uint32_t e = TAPE(t, __NR_prlimit64, A_IMM(0), A_IMM(i), A_DATA(tape_data(t, &lim, sizeof(lim))), A_IMM(0));

        tape_may_fail(t, e, EPERM);
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskRlimit *m = (const Gantry__TaskRlimit *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set the limit of locked memory (task-rlimit %llu)", (unsigned long long)r->id);
        set(t, m, RLIMIT_MEMLOCK);
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskRlimit *m = (const Gantry__TaskRlimit *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set the resource limits (task-rlimit %llu)", (unsigned long long)r->id);
        for (size_t i = 0; i < N_LIMITS; i++)
                if (i != RLIMIT_MEMLOCK)
                        set(t, m, i);
        return 0;
}

const struct kind kind_task_rlimit = {
        .stem = "task-rlimit",
        .number = KIND_TASK_RLIMIT,
        .cls = CLS_TASK,
        .msg = &gantry__task_rlimit__descriptor,
        .take = take,
        .check = check,
        .plan = {[PH_ATTR] = plan_attr, [PH_PARK] = plan_park},
};
