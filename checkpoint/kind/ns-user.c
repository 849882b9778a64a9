/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's user namespace: one range of ids from 0, for users and groups alike, made by the ground from the
 * configuration.
 *
 * Limits of how many namespaces, inotify and fanotify objects it may have (/proc/sys/user) are shown to whoever is in it: init's tape
 * reads and sets them. A new namespace has INT_MAX of each. A container without /proc has set none.
 *
 * Which ids of the node it has is never recorded; how many it has is, because ids above would become nobody's. Several ranges,
 * or setgroups denied, are not what the engine makes: refused by name, as are nested namespaces by the collector.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-user.pb-c.h"

#define TEXT 16u

static const char *const limits[] = {
        "max_cgroup_namespaces", "max_fanotify_groups", "max_fanotify_marks",  "max_inotify_instances", "max_inotify_watches",
        "max_ipc_namespaces",    "max_mnt_namespaces",  "max_net_namespaces",  "max_pid_namespaces",    "max_time_namespaces",
        "max_user_namespaces",   "max_uts_namespaces",
};
#define N_LIMITS ELEMENTSOF(limits)

static int refuse(const struct facts *f, struct err *err)
{
        if (!f->ns.binfmt)
                return 0;
        return kind_refuse(&kind_ns_user, f, err, "binary formats of its own (binfmt_misc)", "Start the container anew without binfmt_misc in it");
}

static uint32_t open_limit(struct tape *t, const char *name, int flags)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/sys/user/%s", name);
        return TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(flags | O_CLOEXEC), A_IMM(0));
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        uint32_t text = tape_data(t, NULL, N_LIMITS * TEXT);   /* offset 0 */

        (void)d;
        (void)o;
        for (uint32_t i = 0; i < N_LIMITS; i++) {
                uint32_t fd = open_limit(t, limits[i], O_RDONLY);
                tape_may_fail(t, fd, 0);
                tape_may_fail(t, TAPE(t, __NR_read, A_RET(fd), A_DATA(text + i * TEXT), A_IMM(TEXT - 1)), 0);
                tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
        }
        return 0;
}

static int take_limits(Gantry__NsUser *m, const struct tape *t, struct err *err)
{
        m->limit = kind_calloc(N_LIMITS, sizeof(*m->limit));
        for (uint32_t i = 0; m->limit && i < N_LIMITS; i++) {
                const char *p = (const char *)tape_out(t, 0) + i * TEXT;
                uint64_t value = 0;
                if (tape_ret(t, 3 * i + 1) <= 0 || !scan_u64(&p, &value) || value >= INT_MAX)
                        continue;
                Gantry__NsUser__Limit *x = KIND_NEW(Gantry__NsUser__Limit, gantry__ns_user__limit__init);
                if (!x)
                        return kind_nomem(err);
                m->limit[m->n_limit++] = x;
                x->value = (uint32_t)value;
                int r = field_set_text(&x->name, limits[i], err);
                if (r < 0)
                        return r;
        }
        return m->limit ? 0 : kind_nomem(err);
}

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_USER);
}

/* "INSIDE OUTSIDE COUNT" in one line, from 0. */
static bool one_range(const char *text, uint64_t *ret_outside, uint64_t *ret_count)
{
        uint64_t inside;
        const char *p = text + strspn(text, " ");

        if (!scan_u64(&p, &inside) || inside)
                return false;
        p += strspn(p, " ");
        if (!scan_u64(&p, ret_outside))
                return false;
        p += strspn(p, " ");
        return scan_u64(&p, ret_count) && str_eq(p, "\n") && *ret_count && *ret_count <= UINT32_MAX;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        _cleanup_free_ char *uid = NULL, *gid = NULL, *groups = NULL, *projects = NULL;
        uint64_t uid_at, gid_at, uids, gids;
        size_t len;

        (void)d;
        (void)fd;
        int r = dump_proc(o, "uid_map", &uid, &len, err);
        if (r >= 0)
                r = dump_proc(o, "gid_map", &gid, &len, err);
        if (r >= 0)
                r = dump_proc(o, "setgroups", &groups, &len, err);
        if (r >= 0)
                r = dump_proc(o, "projid_map", &projects, &len, err);
        if (r < 0)
                return r;
        if (len)
                return kind_refuse(&kind_ns_user, &o->facts, err, "a map of project ids", "Start it without one");
        if (!one_range(uid, &uid_at, &uids) || !one_range(gid, &gid_at, &gids) || uid_at != gid_at || uids != gids)
                return kind_refuse(&kind_ns_user, &o->facts, err, "an id map of several ranges", "Start it with one range");
        if (!str_eq(groups, "allow\n"))
                return kind_refuse(&kind_ns_user, &o->facts, err, "a user namespace without setgroups", NULL);
        Gantry__NsUser *m = KIND_NEW(Gantry__NsUser, gantry__ns_user__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->count = (uint32_t)uids;
        if (t && (r = take_limits(m, t, err)) < 0)
                return r;
        return field_record(&kind_ns_user, o, &guard, ret);
}

static const char *known(const ProtobufCBinaryData *name)
{
        for (size_t i = 0; i < N_LIMITS; i++)
                if (name->len == strlen(limits[i]) && memcmp(name->data, limits[i], name->len) == 0)
                        return limits[i];
        return NULL;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsUser *m = (const Gantry__NsUser *)r->msg;

        (void)need;
        for (size_t i = 0; i < m->n_limit; i++)
                if (!known(&m->limit[i]->name) || m->limit[i]->value > INT_MAX)
                        return kind_bad(&kind_ns_user, r, err, "a limit is unknown, or none");
        return m->count ? 0 : kind_bad(&kind_ns_user, r, err, "it has no ids");
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsUser *m = (const Gantry__NsUser *)r->msg;

        (void)err;
        for (size_t i = 0; i < m->n_limit; i++) {
                struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
                const char *name = known(&m->limit[i]->name);
                char text[TEXT];
                tape_label(t, "set user/%s (ns-user %llu)", name, (unsigned long long)r->id);
                snprintf(text, sizeof(text), "%u", m->limit[i]->value);
                uint32_t fd = open_limit(t, name, O_WRONLY);
                TAPE(t, __NR_write, A_RET(fd), A_DATA(tape_str(t, text)), A_IMM(strlen(text)));
                TAPE(t, __NR_close, A_RET(fd));
        }
        return 0;
}

const struct kind kind_ns_user = {
        .stem = "ns-user",
        .number = KIND_NS_USER,
        .cls = CLS_NS,
        .msg = &gantry__ns_user__descriptor,
        .claim = claim,
        .refuse = refuse,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MOUNTS] = plan_mounts},
};
