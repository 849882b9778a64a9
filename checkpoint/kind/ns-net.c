/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A network namespace: its settings, all that its own root may write below /proc/sys/net.
 *
 * All are recorded, because what a new namespace starts with depends on the node; those that differ from a new one where they were
 * dumped are marked. At a restore those that differ from what the namespace has by then are written, by init's tape when /proc
 * is mounted. A setting that the kernel does not have is a refusal if it is marked, and nothing to speak of if not.
 *
 * Order: forwarding as a whole (it changes the settings of links), then conf/all, conf/default and the links. Where one of the former
 * had to be written, the latter are written even when they look right, because it may have changed them.
 *
 * One setting holds group ids, which everybody reads as those of his own user namespace: it is asked for by init's tape, recorded only
 * where it is changed, and then always written.
 *
 * A value that is empty cannot be told from nothing (lists), and a key of all zeroes is none: both are left as they are.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "checkpoint/kind/classify.h"
#include "checkpoint/kind/field.h"
#include "checkpoint/kind/kinds.h"
#include "proto/ns-net.pb-c.h"

#define NAME_MAX_BYTES 255u
#define SETTINGS_MAX 65536u
#define GROUPS "net/ipv4/ping_group_range"
#define GROUPS_MAX 64u

static int claim(const struct facts *f)
{
        return kind_is(f, KIND_NS_NET);
}

/* ---- dump ---- */

static int ask(struct dump *d, const struct obj *o, struct tape *t)
{
        uint32_t text = tape_data(t, NULL, GROUPS_MAX);   /* offset 0 */

        (void)d;
        (void)o;
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, "/proc/sys/" GROUPS)), A_IMM(O_RDONLY | O_CLOEXEC), A_IMM(0));
        tape_may_fail(t, fd, 0);
        tape_may_fail(t, TAPE(t, __NR_read, A_RET(fd), A_DATA(text), A_IMM(GROUPS_MAX - 1)), 0);
        tape_may_fail(t, TAPE(t, __NR_close, A_RET(fd)), 0);
        return 0;
}

