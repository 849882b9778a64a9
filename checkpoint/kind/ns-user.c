/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's user namespace: one range of ids from 0, for users and groups alike, made by the ground from the
 * configuration.
 *
 * Which ids of the node it has is never recorded; how many it has is, because ids above would become nobody's. Several ranges,
 * or setgroups denied, are not what the engine makes: refused by name, as are nested namespaces by the collector.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-user.pb-c.h"

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
        _cleanup_free_ char *uid = NULL, *gid = NULL, *groups = NULL;
        uint64_t uid_at, gid_at, uids, gids;
        size_t len;

        (void)d;
        (void)fd;
        (void)t;
        int r = dump_proc(o, "uid_map", &uid, &len, err);
        if (r >= 0)
                r = dump_proc(o, "gid_map", &gid, &len, err);
        if (r >= 0)
                r = dump_proc(o, "setgroups", &groups, &len, err);
        if (r < 0)
                return r;
        if (!one_range(uid, &uid_at, &uids) || !one_range(gid, &gid_at, &gids) || uid_at != gid_at || uids != gids)
                return kind_refuse(&kind_ns_user, &o->facts, err, "an id map of several ranges", "Start it with one range");
        if (!str_eq(groups, "allow\n"))
                return kind_refuse(&kind_ns_user, &o->facts, err, "a user namespace without setgroups", NULL);
        Gantry__NsUser *m = KIND_NEW(Gantry__NsUser, gantry__ns_user__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->count = (uint32_t)uids;
        return field_record(&kind_ns_user, o, &guard, ret);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsUser *m = (const Gantry__NsUser *)r->msg;

        (void)need;
        return m->count ? 0 : kind_bad(&kind_ns_user, r, err, "it has no ids");
}

const struct kind kind_ns_user = {
        .stem = "ns-user",
        .number = KIND_NS_USER,
        .cls = CLS_NS,
        .msg = &gantry__ns_user__descriptor,
        .claim = claim,
        .take = take,
        .check = check,
};
