/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What prctl() and /proc say about a process as a whole: dumpable, subreaper, huge pages off, memory-deny-write-execute,
 * page merging, the OOM killer's adjustment, the core dump filter, the audit system's login.
 *
 * dumpable is cleared by every change of ids, so it is set in PH_PARK; 2 (the node's suid_dumpable) cannot be chosen and
 * becomes 0, as unreadable for others. The two files of /proc are written in PH_MEMORY, before a chroot hides them, and only
 * when they differ from a fresh process's value, so that trees without /proc restore too. An adjustment below what the
 * stub has needs a right of the node: EACCES is passed over. MDWE is final: it comes when all mappings are there.
 *
 * A login can be set once by who has none. Where the engine itself has one (an administrator's session), its stubs have it too, and it
 * stays: EPERM. The number of the session comes from the kernel and cannot be chosen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-prctl.pb-c.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* 6.3 */
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif
#define MDWE_BITS 3u        /* REFUSE_EXEC_GAIN 1, NO_INHERIT 2 */
#define THP_BITS 3u         /* disabled 1, 6.18: except where advised 2 */
#define COREDUMP_DEFAULT 0x33u
#define COREDUMP_BITS 0x1ffu
#define NOBODY 65534u       /* what dump_uid() says of ids that the container does not have */

/* The subreaper's int is the ask tape's only data, at offset 0. */
enum { ASK_DUMPABLE, ASK_SUBREAPER, ASK_THP, ASK_MDWE, ASK_MERGE };

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, 4);
        TAPE(t, __NR_prctl, A_IMM(PR_GET_DUMPABLE), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0));
        TAPE(t, __NR_prctl, A_IMM(PR_GET_CHILD_SUBREAPER), A_DATA(at), A_IMM(0), A_IMM(0), A_IMM(0));
        TAPE(t, __NR_prctl, A_IMM(PR_GET_THP_DISABLE), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0));
        tape_may_fail(t, TAPE(t, __NR_prctl, A_IMM(PR_GET_MDWE), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0)), EINVAL);
        tape_may_fail(t, TAPE(t, __NR_prctl, A_IMM(PR_GET_MEMORY_MERGE), A_IMM(0), A_IMM(0), A_IMM(0), A_IMM(0)), EINVAL);
        return 0;
}

#define LOGIN_NONE UINT32_MAX

/* As inside. A user of the node, who has started the container, is not the container's. */
static int take_login(struct dump *d, const struct obj *o, Gantry__TaskPrctl *m, struct err *err)
{
        _cleanup_free_ char *text = NULL;
        size_t len;
        uint64_t v;
        struct err e = {};
        int r = dump_proc(o, "loginuid", &text, &len, &e);
        const char *p = text;

        if (r < 0)
                return e.sys == ENOENT ? 0 : err_take(err, &e);   /* a kernel without auditing */
        if (!scan_u64(&p, &v) || v > UINT32_MAX)
                return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form", "loginuid");
        if (v == LOGIN_NONE || dump_uid(d, (uint32_t)v) == NOBODY)
                return 0;
        m->has_loginuid = true;
        m->loginuid = dump_uid(d, (uint32_t)v);
        return 0;
}

static int take_files(const struct obj *o, Gantry__TaskPrctl *m, struct err *err)
{
        _cleanup_free_ char *oom = NULL, *core = NULL;
        size_t len;
        uint64_t v = COREDUMP_DEFAULT;
        int64_t adj;
        int r = dump_proc(o, "oom_score_adj", &oom, &len, err);

        if (r < 0)
                return r;
        oom[strcspn(oom, "\n")] = '\0';
        r = parse_i64(oom, -1000, 1000, &adj, err);
        if (r < 0)
                return r;
        m->oom_score_adj = (int32_t)adj;
        r = dump_proc(o, "coredump_filter", &core, &len, NULL); /* only with core dumps built in */
        const char *p = core;
        if (r >= 0 && (!scan_hex64(&p, &v) || v > UINT32_MAX))
                return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form",
                               "coredump_filter");
        m->coredump_filter = (uint32_t)v;
        return 0;
}

