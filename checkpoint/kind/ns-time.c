/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's clocks: monotonic and boot time never jump backwards, whatever node they go on on.
 *
 * Recorded is what the clocks showed inside when the container was frozen, asked by tape; at restore the offsets that
 * make this node's clocks show it. Offsets can be written only before anybody is in the namespace (EACCES afterwards),
 * and clone3(CLONE_NEWTIME) enters at once: so init's stub unshares (which is for its children), writes its
 * timens_offsets, and then enters by setns; its vvar pages are exchanged by the kernel. Its children are born in it. The
 * node's /proc is what the stub sees in PH_GROUND. Time that the restore takes passes inside as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-time.pb-c.h"

#define SECOND INT64_C(1000000000)
#define SECONDS_MAX UINT64_C(4000000000) /* below KTIME_SEC_MAX / 2 */

struct answer { struct timespec monotonic, boottime; }; /* at offset 0 of the ask tape */

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_TIME);
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        uint32_t at = tape_data(t, NULL, sizeof(struct answer));
        TAPE(t, __NR_clock_gettime, A_IMM(CLOCK_MONOTONIC), A_DATA(at + (uint32_t)offsetof(struct answer, monotonic)));
        TAPE(t, __NR_clock_gettime, A_IMM(CLOCK_BOOTTIME), A_DATA(at + (uint32_t)offsetof(struct answer, boottime)));
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct answer a;

        (void)d;
        (void)fd;
        memcpy(&a, tape_out(t, 0), sizeof(a));
        Gantry__NsTime *m = KIND_NEW(Gantry__NsTime, gantry__ns_time__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->monotonic_s = (uint64_t)a.monotonic.tv_sec;
        m->monotonic_ns = (uint32_t)a.monotonic.tv_nsec;
        m->boottime_s = (uint64_t)a.boottime.tv_sec;
        m->boottime_ns = (uint32_t)a.boottime.tv_nsec;
        return field_record(&kind_ns_time, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsTime *m = (const Gantry__NsTime *)r->msg;

        (void)need;
        if (m->monotonic_s > SECONDS_MAX || m->boottime_s > SECONDS_MAX || m->monotonic_ns >= SECOND || m->boottime_ns >= SECOND)
                return kind_bad(&kind_ns_time, r, err, "a clock is impossible");
        return 0;
}

/*
 * Offsets count from the machine's clocks, but our own clock may be in a time namespace too (a node that is itself a
 * container): what it is ahead must be taken off what it shows. Seconds and nanoseconds of `name`, 0 where there is no such file.
 */
static void node_ahead(const char *name, int64_t *sec, int64_t *nsec)
{
        _cleanup_free_ char *text = NULL;
        char word[16];
        long long s, ns;
        size_t n;
        int used = 0;

        *sec = *nsec = 0;
        if (path_read(AT_FDCWD, "/proc/self/timens_offsets", &text, &n, NULL) < 0)
                return;
        for (const char *p = text; sscanf(p, "%15s %lld %lld%n", word, &s, &ns, &used) == 3; p += used)
                if (str_eq(word, name)) {
                        *sec = s;
                        *nsec = ns;
                }
}

/* "CLOCK SECONDS NANOSECONDS\n" as timens_offsets wants it: the nanoseconds are never negative. */
static int offset(char *ret, size_t size, const char *name, clockid_t clock, uint64_t s, uint32_t ns, struct err *err)
{
        int64_t ahead_s, ahead_ns;
        struct timespec now;

        node_ahead(name, &ahead_s, &ahead_ns);
        if (clock_gettime(clock, &now) < 0)
                return err_sys(err, EX_FAIL, errno, "cannot read a clock", "%s", name);
        int64_t sec = (int64_t)s - now.tv_sec + ahead_s, nsec = (int64_t)ns - now.tv_nsec + ahead_ns;
        for (; nsec < 0; sec--)
                nsec += SECOND;
        for (; nsec >= SECOND; sec++)
                nsec -= SECOND;
        snprintf(ret, size, "%s %lld %lld\n", name, (long long)sec, (long long)nsec);
        return 0;
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsTime *m = (const Gantry__NsTime *)r->msg;
        char mono[80], boot[80], text[160];
        int r2 = offset(mono, sizeof(mono), "monotonic", CLOCK_MONOTONIC, m->monotonic_s, m->monotonic_ns, err);

        if (r2 >= 0)
                r2 = offset(boot, sizeof(boot), "boottime", CLOCK_BOOTTIME, m->boottime_s, m->boottime_ns, err);
        if (r2 < 0)
                return r2;
        snprintf(text, sizeof(text), "%s%s", mono, boot);
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "make the time namespace (ns-time %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_unshare, A_IMM(CLONE_NEWTIME));
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/proc/self/timens_offsets")),
                           A_IMM(O_WRONLY | O_CLOEXEC), A_IMM(0));
        TAPE(t, __NR_write, A_RET(fd), A_DATA(tape_str(t, text)), A_IMM(strlen(text)));
        TAPE(t, __NR_close, A_RET(fd));
        fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/proc/self/ns/time_for_children")),
                  A_IMM(O_RDONLY | O_CLOEXEC), A_IMM(0));
        TAPE(t, __NR_setns, A_RET(fd), A_IMM(CLONE_NEWTIME));
        TAPE(t, __NR_close, A_RET(fd));
        return 0;
}

const struct kind kind_ns_time = {
        .stem = "ns-time",
        .number = KIND_NS_TIME,
        .cls = CLS_NS,
        .msg = &gantry__ns_time__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
