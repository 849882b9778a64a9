/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The container's host and domain name: asked by uname(2) in init, set by its stub, which has CAP_SYS_ADMIN in there.
 *
 * Release, version and machine are the node's. A name may be empty and may hold any byte but NUL.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-uts.pb-c.h"

#define NAME_MAX_UTS 64

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_UTS);
}

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        TAPE(t, __NR_uname, A_DATA(tape_data(t, NULL, sizeof(struct utsname)))); /* offset 0 */
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        struct utsname u;

        (void)d;
        (void)fd;
        memcpy(&u, tape_out(t, 0), sizeof(u));
        Gantry__NsUts *m = KIND_NEW(Gantry__NsUts, gantry__ns_uts__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        int r = field_set(&m->hostname, u.nodename, strnlen(u.nodename, NAME_MAX_UTS), err);
        if (r >= 0)
                r = field_set(&m->domainname, u.domainname, strnlen(u.domainname, NAME_MAX_UTS), err);
        return r < 0 ? r : field_record(&kind_ns_uts, o, &guard, ret);
}

static bool is_name(const ProtobufCBinaryData *b)
{
        return !b->len || field_is_text(b, NAME_MAX_UTS);
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsUts *m = (const Gantry__NsUts *)r->msg;

        (void)need;
        return is_name(&m->hostname) && is_name(&m->domainname) ? 0 : kind_bad(&kind_ns_uts, r, err, "a name is not one");
}

static int plan_ground(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsUts *m = (const Gantry__NsUts *)r->msg;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));

        (void)err;
        tape_label(t, "set host and domain name (ns-uts %llu)", (unsigned long long)r->id);
        TAPE(t, __NR_sethostname, A_DATA(field_tape(t, &m->hostname)), A_IMM(m->hostname.len));
        TAPE(t, __NR_setdomainname, A_DATA(field_tape(t, &m->domainname)), A_IMM(m->domainname.len));
        return 0;
}

const struct kind kind_ns_uts = {
        .stem = "ns-uts",
        .number = KIND_NS_UTS,
        .cls = CLS_NS,
        .msg = &gantry__ns_uts__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_GROUND] = plan_ground},
};
