/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's pid namespace: made by the ground, filled by the tree planner with the same numbers (set_tid).
 *
 * set_tid does not move the place from where the next number is searched, so that without more the first new process
 * would get the number of one that has just ended. /proc/sys/kernel/ns_last_pid tells that place and sets it (with
 * CAP_CHECKPOINT_RESTORE of the namespace, which init's stub has until PH_CONFINE). Without /proc in the container
 * nobody can ask, and nothing is set.
 *
 * The largest number (kernel/pid_max) belongs to the namespace since 6.14, and a new one begins with the kernel's own limit; before,
 * it is the node's, and root of the container cannot open it for writing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/parse.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-pid.pb-c.h"

#define FILE_NAME "/proc/sys/kernel/ns_last_pid"
#define MAX_NAME "/proc/sys/kernel/pid_max"
#define PID_LIMIT (1u << 22)
#define PID_MIN 301u /* RESERVED_PIDS */
#define TEXT 16u /* bytes of the ask tape's data at offset 0, and of those behind it */
enum { ASK_LAST_OPEN, ASK_LAST, ASK_LAST_CLOSE, ASK_MAX_OPEN, ASK_MAX };

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_PID);
}

static void ask_file(struct tape *t, const char *name, int flags, uint32_t at)
{
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, name)), A_IMM(flags | O_CLOEXEC), A_IMM(0));

        tape_may_fail(t, fd, 0);
        tape_may_fail(t, TAPE(t, __NR_read, A_RET(fd), A_DATA(at), A_IMM(TEXT - 1)), 0);
        tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, 2 * TEXT);
        ask_file(t, FILE_NAME, O_RDONLY, at);
        ask_file(t, MAX_NAME, O_RDWR, at + TEXT);
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const char *p = tape_out(t, 0), *q = tape_out(t, TEXT);
        uint64_t last = 0, max = 0;

        (void)d;
        (void)fd;
        Gantry__NsPid *m = KIND_NEW(Gantry__NsPid, gantry__ns_pid__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->has_last = tape_ret(t, ASK_LAST) > 0 && scan_u64(&p, &last) && last < PID_LIMIT;
        m->last = m->has_last ? (uint32_t)last : 0;
        m->has_max = tape_ret(t, ASK_MAX_OPEN) >= 0 && tape_ret(t, ASK_MAX) > 0 && scan_u64(&q, &max) && max < PID_LIMIT;
        m->max = m->has_max ? (uint32_t)max : 0;
        return field_record(&kind_ns_pid, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsPid *m = (const Gantry__NsPid *)r->msg;

        (void)need;
        if (m->has_max && (m->max < PID_MIN || m->max >= PID_LIMIT))
                return kind_bad(&kind_ns_pid, r, err, "the largest number is impossible");
        return m->last < PID_LIMIT ? 0 : kind_bad(&kind_ns_pid, r, err, "the last number is impossible");
}

static void write_number(struct restore *rs, const struct record *r, const char *name, uint32_t n)
{
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        char text[TEXT];

        tape_label(t, "set %s (ns-pid %llu)", name, (unsigned long long)r->id);
        snprintf(text, sizeof(text), "%u", n);
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, name)), A_IMM(O_WRONLY | O_CLOEXEC), A_IMM(0));
        TAPE(t, __NR_write, A_RET(fd), A_DATA(tape_str(t, text)), A_IMM(strlen(text)));
        TAPE(t, __NR_close, A_RET(fd));
}

static int plan_attr(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsPid *m = (const Gantry__NsPid *)r->msg;

        (void)err;
        if (m->has_last)
                write_number(rs, r, FILE_NAME, m->last);
        if (m->has_max)
                write_number(rs, r, MAX_NAME, m->max);
        return 0;
}

const struct kind kind_ns_pid = {
        .stem = "ns-pid",
        .number = KIND_NS_PID,
        .cls = CLS_NS,
        .msg = &gantry__ns_pid__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_ATTR] = plan_attr},
};
