/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials of each thread: ids, groups, five capability sets, securebits, no_new_privs.
 *
 * They belong to threads, not processes, and are set by each thread's own tape, last of what needs rights. The order is the
 * whole art: inheritable while the bounding set still allows it; then the bounding set, which nothing raises again; ids
 * under SECBIT_NO_SETUID_FIXUP, so that capabilities stay; ambient before securebits may forbid it; securebits; the
 * capabilities themselves; no_new_privs. A change of ids clears dumpable and the parent-death signal: both come later.
 *
 * An image confers no authority: nothing beyond the set that the container's configuration grants is ever raised. Ids are
 * inside ids. What a task is within a user namespace of its own is refused by ns-user.
 */
#include <limits.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/task-cred.pb-c.h"

#define GROUPS_MAX 65536
enum { REAL, EFFECTIVE, SAVED, FS, N_IDS };
#define CAP_BIT(c) (UINT64_C(1) << (c))

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        (void)d;
        (void)o;
        TAPE(t, __NR_prctl, A_IMM(PR_GET_SECUREBITS));
        return 0;
}

static int bad_status(const char *key, struct err *err)
{
        return err_set(err, EX_FAIL, "cannot understand a file of /proc", "its text has an unexpected form", "status: %s",
                       key);
}

static const char *value(const struct obj *o, const char *key)
{
        return proc_kv_get(o->facts.task.status, o->facts.task.n_status, key);
}

/* Numbers separated by blanks; ids of /proc are the reader's, so they are turned. */
static int take_ids(struct dump *d, const struct obj *o, const char *key, size_t max, uint32_t **ret, size_t *ret_n,
                    struct err *err)
{
        bool users = str_eq(key, "Uid");
        const char *p = value(o, key);
        uint64_t v;

        *ret = kind_calloc(max, sizeof(**ret));
        *ret_n = 0;
        if (!*ret)
                return kind_nomem(err);
        if (!p)
                return bad_status(key, err);
        for (p += strspn(p, " \t"); *p; p += strspn(p, " \t")) {
                if (*ret_n == max || !scan_u64(&p, &v) || v > UINT32_MAX)
                        return bad_status(key, err);
                (*ret)[(*ret_n)++] = users ? dump_uid(d, (uint32_t)v) : dump_gid(d, (uint32_t)v);
        }
        return 0;
}

static int take_mask(const struct obj *o, const char *key, uint64_t *ret, struct err *err)
{
        const char *p = value(o, key);

        return p && scan_hex64(&p, ret) && !*p ? 0 : bad_status(key, err);
}

static size_t words(const char *s)
{
        size_t n = 0;

        for (s += strspn(s, " \t"); *s; s += strspn(s, " \t"), n++)
                s += strcspn(s, " \t");
        return n;
}