/* Its groups as inside; false: they do not matter, or cannot be read. */
static bool groups_inside(const struct net_setting *s, const struct tape *t, char ret[GROUPS_MAX])
{
        if (!s->changed || !t || tape_ret(t, 1) <= 0)
                return false;
        str_copy(ret, GROUPS_MAX, tape_out(t, 0));
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

/* Which comes first. */
static unsigned rank(const char *name)
{
        bool secret = strstr(name, "/stable_secret") != NULL;   /* sets how addresses are made */

        if (str_eq(name, "net/ipv4/ip_forward"))
                return 0;
        if (strstr(name, "/conf/all/") || strstr(name, "/neigh/all/"))
                return secret ? 2 : 3;
        if (strstr(name, "/conf/default/") || strstr(name, "/neigh/default/"))
                return secret ? 4 : 5;
        if (strstr(name, "/conf/") || strstr(name, "/neigh/"))
                return secret ? 6 : 7;
        return 1;
}
#define RANKS 8u

static int take_setting(Gantry__NsNet *m, const struct obj *o, const struct net_setting *s, struct err *err)
{
        char what[160];

        if (!s->value[0] || strspn(s->value, "0-") == strlen("00000000-00000000-00000000-00000000"))
                return 0;
        if (strlen(s->value) > NET_SETTING_MAX || strchr(s->value, '\n')) {
                snprintf(what, sizeof(what), "a setting of another form: %s", s->name);
                return s->changed ? kind_refuse(&kind_ns_net, &o->facts, err, what, "Set it back") : 0;
        }
        Gantry__NsNet__Setting *x = KIND_NEW(Gantry__NsNet__Setting, gantry__ns_net__setting__init);
        if (!x)
                return kind_nomem(err);
        m->setting[m->n_setting++] = x;
        x->has_changed = x->changed = s->changed;
        int r = field_set_text(&x->name, s->name, err);
        return r < 0 ? r : field_set_text(&x->value, s->value, err);
}

static int take(struct dump *d, const struct obj *o, int fd, const struct tape *t, struct record *ret, struct err *err)
{
        const struct net_setting *s = NULL;
        size_t n = 0;
        int r = dump_settings(d, &s, &n, err);

        (void)fd;
        if (r < 0)
                return r;
        Gantry__NsNet *m = KIND_NEW(Gantry__NsNet, gantry__ns_net__init);
        if (!m)
                return kind_nomem(err);
        _cleanup_message_ ProtobufCMessage *guard = &m->base;
        m->setting = kind_calloc(n, sizeof(*m->setting));
        if (!m->setting)
                return kind_nomem(err);
        for (unsigned k = 0; k < RANKS; k++)
                for (size_t i = 0; i < n && r >= 0; i++) {
                        struct net_setting x = s[i];
                        char groups[GROUPS_MAX];
                        if (rank(x.name) != k)
                                continue;
                        if (!str_eq(x.name, GROUPS)) {
                                r = take_setting(m, o, &x, err);
                        } else if (groups_inside(&x, t, groups)) {
                                x.value = groups;
                                r = take_setting(m, o, &x, err);
                        } else if (x.changed) {
                                r = kind_refuse(&kind_ns_net, &o->facts, err, "a setting that it cannot read: " GROUPS, "Mount /proc in it");
                        }
                }
        return r < 0 ? r : field_record(&kind_ns_net, o, &guard, ret);
}

/* ---- restore ---- */

/* A path below net/, without a step upwards. */
static bool is_name(const ProtobufCBinaryData *name, char ret[NAME_MAX_BYTES + 1])
{
        if (!field_is_text(name, NAME_MAX_BYTES) || !field_copy(name, ret, NAME_MAX_BYTES + 1) || !str_starts(ret, "net/"))
                return false;
        for (const char *p = ret; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
                size_t n = strcspn(p, "/");
                if (!n || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
        }
        return true;
}

static int check(const struct record *r, struct need *need, struct err *err)
{
        const Gantry__NsNet *m = (const Gantry__NsNet *)r->msg;
        char name[NAME_MAX_BYTES + 1];

        (void)need;
        if (m->n_setting > SETTINGS_MAX)
                return kind_bad(&kind_ns_net, r, err, "too many settings");
        for (size_t i = 0; i < m->n_setting; i++)
                if (!is_name(&m->setting[i]->name, name) || !field_is_text(&m->setting[i]->value, NET_SETTING_MAX))
                        return kind_bad(&kind_ns_net, r, err, "a setting is none, or has no value");
        return 0;
}

static const char *now(const struct net_setting *s, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(s[i].name, name))
                        return s[i].value;
        return NULL;
}

/* What changes other settings behind the back of whoever writes it: those below, or NULL. */
static const char *changes(const char *name)
{
        if (str_eq(name, "net/ipv4/ip_forward") || str_starts(name, "net/ipv4/conf/all/"))
                return "net/ipv4/conf/";
        if (str_starts(name, "net/ipv6/conf/all/") || str_eq(name, "net/ipv6/conf/default/stable_secret"))
                return "net/ipv6/conf/";
        return NULL;
}

static void write_setting(struct tape *t, const struct record *r, const char *name, const ProtobufCBinaryData *v)
{
        char path[NAME_MAX_BYTES + 16];

        tape_label(t, "set %s (ns-net %llu)", name, (unsigned long long)r->id);
        snprintf(path, sizeof(path), "/proc/sys/%s", name);
        uint32_t fd = TAPE(t, __NR_openat, A_IMM(AT_FDCWD), A_DATA(tape_str(t, path)), A_IMM(O_WRONLY | O_CLOEXEC), A_IMM(0));
        TAPE(t, __NR_write, A_RET(fd), A_DATA(field_tape(t, v)), A_IMM(v->len));
        TAPE(t, __NR_close, A_RET(fd));
}

static int plan_mounts(struct restore *rs, const struct record *r, struct err *err)
{
        const Gantry__NsNet *m = (const Gantry__NsNet *)r->msg;
        const struct net_setting *s = NULL;
        const char *again4 = NULL, *again6 = NULL;
        size_t n = 0;
        int r2 = restore_settings(rs, &s, &n, err);

        for (size_t i = 0; r2 >= 0 && i < m->n_setting; i++) {
                const ProtobufCBinaryData *v = &m->setting[i]->value;
                char name[NAME_MAX_BYTES + 1];
                if (!is_name(&m->setting[i]->name, name))
                        return kind_bad(&kind_ns_net, r, err, "a setting is none");
                const char *is = now(s, n, name), *further = changes(name);
                bool same = is && !str_eq(name, GROUPS) && strlen(is) == v->len && memcmp(is, v->data, v->len) == 0;
                bool again = (again4 && str_starts(name, again4)) || (again6 && str_starts(name, again6));
                if (!is && m->setting[i]->changed) {
                        err_set(err, EX_UNSUPPORTED, "cannot restore a setting of the network", "this kernel does not have it", "%s", name);
                        return err_remedy(err, "set it back before the checkpoint");
                }
                if (!is || (same && !again))
                        continue;
                write_setting(restore_tape(rs, restore_owner(rs, r->id)), r, name, v);
                if (further && str_starts(further, "net/ipv4"))
                        again4 = further;
                else if (further)
                        again6 = further;
        }
        return r2;
}

const struct kind kind_ns_net = {
        .stem = "ns-net",
        .number = KIND_NS_NET,
        .cls = CLS_NS,
        .msg = &gantry__ns_net__descriptor,
        .claim = claim,
        .ask = ask,
        .take = take,
        .check = check,
        .plan = {[PH_MOUNTS] = plan_mounts},
};