static uint32_t answer(const struct tape *t, uint32_t entry)
{
        int64_t v = tape_ret(t, entry);

        return v < 0 ? 0 : (uint32_t)v; /* an older kernel: there is no such thing */
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        int subreaper;

        (void)fd;
        Gantry__TaskPrctl *m = KIND_NEW(Gantry__TaskPrctl, gantry__task_prctl__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        memcpy(&subreaper, tape_out(t, 0), sizeof(subreaper));
        m->dumpable = answer(t, ASK_DUMPABLE);
        m->subreaper = subreaper != 0;
        m->thp_disable = answer(t, ASK_THP);
        m->mdwe = answer(t, ASK_MDWE);
        m->memory_merge = answer(t, ASK_MERGE) != 0;
        int r = take_files(o, m, err);
        if (r >= 0)
                r = take_login(d, o, m, err);
        return r < 0 ? r : field_record(&kind_task_prctl, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskPrctl *m = (const Gantry__TaskPrctl *)r->msg;

        (void)need;
        if (m->dumpable > 2 || m->thp_disable & ~THP_BITS || m->mdwe & ~MDWE_BITS || m->coredump_filter & ~COREDUMP_BITS)
                return kind_bad(&kind_task_prctl, r, err, "an unknown mode");
        if (m->oom_score_adj < -1000 || m->oom_score_adj > 1000)
                return kind_bad(&kind_task_prctl, r, err, "its adjustment for the OOM killer is impossible");
        if (m->has_loginuid && m->loginuid == LOGIN_NONE)
                return kind_bad(&kind_task_prctl, r, err, "its login is none");
        return 0;
}

static void write_file(struct tape *t, const char *path, const char *text, int refusal)
{
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(O_WRONLY | O_CLOEXEC), A_IMM(0));
        uint32_t e = TAPE(t, __NR_write, A_RET(fd), A_DATA(tape_str(t, text)), A_IMM(strlen(text)));

        tape_may_fail(t, e, refusal);
        TAPE(t, __NR_close, A_RET(fd));
}

static int plan_memory(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskPrctl *m = (const Gantry__TaskPrctl *)r->msg;
        char text[16];

        (void)err;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "write oom_score_adj and coredump_filter (task-prctl %llu)", (unsigned long long)r->id);
        if (m->oom_score_adj) {
                snprintf(text, sizeof(text), "%d", m->oom_score_adj);
                write_file(t, "/proc/self/oom_score_adj", text, EACCES);
        }
        if (m->coredump_filter != COREDUMP_DEFAULT) {
                snprintf(text, sizeof(text), "0x%x", m->coredump_filter);
                write_file(t, "/proc/self/coredump_filter", text, EACCES);
        }
        if (m->has_loginuid) {
                snprintf(text, sizeof(text), "%u", m->loginuid);
                write_file(t, "/proc/self/loginuid", text, EPERM);
        }
        return 0;
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskPrctl *m = (const Gantry__TaskPrctl *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set the modes of a process (task-prctl %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_prctl, A_IMM(PR_SET_CHILD_SUBREAPER), A_IMM(m->subreaper), A_IMM(0), A_IMM(0), A_IMM(0));
        TAPE(t, __NR_prctl, A_IMM(PR_SET_THP_DISABLE), A_IMM(m->thp_disable & 1), A_IMM(m->thp_disable & 2), A_IMM(0),
             A_IMM(0));
        if (m->memory_merge)
                TAPE(t, __NR_prctl, A_IMM(PR_SET_MEMORY_MERGE), A_IMM(1), A_IMM(0), A_IMM(0), A_IMM(0));
        return 0;
}

static int plan_park(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskPrctl *m = (const Gantry__TaskPrctl *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set what credentials would undo (task-prctl %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_prctl, A_IMM(PR_SET_DUMPABLE), A_IMM(m->dumpable == 1), A_IMM(0), A_IMM(0), A_IMM(0));
        if (m->mdwe)
                TAPE(t, __NR_prctl, A_IMM(PR_SET_MDWE), A_IMM(m->mdwe), A_IMM(0), A_IMM(0), A_IMM(0));
        return 0;
}

const struct kind kind_task_prctl = {
        .stem = "task-prctl",
        .number = KIND_TASK_PRCTL,
        .cls = CLS_TASK,
        .msg = &gantry__task_prctl__descriptor,
        .status_keys = (const char *const[]){"THP_enabled", NULL},
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MEMORY] = plan_memory, [PH_ATTR] = plan_attr, [PH_PARK] = plan_park},
};