static int take_all(struct dump *d, const struct obj *o, Gantry__TaskCred *m, struct err *err)
{
        const char *groups = value(o, "Groups"), *nnp = value(o, "NoNewPrivs");
        int r = take_ids(d, o, "Uid", N_IDS, &m->uid, &m->n_uid, err);

        if (r >= 0)
                r = take_ids(d, o, "Gid", N_IDS, &m->gid, &m->n_gid, err);
        if (r >= 0 && groups && words(groups))
                r = take_ids(d, o, "Groups", words(groups), &m->group, &m->n_group, err);
        if (r >= 0)
                r = take_mask(o, "CapInh", &m->inheritable, err);
        if (r >= 0)
                r = take_mask(o, "CapPrm", &m->permitted, err);
        if (r >= 0)
                r = take_mask(o, "CapEff", &m->effective, err);
        if (r >= 0)
                r = take_mask(o, "CapBnd", &m->bounding, err);
        if (r >= 0)
                r = take_mask(o, "CapAmb", &m->ambient, err);
        if (r < 0)
                return r;
        if (m->n_uid != N_IDS || m->n_gid != N_IDS || !groups || !nnp)
                return bad_status("Uid, Gid, Groups or NoNewPrivs", err);
        m->no_new_privs = str_eq(nnp, "1");
        return 0;
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        (void)fd;
        Gantry__TaskCred *m = KIND_NEW(Gantry__TaskCred, gantry__task_cred__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->securebits = (uint32_t)tape_ret(t, 0);
        int r = take_all(d, o, m, err);
        return r < 0 ? r : field_record(&kind_task_cred, o, &guard, ret);
}

static bool ids_ok(const uint32_t *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (v[i] == UINT32_MAX)
                        return false;
        return true;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__TaskCred *m = (const Gantry__TaskCred *)r->msg;
        uint64_t all = m->inheritable | m->permitted | m->effective | m->bounding | m->ambient;

        need->caps |= all;
        if (m->n_uid != N_IDS || m->n_gid != N_IDS || m->n_group > GROUPS_MAX)
                return kind_bad(&kind_task_cred, r, err, "an impossible number of ids");
        if (!ids_ok(m->uid, m->n_uid) || !ids_ok(m->gid, m->n_gid) || !ids_ok(m->group, m->n_group))
                return kind_bad(&kind_task_cred, r, err, "an id is none");
        if (all & ~CAPS_ALL)
                return kind_bad(&kind_task_cred, r, err, "unknown capabilities");
        if (m->effective & ~m->permitted || m->ambient & ~(m->permitted & m->inheritable))
                return kind_bad(&kind_task_cred, r, err, "its capability sets contradict each other");
        if (m->securebits & ~(uint32_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
                return kind_bad(&kind_task_cred, r, err, "unknown securebits");
        return 0;
}

static void set_caps(struct tape *t, uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        for (unsigned i = 0; i < 2; i++) {
                data[i].effective = (uint32_t)(effective >> 32 * i);
                data[i].permitted = (uint32_t)(permitted >> 32 * i);
                data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
        }
        uint32_t h = tape_data(t, &head, sizeof(head));
        TAPE(t, __NR_capset, A_DATA(h), A_DATA(tape_data(t, data, sizeof(data))));
}

static void set_ids(struct tape *t, const Gantry__TaskCred *m)
{
        if (m->n_group)
                TAPE(t, __NR_setgroups, A_IMM(m->n_group), A_DATA(tape_data(t, m->group, m->n_group * sizeof(*m->group))));
        else
                TAPE(t, __NR_setgroups, A_IMM(0), A_IMM(0));
        TAPE(t, __NR_setresgid, A_IMM(m->gid[REAL]), A_IMM(m->gid[EFFECTIVE]), A_IMM(m->gid[SAVED]));
        if (m->gid[FS] != m->gid[EFFECTIVE])
                TAPE(t, __NR_setfsgid, A_IMM(m->gid[FS]));
        TAPE(t, __NR_setresuid, A_IMM(m->uid[REAL]), A_IMM(m->uid[EFFECTIVE]), A_IMM(m->uid[SAVED]));
        if (m->uid[FS] != m->uid[EFFECTIVE])
                TAPE(t, __NR_setfsuid, A_IMM(m->uid[FS]));
}

static int plan_confine(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__TaskCred *m = (const Gantry__TaskCred *)r->msg;
        uint64_t work = m->permitted | CAP_BIT(CAP_SETPCAP) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID);

        (void)err;
        struct tape *t = restore_tape(rs, restore_owner(rs, r->id));
        tape_label(t, "set the credentials (task-cred %llu)", (unsigned long long)r->id);
        set_caps(t, work, work, m->inheritable);
        for (unsigned cap = 0; CAPS_ALL >> cap; cap++)
                if (!(m->bounding & CAP_BIT(cap)))
                        TAPE(t, __NR_prctl, A_IMM(PR_CAPBSET_DROP), A_IMM(cap), A_IMM(0), A_IMM(0), A_IMM(0));
        TAPE(t, __NR_prctl, A_IMM(PR_SET_SECUREBITS), A_IMM(SECBIT_NO_SETUID_FIXUP), A_IMM(0), A_IMM(0), A_IMM(0));
        set_ids(t, m);
        TAPE(t, __NR_prctl, A_IMM(PR_CAP_AMBIENT), A_IMM(PR_CAP_AMBIENT_CLEAR_ALL), A_IMM(0), A_IMM(0), A_IMM(0));
        for (unsigned cap = 0; CAPS_ALL >> cap; cap++)
                if (m->ambient & CAP_BIT(cap))
                        TAPE(t, __NR_prctl, A_IMM(PR_CAP_AMBIENT), A_IMM(PR_CAP_AMBIENT_RAISE), A_IMM(cap), A_IMM(0),
                             A_IMM(0));
        TAPE(t, __NR_prctl, A_IMM(PR_SET_SECUREBITS), A_IMM(m->securebits), A_IMM(0), A_IMM(0), A_IMM(0));
        set_caps(t, m->effective, m->permitted, m->inheritable);
        if (m->no_new_privs)
                TAPE(t, __NR_prctl, A_IMM(PR_SET_NO_NEW_PRIVS), A_IMM(1), A_IMM(0), A_IMM(0), A_IMM(0));
        return 0;
}

const struct kind kind_task_cred = {
        .stem = "task-cred",
        .number = KIND_TASK_CRED,
        .cls = CLS_THREAD,
        .msg = &gantry__task_cred__descriptor,
        .status_keys = (const char *const[]){"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                                             "NoNewPrivs", NULL},
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_CONFINE] = plan_confine},
};
